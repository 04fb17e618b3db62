"""Jars: only the locked bytes are installed, and an interrupted run goes on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from runtime.install.jars import (
    Jar,
    JarChecksumError,
    JarLockError,
    JarUnavailable,
    install_jars,
    read_jar_lock,
    relock,
)


def bytes_of(jar: Jar) -> bytes:
    return f"bytes of {jar.coordinate}".encode()


class Repository:
    """A Maven repository in memory: counts what is asked for, and fails on request."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures: dict[str, int] = {}
        self.tampered: set[str] = set()

    def fetch(self, jar: Jar, scratch: Path) -> Path:
        self.asked.append(jar.coordinate)
        scratch.mkdir(parents=True, exist_ok=True)
        path = scratch / jar.filename
        path.write_bytes(b"half a j")
        if self.failures.get(jar.coordinate, 0) > 0:
            self.failures[jar.coordinate] -= 1
            raise JarUnavailable(f"{jar.coordinate} could not be fetched")
        path.write_bytes(b"other" if jar.coordinate in self.tampered else bytes_of(jar))
        return path


COORDINATES = ("org.one:first:1.0", "org.one:second_2.13:2.0.1", "org.two:third:3.0-1.19")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    lines = ["# jars"]
    for number, coordinate in enumerate(COORDINATES):
        folder = "flink" if number == 2 else "kafka"
        digest = hashlib.sha256(bytes_of(Jar(folder, coordinate, ""))).hexdigest()
        lines.append(f"{folder} {coordinate} {digest}  # why")
    path = tmp_path / "jars.lock"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def install(lock: Path, target: Path, repository: Repository) -> int:
    return install_jars(lock, target, environ={}, report=lambda _line: None, fetch=repository.fetch)


def installed(target: Path) -> list[str]:
    return sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())


ALL = ["flink/third-3.0-1.19.jar", "kafka/first-1.0.jar", "kafka/second_2.13-2.0.1.jar"]


def test_every_locked_jar_is_put_into_its_folder_and_nothing_else(
    lock: Path, tmp_path: Path
) -> None:
    target = tmp_path / "jars"

    assert install(lock, target, Repository()) == 3

    assert installed(target) == ALL
    assert (target / "kafka/first-1.0.jar").read_bytes() == b"bytes of org.one:first:1.0"


def test_a_second_run_fetches_nothing(lock: Path, tmp_path: Path) -> None:
    repository = Repository()
    install(lock, tmp_path / "jars", repository)
    repository.asked.clear()

    assert install(lock, tmp_path / "jars", repository) == 0
    assert repository.asked == []


def test_a_damaged_jar_is_fetched_again(lock: Path, tmp_path: Path) -> None:
    target, repository = tmp_path / "jars", Repository()
    install(lock, target, repository)
    (target / "kafka/first-1.0.jar").write_bytes(b"bytes of")
    repository.asked.clear()

    assert install(lock, target, repository) == 1
    assert repository.asked == ["org.one:first:1.0"]
    assert (target / "kafka/first-1.0.jar").read_bytes() == b"bytes of org.one:first:1.0"


def test_a_jar_of_an_older_lock_leaves_the_class_path(lock: Path, tmp_path: Path) -> None:
    target = tmp_path / "jars"
    (target / "kafka").mkdir(parents=True)
    (target / "kafka" / "first-0.9.jar").write_bytes(b"old")

    install(lock, target, Repository())

    assert installed(target) == ALL


def test_other_bytes_than_the_locked_ones_are_never_installed(lock: Path, tmp_path: Path) -> None:
    target, repository = tmp_path / "jars", Repository()
    repository.tampered.add("org.one:first:1.0")

    with pytest.raises(JarChecksumError, match=r"org\.one:first:1\.0 has SHA-256 .* locked is"):
        install(lock, target, repository)

    assert "kafka/first-1.0.jar" not in installed(target)


def test_a_passing_failure_is_tried_again(lock: Path, tmp_path: Path) -> None:
    repository = Repository()
    repository.failures["org.one:first:1.0"] = 2

    assert install(lock, tmp_path / "jars", repository) == 3
    assert repository.asked.count("org.one:first:1.0") == 3


def test_an_interrupted_installation_keeps_whole_jars_and_goes_on(
    lock: Path, tmp_path: Path
) -> None:
    target, repository = tmp_path / "jars", Repository()
    repository.failures["org.two:third:3.0-1.19"] = 3
    with pytest.raises(JarUnavailable):
        install(lock, target, repository)
    kept = installed(target)
    assert "flink/third-3.0-1.19.jar" not in kept
    repository.asked.clear()

    install(lock, target, repository)

    assert installed(target) == ALL
    assert len(repository.asked) == len(ALL) - len(kept)


@pytest.mark.parametrize(
    "line",
    [
        "kafka org.one:first:1.0",
        "kafka org.one:first:1.0 abc",
        "../kafka org.one:first:1.0 " + "0" * 64,
        "kafka org.one:first " + "0" * 64,
        "kafka org.one:../first:1.0 " + "0" * 64,
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "jars.lock"
    path.write_text(f"# one\n{line}\n", encoding="utf-8")

    with pytest.raises(JarLockError, match=r"jars\.lock line 2: .* allowed: 'folder group"):
        read_jar_lock(path)


def test_one_jar_cannot_be_locked_twice(lock: Path) -> None:
    lock.write_text(lock.read_text() + lock.read_text(), encoding="utf-8")

    with pytest.raises(JarLockError, match="is locked in line 2"):
        read_jar_lock(lock)


def test_relock_writes_the_checksum_of_an_edited_version(lock: Path) -> None:
    edited = lock.read_text().replace("org.one:first:1.0 ", "org.one:first:1.1 ")
    lock.write_text(edited, encoding="utf-8")

    relock(lock, environ={}, fetch=Repository().fetch)

    assert lock.read_text().startswith("# jars\n")
    jars = {jar.coordinate: jar for jar in read_jar_lock(lock)}
    changed = jars["org.one:first:1.1"]
    assert changed.sha256 == hashlib.sha256(bytes_of(changed)).hexdigest()
    assert len(jars) == 3
