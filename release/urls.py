"""Writes the addresses of the project into the packages, in a clone that is to be built from.

    python -m release.urls https://github.com/OWNER/REPOSITORY [ROOT]

They are not in the repository: it does not know where it is hosted. The workflow that publishes does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from release.packages import ROOT, Package, packages

_TABLE = "\n[project.urls]\n"


def urls(package: Package, repository: str) -> dict[str, str]:
    """The addresses of a package.

    Args:
        package: It.
        repository: Where the repository is hosted.
    """
    folder = f"{repository}/tree/main/packages/{package.folder.name}"

    return {
        "Homepage": repository,
        "Documentation": f"{repository}/tree/main/docs",
        "Source": folder,
        "Changelog": f"{repository}/blob/main/packages/{package.folder.name}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


def write(repository: str, root: Path) -> None:
    """Write them, in place of those that are there.

    Args:
        repository: Where the repository is hosted.
        root: The clone.
    """
    for package in packages(root):
        path = package.folder / "pyproject.toml"
        before = path.read_text("utf-8").split(_TABLE)[0].rstrip("\n")
        lines = "".join(f'{name} = "{url}"\n' for name, url in urls(package, repository.rstrip("/")).items())
        path.write_text(f"{before}\n{_TABLE}{lines}", "utf-8")


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]) if sys.argv[2:] else ROOT)
