"""What can be told of the transport without a network; the rest is in tests/integration."""

from __future__ import annotations

from asyncio import sslproto

import syncer.kube.transport


def test_asyncio_still_has_the_knob_for_its_tls_buffers() -> None:
    assert syncer.kube.transport.__name__
    assert sslproto.SSLProtocol.max_size == 32 * 1024
