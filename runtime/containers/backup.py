"""Backup of a platform in containers, and its way back.

The containers are stopped, every named volume becomes one archive, and they are started again:
exact for every store at the same instant, whichever StarRocks it is, at the price of minutes
without polls (which go on from their cursors; nothing is lost). What a cluster does without
stopping is in docs/deployment.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from emdata.clock import Clock
from emdata.contracts.identity import utc_text
from emdata.errors import ServiceError, SettingError
from emdata.files import replace_file
from emdata.paths import Mode, read_mode
from emdata.settings import Settings
from runtime import mode as modes
from runtime.containers.engine import Compose
from runtime.containers.secrets import secrets_folder, write_secrets
from runtime.lock import platform_lock

FORMAT = 1
MANIFEST = "manifest.json"
CREDENTIALS = "credentials"
_TIMEOUT_S = 3600.0
_CHUNK = 1 << 20

Say = Callable[[str], None]


@dataclass(frozen=True)
class Archive:
    """One volume's archive: SHA-256 and size in bytes."""

    volume: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. ``made_at`` is UTC, ISO 8601."""

    format: int
    mode: Mode
    made_at: str
    archives: tuple[Archive, ...]


def backup(settings: Settings, target: Path, clock: Clock, say: Say) -> Manifest:
    """Write a backup into ``target``, a new or empty directory; starts again what had run.

    Raises SettingError for a directory that holds something, ServiceError when a step fails; the
    containers are then started again all the same.
    """
    mode = _mode(settings)
    if target.exists() and any(target.iterdir()):
        raise SettingError(
            "DIRECTORY",
            value=str(target),
            allowed="a new or empty directory",
            searched=["arguments"],
        )
    target.mkdir(parents=True, exist_ok=True)
    target.chmod(0o700)  # it holds passwords
    compose = Compose(settings, mode, secrets_folder(settings))
    with platform_lock(settings.home, wait=2.0):
        running = sorted({o.service for o in compose.containers() if o.state == "running"})
        if running:
            _run(compose, "stop", "--timeout", "60")
        try:
            archives = tuple(_save(compose, volume, target, say) for volume in _volumes(compose))
        finally:
            if running:
                # What ran and nothing else; `up` as it is waits for what they depend on.
                _run(compose, "up", "--detach", "--no-recreate", *running)
    manifest = Manifest(FORMAT, mode, utc_text(clock.now()), archives)
    replace_file(target / CREDENTIALS, settings.credentials_file.read_text(encoding="utf-8"))
    # Last: a directory without it is no backup.
    replace_file(target / MANIFEST, json.dumps(asdict(manifest), indent=2) + "\n")
    return manifest


def restore(settings: Settings, source: Path, say: Say) -> Manifest:
    """Put a backup in the place of all data; the containers stay stopped.

    Everything is verified before anything is removed. Raises SettingError for a directory that is
    no backup, ServiceError while the platform runs or when an archive is damaged.
    """
    manifest = read_manifest(source)
    for archive in manifest.archives:
        if _sha256(source / f"{archive.volume}.tar") != archive.sha256:
            raise ServiceError(
                f"restore: {archive.volume}.tar is not what was saved; nothing changed"
            )
    with platform_lock(settings.home, wait=2.0):
        modes.remember(settings.home, manifest.mode)
        compose = Compose(settings, manifest.mode, secrets_folder(settings))
        if any(one.state == "running" for one in compose.containers()):
            raise ServiceError("the platform runs; stop it first (`emdata stop`)")
        text = (source / CREDENTIALS).read_text(encoding="utf-8")
        replace_file(settings.credentials_file, text)
        write_secrets(settings)
        _run(compose, "down", "--volumes")
        # Makes networks, volumes and containers as compose wants them, and starts nothing.
        _run(compose, "create")
        for archive in manifest.archives:
            _load(compose, archive.volume, source, say)
    return manifest


def read_manifest(source: Path) -> Manifest:
    """Read a backup's manifest; raises SettingError when there is none that can be used."""
    try:
        values = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
        archives = tuple(Archive(**archive) for archive in values.pop("archives"))
        manifest = Manifest(archives=archives, **values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SettingError(
            "DIRECTORY", value=str(source), allowed="a directory that `emdata backup` wrote",
            searched=[str(source / MANIFEST)], fix=f"{type(error).__name__}: {error}",
        ) from error  # fmt: skip
    if manifest.format != FORMAT:
        raise SettingError(
            "DIRECTORY", value=f"format {manifest.format}", allowed=str(FORMAT),
            searched=[str(source / MANIFEST)],
        )  # fmt: skip
    return manifest


def _mode(settings: Settings) -> Mode:
    mode = read_mode(settings)
    if mode is None or not settings.credentials_file.exists():
        raise SettingError(
            "EMDATA_HOME", value=str(settings.home), allowed="a home that was started once",
            fix="run `emdata start` first",
        )  # fmt: skip
    return mode


def _volumes(compose: Compose) -> list[str]:
    """Volumes of the chosen services that exist, by their name in the compose file."""
    wanted = compose.ask("config", "--volumes").split()
    done = subprocess.run(
        ["docker", "volume", "ls", "--quiet", "--filter", f"name={compose.project}_"],
        capture_output=True,
        text=True,
        check=True,
    )
    there = set(done.stdout.split())
    return sorted(volume for volume in wanted if f"{compose.project}_{volume}" in there)


def _save(compose: Compose, volume: str, target: Path, say: Say) -> Archive:
    file = target / f"{volume}.tar"
    # The archive is written by us and read by tar's own account: no file of another owner is left.
    with file.open("wb") as stream:
        _tar(
            compose,
            volume,
            ["--create", "--file=-", "--numeric-owner", "."],
            stdout=stream.fileno(),
        )
        stream.flush()
        os.fsync(stream.fileno())
    archive = Archive(volume, _sha256(file), file.stat().st_size)
    say(f"  saved {volume} ({archive.size / 1e6:.1f} MB)")
    return archive


def _load(compose: Compose, volume: str, source: Path, say: Say) -> None:
    with (source / f"{volume}.tar").open("rb") as stream:
        options = ["--extract", "--file=-", "--numeric-owner", "--preserve-permissions"]
        _tar(compose, volume, options, stdin=stream.fileno())
    say(f"  restored {volume}")


def _tar(
    compose: Compose,
    volume: str,
    options: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> None:
    """Run tar as root in a container of its own that sees this volume only."""
    image = compose.built_images(("migrations",))[0]
    command = [
        *("docker", "run", "--rm", "--interactive", "--user", "0:0", "--network", "none"),
        *("--volume", f"{compose.project}_{volume}:/volume", "--entrypoint", "tar", image),
        *("--directory", "/volume", *options),
    ]
    done = subprocess.run(
        command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise ServiceError(f"backup: tar on {volume}: {lines[-1]}")


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise ServiceError(f"backup: {file}: {error.strerror}") from error
    return digest.hexdigest()


def _run(compose: Compose, *arguments: str) -> None:
    if compose.run(*arguments) != 0:
        raise ServiceError(f"containers: docker compose {arguments[0]} failed; see above")
