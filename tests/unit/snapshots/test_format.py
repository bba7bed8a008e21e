"""A snapshot's file: what is written is read, and nothing less than all of it is taken."""

from __future__ import annotations

import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.snapshots.format import Damaged, Header, Reader, Writer, verify

HEADER = Header(
    cluster="alpha", kubernetes="1.36.3", store="etcd.embedded", revision=7, time="2026-01-01T00:00:00+00:00"
)
PAIRS = [(b"pods/a/%d" % number, b"v" * number) for number in range(100)]


def written(pairs=PAIRS):
    out = io.BytesIO()
    writer = Writer(out, HEADER)
    for key, value in pairs:
        writer.add(key, value)
    writer.finish()
    return out.getvalue()


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=50), st.binary(max_size=500)), max_size=20))
def test_what_is_written_is_read_again(pairs):
    file = io.BytesIO(written(pairs))
    assert verify(file) == (HEADER, len(pairs))
    assert list(Reader(file).pairs()) == pairs


def test_the_same_keys_make_the_same_file():
    assert written() == written()


def test_no_part_of_a_file_is_taken_for_the_whole():
    whole = written()
    for length in range(len(whole)):
        with pytest.raises(Damaged):
            verify(io.BytesIO(whole[:length]))


def test_no_changed_byte_goes_unnoticed():
    whole = bytearray(written())
    for place in range(10, len(whole)):  # what lies before are flags and a time, which nobody reads
        changed = whole.copy()
        changed[place] ^= 0x55
        with pytest.raises(Damaged):
            verify(io.BytesIO(bytes(changed)))


def test_a_pair_that_is_not_there_any_more_is_missed():
    plain = gzip.decompress(written())
    at = plain.index(PAIRS[50][0]) - 8
    end = plain.index(PAIRS[51][0]) - 8
    with pytest.raises(Damaged, match="not what was written"):
        verify(io.BytesIO(gzip.compress(plain[:at] + plain[end:])))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no snapshot"),
        (b"hello", "no snapshot"),
        (gzip.compress(b"hello"), "no snapshot"),
        (gzip.compress(b"sublet snapshot 2\n{}\n"), "newer version"),
        (gzip.compress(b"sublet snapshot 1\n{}\n"), "header"),
        (written() + written(), "after its end"),
        (gzip.compress(gzip.decompress(written())[:-20]), "end"),
    ],
)
def test_what_is_no_snapshot_is_refused_in_words(content, said):
    with pytest.raises(Damaged, match=said):
        verify(io.BytesIO(content))
