"""Installs what the platform runs on into the tools directory, then runs a program from it.

Standard library only: this is the first thing that runs on a fresh machine. Use it through
``scripts/with-tools``, which finds Python 3.11. Everything comes from the hashed locks in
``requirements/``, with the registry, mirror and certificates of the user's own pip configuration.

Each part (the platform's environment, Flink's environment, the jars) has a stamp that holds the
digest of its lock. The stamp is written last and removed first, so a part that was interrupted
has none and is built anew; one whose lock changed is brought up to date in place; with fresh
stamps nothing is done at all.

Exit codes: 2 something is missing on this machine, 1 the installation failed, 130 interrupted;
otherwise that of the program.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import registry_settings
from installer import LOCKS, REPOSITORY, Installer, InstallFailed, Missing, Stamp, say

FREE_SPACE_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class Part:
    """One thing to install: its directory under the tools, its locks, how to build it."""

    name: str
    directory: Path
    locks: tuple[Path, ...]
    # The last argument says whether the directory holds a complete earlier installation.
    build: Callable[[Installer, Part, bool], None]

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.directory / f".emdata-{self.name}", self.locks)


def build_platform(installer: Installer, part: Part, complete: bool) -> None:
    """The platform's environment: hashed wheels, then our own packages (editable)."""
    installer.make_environment(part.directory, complete=complete)
    locks = [flag for lock in part.locks if lock.suffix == ".txt" for flag in ("-r", lock)]
    # A lock names everything that is installed; `requirements/left-out` says what is not.
    installer.install(part.directory, "--no-deps", "--require-hashes", "--no-build", *locks)
    installer.install(part.directory, "--no-deps", "--no-build-isolation", "-e", REPOSITORY)


def build_flink(installer: Installer, part: Part, complete: bool) -> None:
    """Flink's environment: its source-only packages are built with the locked setuptools."""
    build, lock = part.locks
    installer.make_environment(part.directory, complete=complete)
    installer.install(part.directory, "--require-hashes", "--no-build", "-r", build)
    installer.install(part.directory, "--require-hashes", "--no-build-isolation", "-r", lock)


def build_jars(installer: Installer, part: Part, _complete: bool) -> None:
    """The servers' jars, fetched and verified by the platform's own code."""
    python = installer.tools / "platform" / "bin" / "python"
    part.directory.mkdir(parents=True, exist_ok=True)
    installer.run("jars", python, "-m", "runtime.install", part.locks[0], part.directory)


def build_dev(installer: Installer, part: Part, _complete: bool) -> None:
    """The tools of `make check` and `make test`, added to the platform's environment."""
    locks = [flag for lock in part.locks for flag in ("-r", lock)]
    installer.install(part.directory, "--no-deps", "--require-hashes", "--no-build", *locks)


def parts(tools: Path, *, dev: bool) -> tuple[Part, ...]:
    """Every part, the platform first: the others need it or its installer."""
    platform_lock = LOCKS / "platform.txt"
    base = (
        Part(
            "platform",
            tools / "platform",
            (REPOSITORY / "pyproject.toml", platform_lock),
            build_platform,
        ),
        Part(
            "flink", tools / "flink", (LOCKS / "flink-build.txt", LOCKS / "flink.txt"), build_flink
        ),
        Part("jars", tools / "jars", (LOCKS / "jars.lock",), build_jars),
    )
    if not dev:
        return base
    return (*base, Part("dev", tools / "platform", (platform_lock, LOCKS / "dev.txt"), build_dev))


def install(tools: Path, home: Path, *, dev: bool) -> None:
    """Build every part that is not fresh. Safe to interrupt and to run twice at once."""
    wanted = parts(tools, dev=dev)
    if all(part.stamp.is_fresh() for part in wanted):
        return
    _refuse_other_repository(wanted[0])
    tools.mkdir(parents=True, exist_ok=True)
    (home / "logs").mkdir(parents=True, exist_ok=True)
    with _only_one(tools / ".lock"):
        stale = [part for part in wanted if not part.stamp.is_fresh()]
        if not stale:
            return
        _refuse_while_running(tools, stale)
        _check_disk(tools)
        installer = Installer(tools, home / "logs" / "install.log")
        say(f"Installing into {tools} (log: {installer.log})")
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            say(f"  note: {platform.system()} {platform.machine()} is best effort, untested")
        _timed("installer", installer.prepare)
        if stale[0].name == "platform":
            _build(installer, stale[0])
            stale = [part for part in wanted if not part.stamp.is_fresh()]
        with ThreadPoolExecutor(max_workers=2) as pool:
            for future in [pool.submit(_build, installer, part) for part in stale]:
                future.result()
        installer.remove_cache()


