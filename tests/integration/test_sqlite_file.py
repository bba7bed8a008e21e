"""The file that holds a virtual cluster by default."""

from __future__ import annotations

from syncer.snapshots.store import connect
from syncer.values import Store
from tests.integration.conftest import ApiServerPair

LOG = 12 << 20
"""More bytes than the write-ahead log may have; SQLite empties it when it holds 4 MB and no reader needs it."""
VALUE = 20_000
CHANGES = 2 * LOG // VALUE


async def test_the_write_ahead_log_is_emptied_while_changes_come_in(api_server_pair: ApiServerPair) -> None:
    server = api_server_pair.virtual
    store = await connect(Store(endpoints=(server.store_url,), prefix="/changing"), patience=10)
    try:
        assert await store.create(b"key", bytes(VALUE))
        for number in range(CHANGES):
            pair = await store.get(b"key")
            assert pair is not None
            assert await store.update(pair, number.to_bytes(2) * (VALUE // 2))
    finally:
        store.close()

    assert (server.folder / "store" / "state.db-wal").stat().st_size < LOG
