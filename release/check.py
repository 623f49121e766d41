"""Checks what has been built: metadata, contents, versions and ranges.

python -m release.check DIST [ROOT]     # one line a problem; the exit code is 1 if there is one
"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

from packaging.version import Version

from release.packages import ROOT, Package, packages

PYTHONS = ("3.11", "3.12", "3.13")
"""Those that a run of the tests has shown."""
_CLASSIFIERS = (
    "Intended Audience :: Developers",
    "Typing :: Typed",
    *(f"Programming Language :: Python :: {version}" for version in PYTHONS),
)
_URLS = ("Homepage", "Documentation", "Source", "Changelog", "Issues")
# In parts, so that this file does not have them.
_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("repo1", "maven", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
    )
)
_LINK = re.compile(r"\]\((?!https?://|#)([^)]+)\)")


def problems(package: Package, dist: Path, all_packages: list[Package]) -> Iterator[str]:
    """What is wrong with a package as it was built.

    Args:
        package: It.
        dist: Where wheels and source distributions are.
        all_packages: All of the workspace.
    """
    stem = f"{package.module}-{package.version}"
    wheel, sdist = dist / f"{stem}-py3-none-any.whl", dist / f"{stem}.tar.gz"

    for built in (wheel, sdist):
        if not built.exists():
            yield f"{built.name} was not built"
            return

    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name: archive.read(name) for name in archive.namelist()}

    with tarfile.open(sdist) as archive_:
        in_sdist = {name.split("/", 1)[-1] for name in archive_.getnames()}

    metadata = Parser().parsestr(in_wheel[f"{stem}.dist-info/METADATA"].decode())
    yield from _metadata(package, metadata)
    yield from _contents(package, in_wheel, in_sdist)
    yield from _ranges(package, all_packages)


def _metadata(package: Package, metadata: Message) -> Iterator[str]:
    expected = {
        "Name": package.name,
        "Version": package.version,
        "License-Expression": "MIT",
        "Requires-Python": ">=3.11",
        "Description-Content-Type": "text/markdown",
    }

    for field, value in expected.items():
        if metadata[field] != value:
            yield f"{field} is {metadata[field]!r}, not {value!r}"

    for field in ("Summary", "Keywords", "License-File"):
        if not metadata[field]:
            yield f"there is no {field}"

    if not (metadata["Author"] or metadata["Author-email"]):
        yield "there is no Author"

    classifiers = metadata.get_all("Classifier", [])
    yield from (f"the classifier {each!r} is missing" for each in _CLASSIFIERS if each not in classifiers)
    urls = {each.split(",")[0] for each in metadata.get_all("Project-URL", [])}
    yield from (f"the URL {each!r} is missing" for each in _URLS if each not in urls)

    try:
        package.notes()
    except LookupError as error:
        yield str(error)


def _contents(package: Package, in_wheel: dict[str, bytes], in_sdist: set[str]) -> Iterator[str]:
    if f"{package.module}/py.typed" not in in_wheel:
        yield "py.typed is not in the wheel"

    for name in in_wheel:
        if not name.startswith((f"{package.module}/", f"{package.module}-{package.version}.dist-info/")):
            yield f"{name} is in the wheel"

    for name in ("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", f"src/{package.module}/py.typed"):
        if name not in in_sdist:
            yield f"{name} is not in the source distribution"

    for name, content in in_wheel.items():
        yield from (f"{name} names the registry {host}" for host in _HOSTS if host.encode() in content)


def _ranges(package: Package, all_packages: list[Package]) -> Iterator[str]:
    versions = {each.name: each.version for each in all_packages}

    for requirement in package.siblings:
        if not requirement.specifier.contains(versions[requirement.name], prereleases=True):
            yield f"{requirement} does not admit {requirement.name} {versions[requirement.name]}, which is built with it"

        if all(specifier.operator not in ("<", "~=", "==") for specifier in requirement.specifier):
            yield f"{requirement} admits versions that break it; end it below the next one"

    if Version(package.version).is_devrelease:
        yield f"{package.version} is not to be released"


def main(dist: Path, root: Path) -> int:
    """Check all packages.

    Returns:
        1 if something is wrong, else 0.
    """
    every = packages(root)
    found = [f"{package.name}: {problem}" for package in every for problem in problems(package, dist, every)]
    print("\n".join(found) or f"{len(every)} packages are ready to be released")

    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else ROOT))
