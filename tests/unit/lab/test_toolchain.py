"""Pinned programs."""

from __future__ import annotations

import dataclasses
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import toolchain
from lab.__main__ import main


@pytest.mark.parametrize("program", toolchain.BY_NAME.values(), ids=lambda program: program.name)
def test_every_program_is_pinned_to_a_release(program) -> None:
    assert re.fullmatch(r"v\d+\.\d+\.\d+", toolchain.version(program.module))


@pytest.mark.parametrize("minor", toolchain.OLDER_MINORS)
def test_a_folder_of_an_older_minor_version_pins_a_release_of_it(minor) -> None:
    assert toolchain.version(f"kubernetes-{minor}").startswith(f"v{minor}.")


def test_older_minor_versions_lead_up_to_that_of_the_lab_without_a_gap() -> None:
    minors = [int(minor.removeprefix("1.")) for minor in toolchain.OLDER_MINORS]
    (newest,) = re.findall(r"v1\.(\d+)\.", toolchain.version("kubernetes"))

    assert minors == list(range(minors[0], int(newest)))


def test_older_programs_are_built_only_when_they_are_named(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(toolchain, "build", lambda names: asked.extend(names) or {})
    main(["tools"])

    assert asked
    assert not set(asked) & {program.name for program in toolchain.OLDER}


def test_conformance_tests_are_of_the_release_of_the_programs() -> None:
    assert toolchain.version("conformance") == toolchain.version("kubernetes")


def test_the_version_is_read_from_a_single_requirement_and_from_a_block(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(toolchain, "MODULES", tmp_path)
    for name, text in {
        "single": "module m\n\nrequire example.test/tool v1.2.3\n",
        "block": "module m\n\nrequire (\n\texample.test/tool v1.2.3\n\tother v9.9.9 // indirect\n)\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "go.mod").write_text(text)

        assert toolchain.version(name) == "v1.2.3"


def test_a_module_without_a_version_is_an_error_with_a_remedy(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(toolchain, "MODULES", tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "go.mod").write_text("module m\n")

    with pytest.raises(toolchain.LabError, match="restore the file"):
        toolchain.version("empty")


def test_a_changed_flag_gives_another_folder(monkeypatch) -> None:
    before = toolchain.path("kubectl")
    changed = dataclasses.replace(toolchain.BY_NAME["kubectl"], ldflags="-X a=b")

    monkeypatch.setitem(toolchain.BY_NAME, "kubectl", changed)

    assert toolchain.path("kubectl") != before


def test_data_files_lie_beside_their_program() -> None:
    files = toolchain.files("kwok")

    assert {file.parent for file in files} == {toolchain.path("kwok").parent}
    assert {file.name for file in files} >= {"node-initialize.yaml", "pod-ready.yaml"}


def test_two_checkouts_that_need_a_program_at_once_build_it_once(monkeypatch, tmp_path) -> None:
    built = []

    def build_one(go, program, binary, *, label) -> None:
        built.append(program.name)
        time.sleep(0.05)
        binary.touch()

    monkeypatch.setenv("SUBLET_CACHE", str(tmp_path))
    monkeypatch.setattr(toolchain, "find_go", lambda: "go")
    monkeypatch.setattr(toolchain, "_build_one", build_one)
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(toolchain.build, ["helm"]) for _ in range(4)]

    assert [answer.result() for answer in answers] == [{"helm": toolchain.path("helm")}] * 4
    assert built == ["helm"]
