"""Records of daemons: nothing that is not ours is ever taken for ours."""

from __future__ import annotations

import dataclasses
import os

import pytest

from lab import layout, processes
from lab.processes import Daemon, Record


@pytest.fixture(autouse=True)
def run_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUN", tmp_path)
    (tmp_path / "processes").mkdir()
    return tmp_path


def own_record() -> Record:
    started = processes._start_time(os.getpid())
    return Record(name="me", pid=os.getpid(), started=started, boot=processes._boot(), identity="x")


def test_a_running_process_is_alive() -> None:
    assert own_record().alive


def test_a_reused_process_id_is_not_alive() -> None:
    assert not dataclasses.replace(own_record(), started=1).alive


def test_a_process_of_an_earlier_boot_is_not_alive() -> None:
    assert not dataclasses.replace(own_record(), boot="another").alive


def test_a_process_that_is_gone_is_not_alive() -> None:
    assert not dataclasses.replace(own_record(), pid=2**22 + 1).alive


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"unknown": 1}'])
def test_a_damaged_record_is_no_record(run_folder, text) -> None:
    (run_folder / "processes" / "broken.json").write_text(text)

    assert processes.find("broken") is None
    assert processes.known() == []


def test_stopping_what_was_never_started_is_no_error() -> None:
    processes.stop("nothing")


def test_stopping_a_stale_record_signals_nobody(run_folder) -> None:
    stale = dataclasses.replace(own_record(), started=1)
    (run_folder / "processes" / "me.json").write_text(processes.json.dumps(dataclasses.asdict(stale)))

    processes.stop("me", grace=0)

    assert processes.find("me") is None


def test_a_changed_configuration_file_changes_the_identity(tmp_path) -> None:
    config = tmp_path / "config"
    config.write_text("one")
    daemon = Daemon(name="d", command=("true",), cgroup="c", reads=(config,))
    before = daemon.identity

    config.write_text("two")

    assert daemon.identity != before
