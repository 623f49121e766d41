"""Releases: versions, changelogs, addresses, workflows; and what the check finds."""

from __future__ import annotations

import re
import shutil
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from release.check import problems
from release.notes import tagged
from release.packages import ROOT, package, packages
from release.urls import write

WORKFLOWS = ROOT / ".github" / "workflows"


def test_each_package_has_notes_of_its_version() -> None:
    assert len(packages()) == 7
    assert all(each.notes() for each in packages())


def test_the_tag_names_package_and_version() -> None:
    client = package("durabletask-client")
    assert tagged(f"durabletask-client-v{client.version}") == client

    for tag in ("durabletask-client-v99.0.0", "v0.1.0", "durabletask-nothing-v0.1.0"):
        with pytest.raises(LookupError):
            tagged(tag)


def test_addresses_are_written_into_a_clone(tmp_path: Path) -> None:
    for each in packages():
        (tmp_path / "packages" / each.name).mkdir(parents=True)
        shutil.copy(each.folder / "pyproject.toml", tmp_path / "packages" / each.name)

    write("https://example.org/one/", tmp_path)
    write("https://example.org/two", tmp_path)
    urls = tomllib.loads((tmp_path / "packages" / "durabletask-client" / "pyproject.toml").read_text("utf-8"))
    assert urls["project"]["urls"]["Homepage"] == "https://example.org/two"
    assert "urls" not in package("durabletask-client").project


def test_the_check_says_what_is_wrong(tmp_path: Path) -> None:
    protos = package("durabletask-protos")
    stem = f"durabletask_protos-{protos.version}"

    with zipfile.ZipFile(tmp_path / f"{stem}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", "Metadata-Version: 2.4\nName: durabletask-protos\nVersion: 7\n")
        wheel.writestr("tests/test_it.py", "")
        wheel.writestr("durabletask_protos/here.py", "INDEX = 'https://pypi." + "org/simple'")

    with tarfile.open(tmp_path / f"{stem}.tar.gz", "w:gz"):
        pass

    found = [*problems(protos, tmp_path, packages())]
    assert f"Version is '7', not '{protos.version}'" in found
    assert "py.typed is not in the wheel" in found
    assert "tests/test_it.py is in the wheel" in found
    assert "durabletask_protos/here.py names the registry pypi." + "org" in found
    assert "the URL 'Homepage' is missing" in found
    assert "CHANGELOG.md is not in the source distribution" in found
    assert [*problems(protos, tmp_path / "nowhere", packages())] == [f"{stem}-py3-none-any.whl was not built"]


def test_workflows_are_well_formed_and_run_what_is_there() -> None:
    for path in WORKFLOWS.glob("*.yml"):
        workflow = yaml.safe_load(path.read_text("utf-8"))
        assert workflow["jobs"]
        assert workflow["permissions"] == {"contents": "read"}

        for job in workflow["jobs"].values():
            assert job["timeout-minutes"]

            for step in job["steps"]:
                assert ("uses" in step) != ("run" in step)

    sessions = set(re.findall(r"nox -s ([\w-]+)", (WORKFLOWS / "publish.yml").read_text("utf-8")))
    defined = (ROOT / "noxfile.py").read_text("utf-8")
    assert sessions
    assert all(f'"{name}"' in defined or f"def {name}(" in defined for name in sessions)


def test_the_forms_and_updates_are_well_formed() -> None:
    for path in (*ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"), ROOT / ".github" / "dependabot.yml"):
        assert yaml.safe_load(path.read_text("utf-8"))

    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))["updates"]
    folders = [folder for update in updates for folder in update.get("directories", [update.get("directory")])]
    assert all((ROOT / folder.strip("/")).is_dir() for folder in folders)


def test_the_container_runs_as_nobody_in_particular() -> None:
    lines = (ROOT / "Containerfile").read_text("utf-8").splitlines()
    instructions = [line.split(" ", 1) for line in lines if re.match(r"[A-Z]+ ", line)]
    last_stage = instructions[max(index for index, (name, _) in enumerate(instructions) if name == "FROM") :]
    said = dict(last_stage)
    assert said["USER"] == "10001"
    assert said["VOLUME"] == "/data"
    assert said["HEALTHCHECK"].endswith('CMD ["durabletask-server", "health"]')
    assert said["ENTRYPOINT"] == '["durabletask-server"]'
