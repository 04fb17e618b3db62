"""`emdata start`, `stop`, `clean` with PROFILE=containers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from emdata.errors import ServiceError
from emdata.paths import Mode, Paths, paths_for
from emdata.settings import Settings
from runtime import mode
from runtime.containers.engine import Compose, Container
from runtime.containers.images import ensure_images
from runtime.containers.preflight import preflight, published_ports
from runtime.containers.secrets import secrets_folder, write_secrets
from runtime.lock import platform_lock
from runtime.start import PreflightFailed

UP_TIMEOUT_S = 900
_MODES: tuple[Mode, ...] = ("live", "simulator")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Up:
    """Containers that are up; ``seconds`` from the first to the last ready one."""

    compose: Compose
    containers: list[Container]
    was_running: bool
    seconds: float


def compose_of(settings: Settings) -> Compose:
    """The project of this home; raises SettingError before the first start decided its mode."""
    return Compose(settings, paths_for(settings).mode, secrets_folder(settings))


def start(settings: Settings, only: str, say: Say) -> Up:
    """Start all containers, or those of ``only`` and what they need; returns when all are ready.

    Raises SettingError, PreflightFailed, or ServiceError naming the containers that are not ready.
    """
    began = time.monotonic()
    settings = mode.ask_contact(settings)
    with platform_lock(settings.home, wait=2.0):
        decided = mode.decide(settings, say)
        secrets = write_secrets(settings)
        compose = Compose(settings, decided, secrets)
        wanted = [name.strip() for name in only.split(",") if name.strip()]
        running = _running(compose)
        if not running:
            _refuse_other_mode(settings, decided)
        ports = published_ports(settings, is_simulated=decided == "simulator")
        unused = {} if running else ports
        problems = preflight(settings, unused, Paths(settings, decided).data)
        if problems:
            raise PreflightFailed(problems)
        ensure_images(compose, say)
        before = {one.name: one.status for one in running if one.is_ready}
        options = ("--detach", "--wait", "--wait-timeout", str(UP_TIMEOUT_S))
        code = compose.run("up", *options, *wanted)
        containers = compose.containers()
        asked = [one for one in containers if not wanted or one.state != "created"]
        not_ready = [one for one in asked if not one.is_ready]
        if not_ready or (code != 0 and not _only_ended_well(containers)):
            raise ServiceError(_explain(not_ready, code))
        was_running = {one.name for one in containers if one.state == "running"} == set(before)
        return Up(compose, containers, was_running, time.monotonic() - began)


def stop(settings: Settings, say: Say) -> int:
    """Stop the containers of both modes; the volumes stay. Returns how many there were."""
    count = 0
    for decided in _MODES:
        compose = Compose(settings, decided, secrets_folder(settings))
        running = _running(compose)
        if running:
            count += len(running)
            if compose.run("down", "--timeout", "30") != 0:
                raise ServiceError(f"containers: {compose.project} could not be stopped; see above")
            say(f"stopped {compose.project}")
    return count


def kill(settings: Settings, say: Say) -> None:
    """End every container at once and remove it; the volumes stay."""
    for decided in _MODES:
        compose = Compose(settings, decided, secrets_folder(settings))
        if _running(compose):
            compose.run("kill")
            compose.run("down", "--timeout", "1")
            say(f"killed {compose.project}")


def kafka_shell(settings: Settings, command: str) -> None:
    """Become a shell in the broker's container with Kafka's tools on the PATH."""
    start = 'export PATH="/opt/kafka/bin:$PATH"; '
    if command:
        compose_of(settings).replace("exec", "-T", "kafka", "bash", "-c", start + command)
    hint = "echo 'the broker is at localhost:9092; kafka-topics.sh and its siblings'; "
    compose_of(settings).replace("exec", "kafka", "bash", "-c", start + hint + "exec bash")


def clean(settings: Settings, say: Say) -> None:
    """Remove containers and volumes of both modes, and the secrets."""
    for decided in _MODES:
        compose = Compose(settings, decided, secrets_folder(settings))
        if _running(compose):
            raise ServiceError("the platform runs; stop it first (`emdata stop`)")
        if compose.run("down", "--volumes") != 0:
            raise ServiceError(f"containers: {compose.project} could not be removed; see above")
        say(f"removed {compose.project}")
    shutil.rmtree(secrets_folder(settings).parent, ignore_errors=True)


def _running(compose: Compose) -> list[Container]:
    return [one for one in compose.containers() if one.state in ("running", "restarting")]


def _refuse_other_mode(settings: Settings, decided: Mode) -> None:
    other: Mode = "live" if decided == "simulator" else "simulator"
    if _running(Compose(settings, other, secrets_folder(settings))):
        raise ServiceError(f"the containers run with {other} data; stop them first (`emdata stop`)")


def _only_ended_well(containers: list[Container]) -> bool:
    """`up --wait` counts a one-shot container that ended well as a failure in some versions."""
    ended = [one for one in containers if one.state == "exited"]
    return bool(ended) and all(one.exit_code == 0 for one in ended)


def _explain(not_ready: list[Container], code: int) -> str:
    if not not_ready:
        return f"containers: `docker compose up` ended with {code}; see above"
    return "\n".join(
        f"{one.service}: {one.status or one.state}; see `emdata logs {one.service}`"
        for one in not_ready
    )
