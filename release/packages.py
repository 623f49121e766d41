"""What a package says of itself: in its `pyproject.toml`, and in its changelog."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package of the workspace."""

    folder: Path
    project: Mapping[str, Any]
    """The table `project` of its `pyproject.toml`."""

    @property
    def name(self) -> str:
        """As on an index."""
        return str(self.project["name"])

    @property
    def module(self) -> str:
        """As it is imported."""
        return self.name.replace("-", "_")

    @property
    def version(self) -> str:
        """The one that is built next."""
        return str(self.project["version"])

    @property
    def siblings(self) -> list[Requirement]:
        """The packages of the workspace that it needs, with the ranges that it allows."""
        requirements = map(Requirement, self.project.get("dependencies", ()))

        return [each for each in requirements if each.name.startswith("durabletask-")]

    def notes(self, version: str | None = None) -> str:
        """What its changelog says of a version.

        Args:
            version: Which; None for the one that is built next.

        Raises:
            LookupError: There is nothing about it.
        """
        text = (self.folder / "CHANGELOG.md").read_text("utf-8")
        wanted = re.escape(version or self.version)
        found = re.search(rf"^## {wanted}(?: [^\n]*)?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)

        if found is None or not found[1].strip():
            raise LookupError(
                f"{self.name}: CHANGELOG.md has no section '## {version or self.version}' with something in it"
            )

        return found[1].strip() + "\n"


def packages(root: Path = ROOT) -> list[Package]:
    """All packages, by name.

    Args:
        root: Of the workspace, or of a copy of it.
    """
    return [
        Package(folder=path.parent, project=tomllib.loads(path.read_text("utf-8"))["project"])
        for path in sorted(root.glob("packages/*/pyproject.toml"))
    ]


def package(name: str, root: Path = ROOT) -> Package:
    """One of them.

    Raises:
        LookupError: There is none of that name.
    """
    for each in packages(root):
        if each.name == name:
            return each

    raise LookupError(f"there is no package {name!r}; there are {', '.join(each.name for each in packages(root))}")
