"""The tools of other languages: where they are, and programs of this folder built with them.

Packages come from each language's own registry, by its own client, as this machine sets it up; what is there already is not fetched
again. Whatever a program cannot be built without, and is not to be had here, is a `LanguageUnavailableError` that says so.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
JS, JAVA, GO_ENGINE, GO_SDK = HERE / "js", HERE / "java", HERE / "go", HERE / "gosdk"
"""The programs, each in a folder."""
ZIPKIN = "3.5.1"
OLDEST_NODE = 20
OLDEST_JAVA = 17
BUILT_WITHIN = 580
"""Seconds; the first build may fetch much, and durabletask-go's engine translates SQLite, which takes a minute."""

_NOT_HAD = re.compile(
    r"offline mode|Could not transfer|Could not resolve|Could not find artifact|could not be resolved|Non-resolvable"
)
_SMALL = "-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"


class LanguageUnavailableError(Exception):
    """A language's programs cannot run here; says what is missing."""


def node() -> str:
    """Node, with the SDK installed from npm in `js/node_modules`, as `js/package.json` pins it."""
    needs = "so npm's @microsoft/durabletask-js cannot run"
    found, npm = shutil.which("node"), shutil.which("npm")

    if found is None or npm is None:
        raise LanguageUnavailableError(f"no node and npm on the path, {needs}")

    version = _output([found, "--version"]).removeprefix("v")

    if int(version.split(".")[0]) < OLDEST_NODE:
        raise LanguageUnavailableError(f"node {version} is too old, {needs}; {OLDEST_NODE} would do")

    with _alone("js"):
        if not _installed():
            options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            ran = subprocess.run([npm, "install", *options], cwd=JS, capture_output=True, text=True, check=False)

            if ran.returncode != 0 or not _installed():
                said = ran.stderr.strip().splitlines() or ["nothing"]
                raise LanguageUnavailableError(f"npm install failed, {needs}; it said: {said[0]}")

    return found


def maven(*goals: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run Maven on `java/`, which has the SDK from Maven Central in the version of its `pom.xml`.

    It is first run without the network, and with it only if something is missing.

    Args:
        goals: What it is to do, and options.
        environment: What is set for it besides our own environment.

    Returns:
        How that went.

    Raises:
        LanguageUnavailableError: There is no Java or no Maven, or packages that are not here cannot be fetched.
    """
    needs = "so Maven's com.microsoft:durabletask-client cannot run"
    java, found = shutil.which("java"), shutil.which("mvn")

    if java is None or found is None:
        raise LanguageUnavailableError(f"no java and mvn on the path, {needs}")

    version = re.search(r"^java\.specification\.version=([\d.]+)", _properties(java), re.MULTILINE)

    if version is None or float(version[1]) < OLDEST_JAVA:
        raise LanguageUnavailableError(f"java is older than {OLDEST_JAVA}, {needs}")

    settings = {**os.environ, "MAVEN_OPTS": _SMALL, **(environment or {})}

    for options in (["--offline"], []):
        ran = subprocess.run(
            [found, "--batch-mode", "--quiet", "-Dstyle.color=never", *options, *goals],
            cwd=JAVA,
            env=settings,
            capture_output=True,
            text=True,
            timeout=BUILT_WITHIN,
            check=False,
        )
        missing = [line for line in ran.stdout.splitlines() if "[ERROR]" in line and _NOT_HAD.search(line)]

        if ran.returncode == 0 or not missing:
            return ran

    raise LanguageUnavailableError(
        f"maven cannot fetch what it needs, {needs}; it said: {missing[0].split('[ERROR] ')[-1][:300]}"
    )


def zipkin_jar() -> Path:
    """Zipkin's server, from Maven Central.

    Raises:
        LanguageUnavailableError: As of `maven`.
    """
    kept = HERE.parent / ".nox" / f"zipkin-server-{ZIPKIN}-exec.jar"

    with _alone("zipkin"):
        if not kept.exists():
            artifact = f"io.zipkin:zipkin-server:{ZIPKIN}:jar:exec"
            ran = maven("dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={kept.parent}")

            if ran.returncode != 0:
                raise LanguageUnavailableError(f"{artifact} cannot be had: {ran.stdout.strip()[:300]}")

    return kept


def java_program(main: str) -> list[str]:
    """The command that runs a class of `java/src/main`, compiled.

    Args:
        main: The class.

    Raises:
        LanguageUnavailableError: As of `maven`.
        RuntimeError: It does not compile.
    """
    with alone_in_java():
        ran = maven("compile")

    if ran.returncode != 0:
        raise RuntimeError(f"{JAVA} does not compile:\n{ran.stdout}")

    target = JAVA / "target"
    path = os.pathsep.join([str(target / "classes"), (target / "classpath.txt").read_text("utf-8")])

    return [shutil.which("java") or "java", *_SMALL.split(), "-cp", path, main]


def alone_in_java() -> AbstractContextManager[None]:
    """While this is held, nobody else builds or tests in `java/`."""
    return _alone("java")


def go_program(module: Path, package: str, output: Path) -> Path:
    """A program of Go, built.

    Args:
        module: The folder of its `go.mod`.
        package: Of the program, relative to that.
        output: The file that it is to be.

    Raises:
        LanguageUnavailableError: There is no Go, or modules that are not here cannot be fetched.
        RuntimeError: It does not compile.
    """
    return _go_built(module, "build", output, package)


def go_tests(module: Path, output: Path) -> Path:
    """The tests in the folder of a `go.mod`, built into one program; raises as `go_program` does."""
    return _go_built(module, "test", output, "-c", ".")


def _go_built(module: Path, command: str, output: Path, *what: str) -> Path:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")

    if go is None:
        raise LanguageUnavailableError("no go on the path, so durabletask-go cannot be built")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [go, *arguments], cwd=module, capture_output=True, text=True, timeout=BUILT_WITHIN, check=False
        )

    # This fetches, and does not compile.
    fetched = run("list", "-mod=readonly", "-deps", "-test", "./...")

    if fetched.returncode != 0:
        said = fetched.stderr.strip().splitlines() or ["nothing"]
        raise LanguageUnavailableError(
            f"modules of Go are missing, so durabletask-go cannot be built; go said: {said[-1]}"
        )

    built = run(command, "-mod=readonly", "-buildvcs=false", "-o", str(output), *what)

    if built.returncode != 0:
        raise RuntimeError(f"{module} does not compile:\n{built.stderr}")

    return output


@contextmanager
def _alone(what: str) -> Iterator[None]:
    with (Path(tempfile.gettempdir()) / f"durabletask-{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _installed() -> bool:
    """Whether `node_modules` has what `package.json` pins."""
    pins: dict[str, str] = json.loads((JS / "package.json").read_text("utf-8"))["dependencies"]

    for name, version in pins.items():
        manifest = JS / "node_modules" / name / "package.json"

        if not manifest.exists() or json.loads(manifest.read_text("utf-8"))["version"] != version:
            return False

    return True


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _properties(java: str) -> str:
    # It prints them where errors go, indented and with blanks around the sign.
    said = subprocess.run([java, "-XshowSettings:properties", "-version"], capture_output=True, text=True, check=False)

    return re.sub(r"^\s+(\S+) = ", r"\1=", said.stderr, flags=re.MULTILINE)
