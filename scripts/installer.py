"""Runs the steps of an installation, and remembers by stamps which of them are done."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import registry_settings

REPOSITORY = Path(__file__).resolve().parent.parent
LOCKS = REPOSITORY / "requirements"


class Missing(Exception):
    """This machine lacks something; the user has to act (exit code 2)."""


class InstallFailed(Exception):
    """An installation step failed (exit code 1)."""


@dataclass(frozen=True)
class Stamp:
    """Says which locks a directory was built from; any difference means: build it anew."""

    path: Path
    locks: tuple[Path, ...]

    def wanted(self) -> dict[str, str]:
        """What a fresh stamp holds."""
        digest = hashlib.sha256()
        for lock in self.locks:
            digest.update(lock.name.encode() + b"\0" + _installed_bytes(lock))
        return {
            "locks": digest.hexdigest(),
            "python": platform.python_version(),
            "repository": str(REPOSITORY),
        }

    def found(self) -> dict[str, str]:
        """What the stamp holds; empty without one, or when it cannot be read."""
        try:
            stamp = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def is_fresh(self) -> bool:
        return self.found() == self.wanted()

    def remove(self) -> None:
        """Before anything is changed: an interrupted step must leave no stamp."""
        self.path.unlink(missing_ok=True)

    def write(self) -> None:
        """After everything is done."""
        scratch = self.path.with_name(self.path.name + ".new")
        scratch.write_text(json.dumps(self.wanted(), indent=2) + "\n", encoding="utf-8")
        scratch.replace(self.path)


def _installed_bytes(lock: Path) -> bytes:
    """What of a lock decides the installation; of pyproject.toml, not the linters' sections."""
    content = lock.read_bytes()
    if lock.name != "pyproject.toml":
        return content
    tables = tomllib.loads(content.decode())
    kept = [tables["build-system"], tables["project"], tables["tool"]["hatch"]]
    return json.dumps(kept, sort_keys=True).encode()


class Installer:
    """Runs installation steps: output goes to a log file, one line a step to the user."""

    def __init__(self, tools: Path, log: Path) -> None:
        self.tools, self.log = tools, log
        self.bootstrap = tools / ".bootstrap"
        self.environ: dict[str, str] = {}
        self.uv: Path | None = None

    def run(self, what: str, *command: str | Path) -> None:
        """Run a command to its end; raises InstallFailed with the tail of its output."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n# {what}: {' '.join(map(str, command))}\n")
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environ or None,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        with self.log.open("a", encoding="utf-8") as log:
            log.write(done.stdout)
        if done.returncode != 0:
            tail = "\n".join("    " + line for line in done.stdout.splitlines()[-8:])
            raise InstallFailed(f"{what} failed (exit code {done.returncode}):\n{tail}")

    def prepare(self) -> None:
        """Get uv from its lock; raises Missing when this Python cannot make environments."""
        self.environ = registry_settings.clean_environ(os.environ, self.tools / ".cache")
        python = self.bootstrap / "bin" / "python"
        stamp = Stamp(self.bootstrap / ".emdata-installer", (LOCKS / "bootstrap.txt",))
        if not stamp.is_fresh():
            shutil.rmtree(self.bootstrap, ignore_errors=True)
            try:
                self.run(
                    "environment for the installer", sys.executable, "-m", "venv", self.bootstrap
                )
            except InstallFailed as error:
                raise Missing(
                    f"Python at {sys.executable} cannot make an environment with pip:\n{error}\n"
                    "install its venv and ensurepip modules "
                    "(Debian and Ubuntu: the package python3.11-venv)"
                ) from error
            pip = (python, "-m", "pip", "install", "--require-hashes", "--only-binary=:all:")
            self.run("installing uv", *pip, "-r", LOCKS / "bootstrap.txt")
            stamp.write()
        self.environ = registry_settings.for_uv(self.environ, _pip_settings(python, self.environ))
        self.uv = self.bootstrap / "bin" / "uv"

    def remove_cache(self) -> None:
        """Give back the space of what was downloaded and built: a gigabyte."""
        shutil.rmtree(self.tools / ".cache", ignore_errors=True)

    def make_environment(self, directory: Path, *, complete: bool) -> None:
        """An environment to install into.

        One that was ``complete`` is brought up to date in place, which fetches only what changed;
        whatever a killed run left there goes first.
        """
        if complete:
            return
        shutil.rmtree(directory, ignore_errors=True)
        self.run(
            f"environment {directory.name}",
            sys.executable,
            "-m",
            "venv",
            "--without-pip",
            directory,
        )

    def install(self, directory: Path, *arguments: str | Path) -> None:
        """Install into an environment by uv; where uv fails, once more by pip."""
        python = directory / "bin" / "python"
        try:
            self.run(
                f"packages of {directory.name}",
                str(self.uv),
                "pip",
                "install",
                "--python",
                python,
                *arguments,
            )
        except InstallFailed as error:
            say(f"  {directory.name}: uv could not install ({_last_line(error)}); trying pip")
            translated = [
                "--only-binary=:all:" if argument == "--no-build" else argument
                for argument in arguments
            ]
            pip = (self.bootstrap / "bin" / "python", "-m", "pip", "--python", python, "install")
            self.run(f"packages of {directory.name} by pip", *pip, *translated)


def say(line: str) -> None:
    """Tell the user; flushed, because a program may take over the process next."""
    print(line, flush=True)


def _pip_settings(python: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(
        [python, "-m", "pip", "config", "list"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def _last_line(error: InstallFailed) -> str:
    return str(error).strip().splitlines()[-1].strip()
