"""Installs the jars of ``requirements/jars.lock``: pinned coordinates, verified by SHA-256.

The list is flat, so nothing is resolved: each jar is fetched by its Maven coordinate through
`jgo`, checked, and moved into place in one step. An interrupted run leaves only whole, verified
jars behind and the next run goes on from there.

Lock format, one jar a line: ``folder group:artifact:version sha256`` (``#`` starts a comment).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from emdata.errors import PermanentError, TransientError

_COORDINATE = re.compile(r"^[\w.-]+:[\w.-]+:[\w.+-]+$")
_FOLDER = re.compile(r"^[a-z][a-z0-9_-]*$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_FETCH_ATTEMPTS = 3
_REQUEST_TIMEOUT_S = 60

Report = Callable[[str], None]
Fetch = Callable[["Jar", Path], Path]


class JarLockError(PermanentError):
    """``jars.lock`` has a line that cannot be read."""

    code = "jar_lock"


class JarChecksumError(PermanentError):
    """A downloaded jar is not the one that was locked."""

    code = "jar_checksum"


class JarUnavailable(TransientError):
    """A jar could not be fetched from the Maven repository."""

    code = "jar_unavailable"


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked jar. ``sha256`` is lower-case hexadecimal."""

    folder: str
    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        """Maven's file name: ``artifact-version.jar``."""
        _group, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def read_jar_lock(lock: Path) -> tuple[Jar, ...]:
    """Read the lock; raises JarLockError naming file, line and what is allowed."""
    jars: list[Jar] = []
    seen: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lock.read_text(encoding="utf-8").splitlines(), start=1):
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        if (
            len(fields) != 3
            or not _FOLDER.match(fields[0])
            or not _COORDINATE.match(fields[1])
            or not _SHA256.match(fields[2])
        ):
            raise JarLockError(
                f"{lock} line {number}: {line!r} is not allowed; "
                "allowed: 'folder group:artifact:version sha256'"
            )
        jar = Jar(*fields)
        earlier = seen.setdefault((jar.folder, jar.filename), number)
        if earlier != number:
            raise JarLockError(f"{lock} line {number}: {jar.filename} is locked in line {earlier}")
        jars.append(jar)
    return tuple(jars)


def relock(lock: Path, *, environ: Mapping[str, str], fetch: Fetch | None = None) -> None:
    """Fetch every coordinate of the lock and write its checksum anew; comments stay.

    For whoever edits a version: review the difference before it is committed.
    """
    get = fetch if fetch is not None else maven_fetch(environ)
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="relock-") as scratch:
        for number, line in enumerate(lock.read_text(encoding="utf-8").splitlines()):
            fields = line.partition("#")[0].split()
            if fields:
                jar = Jar(fields[0], fields[1], "")
                checksum = sha256_of(get(jar, Path(scratch) / str(number)))
                lines.append(f"{jar.folder} {jar.coordinate} {checksum}")
            else:
                lines.append(line)
    lock.write_text("\n".join(lines) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_jars(jars: Sequence[Jar], target: Path) -> tuple[Jar, ...]:
    """The locked jars that are absent from ``target/<folder>`` or have other bytes."""
    return tuple(jar for jar in jars if not _is_installed(jar, target))


def install_jars(
    lock: Path,
    target: Path,
    *,
    environ: Mapping[str, str],
    report: Report,
    fetch: Fetch | None = None,
    workers: int = 6,
) -> int:
    """Make ``target/<folder>/`` hold exactly the locked jars; returns how many were fetched.

    ``environ`` may name another Maven repository in ``EMDATA_MAVEN_REPOSITORY`` (a mirror's URL).
    ``fetch`` downloads one jar into a scratch directory and returns its path (default: Maven).
    Raises JarUnavailable (try again) and JarChecksumError (do not).
    """
    jars = read_jar_lock(lock)
    for folder in {jar.folder for jar in jars}:
        (target / folder).mkdir(parents=True, exist_ok=True)
    wanted = missing_jars(jars, target)
    if wanted:
        report(f"jars: fetching {len(wanted)} of {len(jars)}")
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target) as scratch:
            get = fetch if fetch is not None else maven_fetch(environ)
            _fetch_all(wanted, target, Path(scratch), get, report, workers)
    _remove_unlocked(jars, target)
    return len(wanted)


def maven_fetch(environ: Mapping[str, str]) -> Fetch:
    """A fetch that asks the Maven repository (by `jgo`; no Java, no Maven program)."""
    import requests
    from jgo.maven import MavenContext, PythonResolver

    mirror = environ.get("EMDATA_MAVEN_REPOSITORY")
    remotes = {"mirror": mirror.rstrip("/")} if mirror else None

    def fetch(jar: Jar, scratch: Path) -> Path:
        context = MavenContext(
            resolver=PythonResolver(),
            repo_cache=scratch,
            local_repos=[],
            remote_repos=remotes,
            timeout=_REQUEST_TIMEOUT_S,
        )
        group, artifact, version = jar.coordinate.split(":")
        component = context.project(group, artifact).at_version(version)
        try:
            return Path(component.artifact().resolve())
        except (requests.RequestException, RuntimeError, OSError) as error:
            raise JarUnavailable(
                f"{jar.coordinate} could not be fetched: {error}; check the connection, the "
                "certificates (SSL_CERT_FILE) and, with a mirror, EMDATA_MAVEN_REPOSITORY"
            ) from error

    return fetch


def _is_installed(jar: Jar, target: Path) -> bool:
    path = target / jar.folder / jar.filename
    return path.is_file() and sha256_of(path) == jar.sha256


def _fetch_all(
    jars: Sequence[Jar], target: Path, scratch: Path, fetch: Fetch, report: Report, workers: int
) -> None:
    with ThreadPoolExecutor(workers, thread_name_prefix="jars") as pool:
        running = [
            pool.submit(_fetch_one, jar, target, scratch / str(number), fetch)
            for number, jar in enumerate(jars)
        ]
        try:
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                if done % 10 == 0 or done == len(jars):
                    report(f"jars: {done} of {len(jars)}")
        except (JarUnavailable, JarChecksumError):
            pool.shutdown(cancel_futures=True)
            raise


def _fetch_one(jar: Jar, target: Path, scratch: Path, fetch: Fetch) -> None:
    for attempt in range(1, _FETCH_ATTEMPTS + 1):
        try:
            fetched = fetch(jar, scratch / str(attempt))
            break
        except JarUnavailable:
            if attempt == _FETCH_ATTEMPTS:
                raise
    found = sha256_of(fetched)
    if found != jar.sha256:
        raise JarChecksumError(
            f"{jar.coordinate} has SHA-256 {found}, locked is {jar.sha256}; "
            "the repository or a proxy changed it, or requirements/jars.lock is out of date"
        )
    with fetched.open("rb") as file:
        os.fsync(file.fileno())
    fetched.replace(target / jar.folder / jar.filename)


def _remove_unlocked(jars: Sequence[Jar], target: Path) -> None:
    """Remove jars of an older lock: the servers put the whole folder on their class path."""
    locked = {(jar.folder, jar.filename) for jar in jars}
    for folder in {jar.folder for jar in jars}:
        for path in (target / folder).glob("*.jar"):
            if (folder, path.name) not in locked:
                path.unlink()