def _build(installer: Installer, part: Part) -> None:
    def build() -> None:
        complete = part.stamp.found().get("python") == platform.python_version()
        part.stamp.remove()
        part.build(installer, part, complete)
        part.stamp.write()

    say(f"  {part.name}: installing")
    _timed(part.name, build)


def _timed(name: str, step: Callable[[], None]) -> None:
    started = time.monotonic()
    step()
    say(f"  {name}: ready ({time.monotonic() - started:.0f} s)")


def _check_disk(tools: Path) -> None:
    free = shutil.disk_usage(tools).free
    if free < FREE_SPACE_BYTES:
        raise Missing(
            f"{tools} has {free / 1024**3:.1f} GiB free; the installation needs "
            f"{FREE_SPACE_BYTES / 1024**3:.0f} GiB; free some space, or set EMDATA_TOOLS to "
            "a directory on another disk"
        )


def _refuse_other_repository(part: Part) -> None:
    """Tools belong to one checkout: its packages are installed from there."""
    other = part.stamp.found().get("repository", str(REPOSITORY))
    if other != str(REPOSITORY) and (Path(other) / "scripts" / "bootstrap.py").exists():
        raise Missing(
            f"{part.directory.parent} belongs to the checkout {other}; set EMDATA_TOOLS to a "
            "directory of this checkout, or run the other one"
        )


def _refuse_while_running(tools: Path, stale: Sequence[Part]) -> None:
    """An environment must not be replaced under running servers."""
    replaced = [part for part in stale if part.name != "dev" and part.stamp.found()]
    running = [pid for part in replaced for pid in _processes_using(part.directory)]
    if running:
        raise Missing(
            f"the locks changed, and {len(running)} processes run from {tools} "
            f"(such as {running[0]}); stop the platform (`make stop`) and start again"
        )


def _processes_using(directory: Path) -> list[int]:
    """Processes (Linux: /proc) whose command line names something in the directory."""
    needle = os.fsencode(f"{directory}/")
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if needle in entry.read_bytes():
                found.append(int(entry.parent.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended meanwhile, or another user's
    return found


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another installation is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def directories(environ: dict[str, str]) -> tuple[Path, Path]:
    """Where run-time files and tools are: from the environment, ``.env`` or defaults."""
    values = registry_settings.read_dotenv(REPOSITORY / ".env") | environ
    home = Path(values.get("EMDATA_HOME") or REPOSITORY / ".emdata").expanduser()
    tools = Path(values.get("EMDATA_TOOLS") or home / "tools").expanduser()
    return home.absolute(), tools.absolute()


def execute(tools: Path, program: str, arguments: Sequence[str]) -> None:
    """Replace this process by a program of the platform's environment, which leads its PATH."""
    programs = tools / "platform" / "bin"
    environ = dict(os.environ)
    environ["PATH"] = os.pathsep.join([str(programs), environ.get("PATH", os.defpath)])
    environ.setdefault("EMDATA_TOOLS", str(tools))
    environ.pop("PYTHONHOME", None)
    found = shutil.which(program, path=environ["PATH"])
    if found is None:
        raise Missing(f"the program {program} is neither in {programs} nor on the PATH")
    os.execve(found, [program, *arguments], environ)  # noqa: S606 (no shell: that is the point)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/with-tools", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--dev", action="store_true", help="with the tools of `make check` and `make test`"
    )
    parser.add_argument(
        "--installed", action="store_true", help="do not install; fail when nothing is"
    )
    parser.add_argument("program", nargs="?", help="program of the platform's environment to run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    home, tools = directories(dict(os.environ))
    try:
        if not options.installed:
            install(tools, home, dev=options.dev)
        elif not parts(tools, dev=False)[0].stamp.found():
            raise Missing(
                f"nothing is installed in {tools}; run `make start` or `make dev-setup` first"
            )
        if options.program:
            execute(tools, options.program, options.arguments)
    except Missing as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except InstallFailed as error:
        print(
            f"error: {error}\n"
            f"the next run goes on from here; the whole output is in {home}/logs/install.log",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
