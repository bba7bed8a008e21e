"""Lines and gzip members out of arbitrary chunks."""

from __future__ import annotations

import gzip
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.kube.errors import Unreachable
from syncer.kube.framing import Gunzip, LineSplitter, unpacker


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line)), st.lists(st.integers(min_value=0)))
def test_lines_come_out_whole_wherever_the_stream_is_cut(lines: list[bytes], places: list[int]) -> None:
    splitter = LineSplitter()
    chunks = cut(b"".join(line + b"\n" for line in lines), places)
    assert [line for chunk in chunks for line in splitter.feed(chunk)] == lines


def test_a_line_without_its_end_is_not_given() -> None:
    assert LineSplitter().feed(b'{"type":"ADD') == []


def test_empty_lines_are_no_lines() -> None:
    assert LineSplitter().feed(b"\n\na\n\n") == [b"a"]


def test_a_huge_line_costs_linear_time() -> None:
    splitter = LineSplitter()
    began = time.process_time()
    for _ in range(4000):
        assert splitter.feed(b"x" * 16384) == []
    assert len(splitter.feed(b"\n")[0]) == 4000 * 16384
    assert time.process_time() - began < 1.0


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(min_value=0)))
def test_all_members_of_a_packed_stream_are_unpacked(members: list[bytes], places: list[int]) -> None:
    gunzip = Gunzip()
    chunks = cut(b"".join(gzip.compress(member) for member in members), places)
    assert b"".join(gunzip.feed(chunk) for chunk in chunks) == b"".join(members)


def test_what_was_flushed_is_unpacked_before_the_member_ends() -> None:
    packed = gzip.compress(b"abc" * 1000)
    assert Gunzip().feed(packed[:-8]) == b"abc" * 1000


def test_rubbish_instead_of_gzip_is_an_unreachable_server() -> None:
    with pytest.raises(Unreachable):
        Gunzip().feed(b"<html>")


@pytest.mark.parametrize(("headers", "plain"), [({}, b"a"), ({"content-encoding": "identity"}, b"a")])
def test_a_body_that_nobody_packed_passes(headers: dict[str, str], plain: bytes) -> None:
    assert unpacker(headers).feed(b"a") == plain
