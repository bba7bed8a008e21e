"""The small HTTP servers: health and metrics for the host's probes and scrapers, admission for the API server next door."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web

from syncer.controlplane.tls_site import TlsSite

_LARGEST_REVIEW = 4 * 1024 * 1024


async def serve_health(*, port: int, ready: Callable[[], str], metrics: Callable[[], bytes]) -> web.AppRunner:
    """Serves /healthz, /readyz (200 only when `ready` gives an empty string, else its reason) and /metrics on all interfaces."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        reason = ready()
        return web.Response(text=(reason or "ok") + "\n", status=503 if reason else 200)

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", scrape)])
    return await _start(app, host=None, port=port, context=None)


async def serve_admission(
    *, port: int, path: str, review: Callable[[bytes], Awaitable[bytes]], context: ssl.SSLContext
) -> web.AppRunner:
    """Serves AdmissionReviews over TLS on the loopback interface only."""

    async def admit(request: web.Request) -> web.Response:
        return web.Response(body=await review(await request.read()), content_type="application/json")

    app = web.Application(client_max_size=_LARGEST_REVIEW)
    app.add_routes([web.post(path, admit)])
    return await _start(app, host="localhost", port=port, context=context)


async def _start(app: web.Application, *, host: str | None, port: int, context: ssl.SSLContext | None) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    site = TlsSite(runner, host, port, context) if context else web.TCPSite(runner, host, port)
    await site.start()
    return runner
