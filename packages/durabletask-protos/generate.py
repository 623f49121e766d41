"""Regenerate the Python code of `durabletask_protos` from its .proto, or check that it is fresh.

Run it apart from the workspace, because what the generators emit sets the oldest grpcio and protobuf we work with:

    uv run --isolated --no-project --with grpcio-tools==1.72.2 --with mypy-protobuf==5.1.0 --with "setuptools<81" \
        python packages/durabletask-protos/generate.py [--check]

The .proto has no package, for that is the wire; but then its symbols would clash with every other generation of the
same protocol in one process (protobuf keeps one pool of names). So the code is generated from a copy with a package,
and the service's wire name is put back into the gRPC code. Protobuf's encoding carries no message names, so nothing
else is affected.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
import tempfile
from importlib import metadata, resources
from pathlib import Path

PACKAGE = "durabletask_protos"
SERVICE = "TaskHubSidecarService"
TARGET = Path(__file__).parent / "src" / PACKAGE
PROTO = TARGET / "orchestrator_service.proto"
GENERATORS = {"grpcio-tools": "1.72.2", "mypy-protobuf": "5.1.0"}
WRONG_GENERATORS = 3
GENERATED = tuple(f"{PROTO.stem}_{suffix}" for suffix in ("pb2.py", "pb2.pyi", "pb2_grpc.py", "pb2_grpc.pyi"))


def require_generators() -> None:
    """Exit with 3 unless the generators are the ones that the committed code comes from."""
    for name, wanted in GENERATORS.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "none"
        if found != wanted:
            sys.stderr.write(f"generate.py needs {name}=={wanted} and found {found}; run it as its docstring says\n")
            sys.exit(WRONG_GENERATORS)


def generate(out: Path) -> dict[str, str]:
    """Generate the code below the directory `out` and return each file's text by its name."""
    from grpc_tools import protoc  # type: ignore[import-not-found]  # here, so that require_generators speaks first

    staged = out / PACKAGE / PROTO.name
    staged.parent.mkdir()
    staged.write_text(
        _replace(r'^(syntax = "proto3";)$', rf"\1\n\npackage {PACKAGE};", PROTO.read_text("utf-8")), "utf-8"
    )
    well_known_types = resources.files("grpc_tools") / "_proto"
    outputs = [f"--{kind}_out={out}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    code = protoc.main(["protoc", f"-I{out}", f"-I{well_known_types}", *outputs, str(staged)])
    if code:
        sys.exit(code)

    files = {name: (out / PACKAGE / name).read_text("utf-8") for name in GENERATED}
    stub = f"{PROTO.stem}_pb2_grpc.py"
    files[stub] = _replace(rf"'(/?){PACKAGE}\.{SERVICE}", rf"'\1{SERVICE}", files[stub])
    return files


def _replace(pattern: str, replacement: str, text: str) -> str:
    changed, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if not count:
        sys.exit(f"nothing matches {pattern}: has the .proto or the generator changed?")
    return changed


def stale(files: dict[str, str]) -> list[str]:
    """Describe each generated file that differs from the committed one."""
    found = []
    for name, fresh in files.items():
        path = TARGET / name
        committed = path.read_text("utf-8") if path.exists() else ""
        if committed != fresh:
            changes = [
                line
                for line in difflib.unified_diff(committed.splitlines(), fresh.splitlines(), n=0, lineterm="")
                if not line.startswith(("---", "+++", "@@"))
            ]
            found.append("\n  ".join([f"{name}: {len(changes)} changed lines", *(line[:120] for line in changes[:10])]))
    return found


def write(files: dict[str, str]) -> None:
    """Put each file in its place at once, so that nobody imports half of one."""
    for name, text in files.items():
        fresh = TARGET / f"{name}.new"
        fresh.write_text(text, "utf-8")
        os.replace(fresh, TARGET / name)


def main() -> None:
    """Regenerate, or with --check compare and exit with 1 on a difference."""
    parser = argparse.ArgumentParser(description="Regenerate the Python code of durabletask_protos.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the committed code is stale")
    check: bool = parser.parse_args().check
    require_generators()
    with tempfile.TemporaryDirectory() as directory:
        files = generate(Path(directory))

    if not check:
        write(files)
    elif differences := stale(files):
        sys.exit("\n".join(["the generated code is stale, run generate.py and commit the result", *differences]))


if __name__ == "__main__":
    main()
