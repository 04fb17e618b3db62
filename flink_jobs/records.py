"""What is deployed: ``<data>/flink/jobs.json``, and where a job's state can be restored from."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from emdata.errors import ServiceError
from flink_jobs.plan import Job

_JOB_ID = re.compile(r"^[0-9a-f]{32}$")
_CHECKPOINT = re.compile(r"^chk-(\d+)$")


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it was submitted.

    checkpoints: directory of this run's checkpoints. restored_from: the checkpoint or savepoint it
    started from, which stays its restore point until a checkpoint of its own exists. savepoint:
    made when it was last stopped. deployed_at: UTC, ISO 8601.
    """

    job: Job
    job_id: str
    checkpoints: str
    deployed_at: str
    restored_from: str | None = None
    savepoint: str | None = None


class Records(msgspec.Struct, kw_only=True):
    """All deployed jobs by name.

    candidates: window jobs that are rebuilding into new tables beside the one in ``jobs``.
    generations: how often a window job's state was given up, by name.
    """

    format: int = 1
    jobs: dict[str, Deployed] = {}
    candidates: dict[str, Deployed] = {}
    generations: dict[str, int] = {}


def read_records(file: Path) -> Records:
    """Read the file; nothing is deployed when it does not exist.

    Raises ServiceError when it cannot be understood.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return Records()
    try:
        return msgspec.json.decode(data, type=Records)
    except msgspec.DecodeError as error:
        raise ServiceError(
            f"{file}: {error}; move it away, cancel the jobs on the cluster and deploy again"
        ) from error


def write_records(file: Path, records: Records) -> None:
    """Replace the file in one step, so that a crash leaves the old or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=".jobs-", dir=file.parent)
    with os.fdopen(handle, "wb") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(records), indent=1))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(scratch, file)


@contextmanager
def deployment_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of deployments; waits for another deployment to end."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "deploy.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def restore_point(deployed: Deployed) -> str | None:
    """Return the newest complete checkpoint or savepoint of a job, or None.

    A checkpoint is complete when its ``_metadata`` exists: Flink renames that file into place.
    """
    found: list[tuple[int, str]] = []
    folder = Path(deployed.checkpoints)
    if folder.is_dir():
        found = [
            ((entry / "_metadata").stat().st_mtime_ns, str(entry))
            for entry in folder.iterdir()
            if _CHECKPOINT.match(entry.name) and (entry / "_metadata").is_file()
        ]
    for point in (deployed.savepoint, deployed.restored_from):
        if point is not None and (_local(point) / "_metadata").is_file():
            found.append(((_local(point) / "_metadata").stat().st_mtime_ns, str(_local(point))))
    return max(found)[1] if found else None


def remove_unused_state(records: Records, checkpoints: Path, savepoints: Path) -> None:
    """Delete checkpoints of jobs that are gone and savepoints that nothing starts from."""
    kept = [*records.jobs.values(), *records.candidates.values()]
    ids = {deployed.job_id for deployed in kept}
    points = {_local(p) for d in kept for p in (d.savepoint, d.restored_from) if p is not None}
    used = {point.parent.name for point in points} | {point.name for point in points} | ids
    for folder in (checkpoints, savepoints):
        if not folder.is_dir():
            continue
        for entry in folder.iterdir():
            is_ours = _JOB_ID.match(entry.name) or entry.name.startswith("savepoint-")
            if is_ours and entry.name not in used:
                shutil.rmtree(entry, ignore_errors=True)


def _local(point: str) -> Path:
    return Path(point.removeprefix("file://").removeprefix("file:"))
