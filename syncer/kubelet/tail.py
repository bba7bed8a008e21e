"""The end of a log, told apart from its text.

A client of ours that reads text and end at once may lose the text: kube-apiserver does when it passes a log on over a WebSocket. Go
reads both at once from an answer with a Content-Length, and from a chunked one whose last chunk lies in the same TLS record. A real
kubelet speaks HTTP/2, where that cannot happen. So every log goes out chunked, and its last chunk as a write, a record, of its own.
https://github.com/kubernetes/kubernetes/blob/v1.36.3/staging/src/k8s.io/apimachinery/pkg/util/httpstream/wsstream/stream.go
"""

from __future__ import annotations

import re
from contextlib import suppress

from syncer.kubelet.splice import Sink, pump
from syncer.kubelet.tls import TlsStream

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([1-9][0-9]*)[ \t]*(?=\r\n|$)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


async def pass_log(start: bytes, source: TlsStream, sink: Sink) -> None:
    """Passes a log on whose answer begins with `start`, its whole head at least. An answer that breaks off stays one that does."""
    head, _, text = start.partition(_HEAD_END)
    length = _LENGTH.search(head)
    if length is None:
        await pump(source, _apart(sink), first=start)
        return
    left = int(length[1])
    chunked = head.replace(length[0], b"\r\nTransfer-Encoding: chunked") + _HEAD_END + b"%x\r\n" % left

    async def counted(data: bytes) -> None:
        nonlocal left
        left -= len(data)
        await sink(data)

    with suppress(OSError):
        await sink(chunked)
        await pump(source, counted, first=text)
        if left == 0:
            await sink(b"\r\n")
            await sink(_LAST_CHUNK)


def _apart(sink: Sink) -> Sink:
    """A sink that gets a last chunk alone, wherever it was read."""

    async def write(data: bytes) -> None:
        text = data.removesuffix(_LAST_CHUNK)
        await sink(text)
        if len(text) < len(data):
            await sink(_LAST_CHUNK)

    return write
