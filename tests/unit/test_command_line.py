"""The rim of the program: what it must be told, and how it refuses to start."""

from __future__ import annotations

import json
import logging

import pytest
import yaml

from syncer import __main__ as program
from syncer.controlplane import renewal
from syncer.values import InvalidValue
from syncer.wiring.surroundings import pod_ip
from tests.unit.test_values import LEAST


def test_a_pod_that_does_not_know_its_address_does_not_start(monkeypatch):
    monkeypatch.delenv("POD_IP", raising=False)
    with pytest.raises(InvalidValue, match="POD_IP"):
        pod_ip()
    monkeypatch.setenv("POD_IP", "192.0.2.1")
    assert pod_ip() == "192.0.2.1"


@pytest.fixture
def plain_logs():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def run(*arguments):
    return program.main([str(argument) for argument in arguments])


@pytest.mark.usefixtures("plain_logs")
@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({**LEAST, "pods": {"enforceTolerations": ["a b"]}}, "sync.toHost.pods.enforceTolerations[0]"),
        ({**LEAST, "logging": {"level": "loud"}}, "logging.level"),
    ],
)
def test_an_invalid_value_ends_the_program_with_its_path_and_the_remedy(tmp_path, capsys, document, path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(document))
    assert run("run", "--config", config, "--pki", tmp_path) == 2
    line = json.loads(capsys.readouterr().err)
    assert line["value"] == path
    assert "use one of" in line["message"] or "write key=value" in line["message"]


@pytest.mark.usefixtures("plain_logs")
def test_a_config_file_that_is_not_there_ends_the_program_with_its_name(tmp_path, capsys):
    assert run("run", "--config", tmp_path / "missing.yaml", "--pki", tmp_path) == 2
    assert "missing.yaml" in json.loads(capsys.readouterr().err)["message"]


async def test_certificates_are_renewed_in_a_process_of_its_own_that_tells_how_it_ended(tmp_path):
    assert not await renewal.renew(tmp_path / "missing.yaml", tmp_path)


@pytest.mark.parametrize("arguments", [[], ["dance"], ["run"], ["pki", "--config", "x"]])
def test_a_command_line_that_makes_no_sense_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err
