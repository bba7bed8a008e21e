"""The command line's answers that need no cluster."""

from __future__ import annotations

import pytest

from lab import commands, packages
from lab.__main__ import main
from lab.errors import LabError


def test_without_root_the_user_is_told_to_use_sudo(monkeypatch, capsys) -> None:
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)

    assert main(["up"]) == 1
    assert "sudo" in capsys.readouterr().err


@pytest.mark.parametrize("count", [0, -1, 1000])
def test_an_impossible_number_of_nodes_is_refused_before_anything_happens(monkeypatch, count) -> None:
    monkeypatch.setattr(packages, "check_machine", lambda: None)

    with pytest.raises(LabError, match="out of range"):
        commands.up(nodes=count)


def test_an_unknown_image_is_refused_with_the_list_of_known_ones(monkeypatch, capsys) -> None:
    monkeypatch.setattr(packages, "check_machine", lambda: None)

    assert main(["images", "example.test/nothing:1"]) == 1
    assert "busybox" in capsys.readouterr().err


def test_the_kubeconfig_command_prints_a_path(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("SUBLET_CACHE", str(tmp_path))

    assert main(["kubeconfig"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "lab" / "kubeconfig")


def test_the_environment_can_be_evaluated_by_a_shell(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("SUBLET_CACHE", str(tmp_path))

    main(["env"])

    assert all(line.startswith("export ") for line in capsys.readouterr().out.splitlines())


def test_a_log_that_does_not_exist_is_an_error_that_names_those_that_do(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("SUBLET_CACHE", str(tmp_path))
    (tmp_path / "lab" / "logs").mkdir(parents=True)
    (tmp_path / "lab" / "logs" / "etcd.log").write_text("line\n")

    assert main(["logs", "nothing"]) == 1
    assert "etcd" in capsys.readouterr().err
    assert main(["logs", "etcd"]) == 0
    assert capsys.readouterr().out == "line\n"


def test_a_missing_package_manager_names_the_packages_to_install(monkeypatch) -> None:
    monkeypatch.setattr(packages, "find", lambda command: None)
    monkeypatch.setattr(packages.shutil, "which", lambda command, path=None: None)

    with pytest.raises(LabError, match="buildah"):
        packages.ensure(packages.IMAGES)
