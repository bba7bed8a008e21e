"""Manifests that change in the mounted config document are noticed, and nothing else is."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest
import yaml

from syncer.controlplane import followed
from tests.unit.test_values import LEAST


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


class Clock:
    """Tells the file's changes apart on file systems with coarse times."""

    def __init__(self) -> None:
        self.now = 1_000

    def write(self, file: Path, text: str) -> None:
        self.now += 1
        file.write_text(text)
        os.utime(file, (self.now, self.now))

    def remove(self, file: Path) -> None:
        file.unlink()


def document(manifests: str, **more: object) -> str:
    return yaml.safe_dump({**LEAST, "manifests": manifests, **more})


async def test_each_change_is_told_once_and_a_broken_document_not_at_all(config: Path) -> None:
    clock = Clock()
    clock.write(config, document("a: 1"))
    told: asyncio.Queue[str] = asyncio.Queue()

    async def listen() -> None:
        async with aclosing(followed.manifests(config, "a: 1", every=0.001)) as changes:
            async for text in changes:
                told.put_nowait(text)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.02)
    for text in (document("a: 1", logging={"level": "debug"}), document("a: 2"), "{", document("a: 3")):
        clock.write(config, text)
        await asyncio.sleep(0.05)
    clock.remove(config)
    await asyncio.sleep(0.02)
    clock.write(config, document("a: 4"))

    assert [await asyncio.wait_for(told.get(), 5) for _ in range(3)] == ["a: 2", "a: 3", "a: 4"]
    listening.cancel()
    assert told.empty()
