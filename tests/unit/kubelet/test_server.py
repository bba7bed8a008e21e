"""Who may ask the kubelet API, and what becomes of a request whose answer is short."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.certificates import Authority
from tests.unit.kubelet.fakes import EXEC, LOGS, STREAMING, SWITCHED, Caller, answer, head


async def answers(caller):
    """Whether anything at all comes back."""
    try:
        return bool((await caller.ask("GET /healthz HTTP/1.1"))[0])
    except OSError:  # with TLS 1.3 the refusal comes after the client's handshake
        return False


async def test_a_caller_without_a_certificate_gets_no_connection(kubelet, authority):
    assert not await answers(Caller(kubelet.port, authority.certificate, None))


async def test_a_certificate_of_another_ca_gets_no_connection(kubelet, authority, host):
    foreign = host.authority.issue("sublet:kubelet-client")
    assert not await answers(Caller(kubelet.port, authority.certificate, foreign))


@pytest.mark.parametrize("name", ["kubernetes-admin", "sublet:kubelet-client2", "Sublet:kubelet-client"])
async def test_another_certificate_of_the_same_ca_is_refused(kubelet, authority, host, name):
    admin = authority.issue(name, groups=("system:masters",))
    status, rest = await Caller(kubelet.port, authority.certificate, admin).ask(*EXEC)
    assert status == "HTTP/1.1 403 Forbidden"
    assert rest.endswith(b"this certificate gives no access to the kubelet API")
    assert host.heads == []


async def test_health_is_ok(api_server):
    status, rest = await api_server.ask("GET /healthz HTTP/1.1")
    assert status == "HTTP/1.1 200 OK"
    assert rest.endswith(b"ok")


async def test_the_host_is_asked_with_our_token_and_nothing_of_the_callers(api_server, host):
    host.handler = answer("200 OK", b"line\n", "Connection: close")
    await api_server.ask(*LOGS, "Authorization: Bearer tenant", "Cookie: a=b", "User-Agent: kubelet-test")
    [request] = host.heads
    assert request.decode().split("\r\n") == [
        "GET /api/v1/namespaces/tenant/pods/web-x-shop-x-alpha/log?container=app&follow=true HTTP/1.1",
        f"host: 127.0.0.1:{host.port}",
        "connection: close",
        "user-agent: kubelet-test",
        "authorization: Bearer first",
        "",
        "",
    ]


async def test_a_good_answer_passes_as_it_is_but_for_its_framing(api_server, host, observed):
    host.handler = answer("200 OK", b"from web-x-shop-x-alpha in tenant\n", "X-Anything: kept")
    status, rest = await api_server.ask(*LOGS)
    assert status == "HTTP/1.1 200 OK"
    head, _, text = rest.partition(b"\r\n\r\n")
    assert head == b"Transfer-Encoding: chunked\r\nX-Anything: kept"
    assert text == b"22\r\nfrom web-x-shop-x-alpha in tenant\n\r\n0\r\n\r\n"
    assert observed == [("containerLogs", 200)]


async def test_an_error_of_the_host_comes_with_virtual_names(api_server, host, observed):
    body = b'{"kind":"Status","message":"pods \\"web-x-shop-x-alpha\\" in tenant not found","code":404}'
    host.handler = answer("404 Not Found", body, "Content-Type: application/json", "Audit-Id: secret")
    status, rest = await api_server.ask(*EXEC)
    assert status == "HTTP/1.1 404 Not Found"
    assert rest.partition(b"\r\n\r\n")[2] == b'pods "web" in shop not found'
    assert b"secret" not in rest
    assert observed == [("exec", 404)]


async def test_a_chunked_error_is_understood(api_server, host):
    async def handler(reader, writer):
        writer.write(b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nweb-x\r\n")
        await writer.drain()
        writer.write(b"e\r\n-shop-x-alpha!\r\n0\r\n\r\n")

    host.handler = handler
    status, rest = await api_server.ask(*EXEC)
    assert status.startswith("HTTP/1.1 500")
    assert rest.endswith(b"\r\n\r\nweb!")


async def test_a_busy_host_says_when_to_come_back(api_server, host):
    host.handler = answer("429 Too Many Requests", b"later", "Retry-After: 7")
    _, rest = await api_server.ask(*EXEC)
    assert b"Retry-After: 7\r\n" in rest


async def test_an_endless_error_is_cut(api_server, host):
    async def handler(reader, writer):
        writer.write(b"HTTP/1.1 500 Oh\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    host.handler = handler
    _, rest = await api_server.ask(*EXEC)
    assert b"Content-Length: 65536\r\n" in rest


async def test_a_renewed_token_gets_a_second_chance(api_server, host, kubelet, tmp_path):
    token = tmp_path / "token"
    token.write_text("old")
    credentials = host.credentials(token)
    assert credentials.authorization() == "Bearer old"
    token.write_text("new")
    kubelet._upstream._credentials = credentials

    async def handler(reader, writer):
        code = "200 OK" if b"Bearer new" in host.heads[-1] else "401 Unauthorized"
        writer.write(f"HTTP/1.1 {code}\r\nContent-Length: 0\r\n\r\n".encode())

    host.handler = handler
    status, _ = await api_server.ask(*LOGS)
    assert status == "HTTP/1.1 200 OK"
    assert len(host.heads) == 2


async def test_a_refused_token_is_reported_as_a_bad_gateway(api_server, host):
    host.handler = answer("401 Unauthorized", b"")
    status, rest = await api_server.ask(*LOGS)
    assert status == "HTTP/1.1 502 Bad Gateway"
    assert rest.endswith(b"does not accept the syncer's credentials")
    assert len(host.heads) == 1


async def test_a_host_that_is_down_is_reported_as_a_bad_gateway(api_server, host, observed):
    await host.stop()
    status, rest = await api_server.ask(*EXEC)
    assert status == "HTTP/1.1 502 Bad Gateway"
    assert rest.endswith(b"the host API server cannot be reached")
    assert observed == [("exec", 502)]


@pytest.mark.parametrize("nonsense", [b"", b"HTTP/1.1 20", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n"])
async def test_a_host_that_speaks_no_http_is_reported_as_a_bad_gateway(api_server, host, nonsense):
    async def handler(reader, writer):
        writer.write(nonsense)

    host.handler = handler
    status, _ = await api_server.ask(*EXEC)
    assert status == "HTTP/1.1 502 Bad Gateway"


async def test_two_hosts_in_one_request_are_refused(api_server, host):
    status, _ = await api_server.ask(*EXEC, "Host: other")
    assert status == "HTTP/1.1 400 Bad Request"
    assert host.heads == []


async def test_what_is_no_http_is_refused(api_server):
    status, _ = await api_server.ask("\x16\x03 nonsense")
    assert status == "HTTP/1.1 400 Bad Request"


async def test_an_endless_head_is_refused(api_server):
    reader, writer = await api_server.connect()

    async def send():
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        while True:
            writer.write(b"X-Filler: " + b"x" * 65536 + b"\r\n")
            await writer.drain()

    sending = asyncio.create_task(send())
    assert (await reader.readline()).startswith(b"HTTP/1.1 431")
    sending.cancel()
    writer.transport.abort()


async def test_a_head_that_does_not_come_is_given_up(api_server, monkeypatch):
    monkeypatch.setattr("syncer.kubelet.server._HEAD", 0.05)
    reader, writer = await api_server.connect()
    writer.write(b"GET /healthz")
    assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
    writer.transport.abort()


async def test_too_many_streams_are_refused_in_words(api_server, host):
    async def handler(reader, writer):
        writer.write(STREAMING)
        await reader.read()

    host.handler = handler
    connections = [await api_server.connect() for _ in range(3)]
    for reader, writer in connections:
        writer.write(head(*LOGS))
        await reader.readline()
    status, rest = await api_server.ask("GET /healthz HTTP/1.1")
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert b"too many" in rest
    for _, writer in connections:
        writer.transport.abort()


async def test_closing_lets_streams_end(kubelet, api_server, host):
    release = asyncio.Event()

    async def handler(reader, writer):
        writer.write(SWITCHED)
        await release.wait()
        writer.write(b"the end")

    host.handler = handler
    reader, writer = await api_server.connect()
    writer.write(head(*EXEC))
    await reader.readuntil(b"\r\n\r\n")
    closing = asyncio.create_task(kubelet.close(grace=10))
    await asyncio.sleep(0)
    release.set()
    assert await reader.read(-1) == b"the end"
    writer.close()
    await closing


async def test_closing_cuts_streams_that_do_not_end(kubelet, api_server, host):
    async def handler(reader, writer):
        writer.write(STREAMING)
        await reader.read()

    host.handler = handler
    reader, writer = await api_server.connect()
    writer.write(head(*LOGS))
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.wait_for(kubelet.close(grace=0.05), 2)
    assert await reader.read(-1) == b""
    writer.close()
    await asyncio.wait_for(host.closed.wait(), 2)


async def test_a_renewed_certificate_is_used_for_the_next_connection(kubelet, api_server, authority):
    def serial(writer):
        return writer.get_extra_info("peercert")["serialNumber"]

    _, first = await api_server.connect()
    authority.issue("syncer", hosts=("localhost", "127.0.0.1"))
    kubelet.reload()
    _, second = await api_server.connect()
    assert serial(first) != serial(second)
    first.transport.abort()
    second.transport.abort()


async def test_a_ca_that_is_trusted_no_more_opens_nothing_after_a_renewal(kubelet, api_server, authority, tmp_path):
    other = Authority(tmp_path / "other")
    authority.certificate.write_bytes(other.certificate.read_bytes())
    kubelet.reload()
    reader, writer = await api_server.connect()
    writer.write(head(*LOGS))
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.transport.abort()
