"""What stands before an Ingress in the tests: passes TLS through by the name that the client asks for, or ends and begins it again.

    python -m tests.e2e.passthrough NAME ADDRESS PORT                            # through
    python -m tests.e2e.passthrough NAME ADDRESS PORT --certificate C --key K --authority A     # re-encrypted

Listens on a free port of 127.0.0.1, which it prints. It runs alone, in the network of a node.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl

_HELLO = 1


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def server_name(hello: bytes) -> str | None:
    """The name in a ClientHello record (RFC 8446, 4.1.2; RFC 6066, 3)."""
    body = hello[5:]
    if not body or body[0] != _HELLO:
        return None
    at = 4 + 2 + 32
    at += 1 + body[at]
    at += 2 + int.from_bytes(body[at : at + 2])
    at += 1 + body[at]
    end = at + 2 + int.from_bytes(body[at : at + 2])
    at += 2
    while at < end:
        kind, size = int.from_bytes(body[at : at + 2]), int.from_bytes(body[at + 2 : at + 4])
        if kind == 0:
            return body[at + 9 : at + 4 + size].decode()
        at += 4 + size
    return None


async def serve(options: argparse.Namespace) -> None:
    """Serves until it is ended."""
    outer = inner = None
    if options.certificate:
        outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        outer.load_cert_chain(options.certificate, options.key)
        inner = ssl.create_default_context(cafile=options.authority)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = b""
        if outer is None:
            head = await reader.readexactly(5)
            first = head + await reader.readexactly(int.from_bytes(head[3:5]))
            if server_name(first) != options.name:
                writer.close()
                return
        name = options.name if inner else None
        there, back = await asyncio.open_connection(options.address, options.port, ssl=inner, server_hostname=name)
        back.write(first)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=outer)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    for option in ("--certificate", "--key", "--authority"):
        parser.add_argument(option)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
