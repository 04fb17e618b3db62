"""Docker's engine and Compose, through their own command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from emdata.errors import ServiceError
from emdata.paths import Mode
from emdata.settings import REPOSITORY, Settings, environment_names
from runtime.environment import settings_environment

ENGINE_VERSION = (20, 10)
COMPOSE_VERSION = (2, 20)
HA, TLS, TLS_HA = "docker-compose.ha.yml", "docker-compose.tls.yml", "deploy/compose/tls-ha.yml"
_QUESTION_TIMEOUT_S = 60.0
_AMOUNT = re.compile(r"([\d.]+)(B|KiB|MiB|GiB)")
_UNITS = {"B": 1e-6, "KiB": 1.024e-3, "MiB": 1.048576, "GiB": 1073.741824}


class EngineMissing(ServiceError):
    """No container engine answers on this machine."""

    code = "no_container_engine"


@dataclass(frozen=True)
class Container:
    """One container as the engine sees it. ``health`` is empty where none is declared."""

    name: str
    service: str
    state: str
    health: str
    exit_code: int
    status: str

    @property
    def is_ready(self) -> bool:
        """Whether it runs and is healthy, or has done its work and ended well."""
        if self.state == "exited":
            return self.exit_code == 0
        return self.state == "running" and self.health in ("", "healthy")


def engine_version() -> tuple[int, int]:
    """Version of the engine that answers; raises EngineMissing saying why none does."""
    if shutil.which("docker") is None:
        raise EngineMissing("containers: the program `docker` was not found on the PATH")
    done = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        capture_output=True,
        text=True,
        timeout=_QUESTION_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        why = lines[-1] if lines else f"exit code {done.returncode}"
        raise EngineMissing(f"containers: no engine answers: {why}")
    return _version(done.stdout)


def compose_version() -> tuple[int, int] | None:
    """Version of Compose; None for a build without a number. Raises EngineMissing without it."""
    done = subprocess.run(
        ["docker", "compose", "version", "--short"],
        capture_output=True,
        text=True,
        timeout=_QUESTION_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise EngineMissing("containers: `docker compose` (version 2) is not installed")
    text = done.stdout.strip().removeprefix("v")
    return _version(text) if text[:1].isdigit() else None


def project_name(settings: Settings, mode: Mode) -> str:
    """One project, and so one set of volumes, per home and mode; they never share data."""
    folder = "live" if mode == "live" else "simulated"
    if settings.home == REPOSITORY / ".emdata":
        return f"emdata-{folder}"
    return f"emdata-{settings.home.name.strip('.').lower()}-{folder}"


class Compose:
    """`docker compose` with the files, profiles and variables of one platform."""

    def __init__(self, settings: Settings, mode: Mode, secrets: Path) -> None:
        self.settings, self.mode = settings, mode
        self.project = project_name(settings, mode)
        self.environment = {**os.environ, **variables(settings, mode, secrets)}

    def set_variable(self, name: str, value: str) -> None:
        """Fill in one more variable of docker-compose.yml from now on."""
        self.environment[name] = value

    def built_images(self, services: Sequence[str]) -> list[str]:
        """Names of the services' images."""
        config = json.loads(self.ask("config", "--format", "json"))
        return [str(config["services"][service]["image"]) for service in services]

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        files = ["docker-compose.yml", *self.settings.compose_files]
        if self.settings.tls:
            files.append(TLS)
            files.extend([TLS_HA] if HA in self.settings.compose_files else [])
        profiles = [*self.settings.compose_profiles]
        if self.mode == "simulator":
            profiles.append("simulator")
        return [
            *("docker", "compose", "--project-name", self.project),
            *("--project-directory", str(REPOSITORY)),
            *(part for file in files for part in ("--file", str(REPOSITORY / file))),
            *(part for profile in profiles for part in ("--profile", profile)),
            *arguments,
        ]

    def run(self, *arguments: str) -> int:
        """Run with the user's terminal; returns the exit code."""
        return subprocess.run(
            self.command(*arguments), env=self.environment, check=False
        ).returncode

    def ask(self, *arguments: str, timeout: float = _QUESTION_TIMEOUT_S) -> str:
        """Run and return what was printed; raises ServiceError with the last line of an error."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise ServiceError(f"docker compose {' '.join(arguments)}: {lines[-1]}")
        return done.stdout

    def replace(self, *arguments: str) -> None:
        """Become the command, for shells."""
        command = self.command(*arguments)
        os.execvpe(command[0], command, self.environment)  # noqa: S606

    def containers(self) -> list[Container]:
        """All containers of the project, ended ones too."""
        lines = self.ask("ps", "--all", "--format", "json").splitlines()
        return [_container(json.loads(line)) for line in lines if line.strip()]

    def memory_mb(self) -> dict[str, float]:
        """Memory in use (without the page cache) in MB by container name."""
        names = [one.name for one in self.containers() if one.state == "running"]
        if not names:
            return {}
        done = subprocess.run(
            ["docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names],
            capture_output=True,
            text=True,
            timeout=_QUESTION_TIMEOUT_S,
            check=False,
        )
        rows = (line.split() for line in done.stdout.splitlines())
        return {row[0]: megabytes(row[1]) for row in rows if len(row) > 1}


def variables(settings: Settings, mode: Mode, secrets: Path) -> dict[str, str]:
    """What docker-compose.yml is filled in with; passwords travel as files only."""
    values = settings_environment(settings)
    for field in type(settings).model_fields:
        if isinstance(getattr(settings, field), SecretStr):
            del values[environment_names(field)[0]]
    values.pop("COMPOSE_PROFILES", None)  # given as options
    return {**values, "SOURCES": mode, "EMDATA_SECRETS": str(secrets)}


def megabytes(text: str) -> float:
    """``812.4MiB`` as `docker stats` prints it, in MB (10^6)."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ServiceError(f"docker stats: {text!r} is no amount of memory")
    return float(match[1]) * _UNITS[match[2]]


def _version(text: str) -> tuple[int, int]:
    major, minor, *_ = text.strip().split(".")
    return int(major), int(minor)


def _container(row: Mapping[str, Any]) -> Container:
    return Container(
        name=row["Name"],
        service=row["Service"],
        state=row["State"],
        health=row.get("Health", ""),
        exit_code=int(row.get("ExitCode", 0)),
        status=row.get("Status", ""),
    )
