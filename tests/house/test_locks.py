"""Locks pin and hash everything, and name no address of a registry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runtime.install import read_jar_lock

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.txt"))
INPUTS = sorted(REQUIREMENTS.glob("*.in"))

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[a-z,0-9-]+\])?==(?P<version>[^\s;]+)")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def requirements_of(lock: Path) -> list[str]:
    """The logical lines of a lock, without comments."""
    text = re.sub(r"^\s*#.*$", "", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def pins_of(lock: Path) -> dict[str, str]:
    """Name to version of every requirement of a lock."""
    matches = [_PIN.match(line) for line in requirements_of(lock)]
    return {match["name"].lower(): match["version"] for match in matches if match}


def test_every_input_has_a_lock() -> None:
    assert [path.stem for path in INPUTS] == [path.stem for path in LOCKS] != []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_and_hashed(lock: Path) -> None:
    lines = requirements_of(lock)

    assert lines
    for line in lines:
        assert _PIN.match(line), f"not pinned: {line[:80]}"
        assert _HASH.search(line), f"not hashed: {line[:80]}"
        assert not re.sub(_HASH, "", line).count("--"), f"an option in a lock: {line[:80]}"


@pytest.mark.parametrize(
    "path", [*LOCKS, *INPUTS, REQUIREMENTS / "jars.lock"], ids=lambda p: p.name
)
def test_no_lock_names_an_address_or_a_path_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert not re.search(
        r"\w+://|(?<!\w)--?(index|extra-index|find-links|f|i)\b|\s@\s|\s/\w+/", text
    )


def test_development_tools_share_the_versions_of_the_platform() -> None:
    platform, development = (
        pins_of(REQUIREMENTS / "platform.txt"),
        pins_of(REQUIREMENTS / "dev.txt"),
    )

    differing = {
        name: (platform[name], development[name])
        for name in platform.keys() & development.keys()
        if platform[name] != development[name]
    }

    assert differing == {}


def test_jars_are_pinned_once_each_with_a_checksum() -> None:
    jars = read_jar_lock(REQUIREMENTS / "jars.lock")

    assert {jar.folder for jar in jars} == {"agents", "kafka", "flink", "web"}
    assert any(jar.coordinate.startswith("org.apache.kafka:kafka_2.13:") for jar in jars)
