"""What must never be in the repository, and what must not happen when it is imported."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

_GENERATED = re.compile(
    r"(^|/)(\.emdata|__pycache__|\.hypothesis|\.ruff_cache|\.mypy_cache|target|dbt_packages)/"
    r"|^dbt_project/.*/generated/|\.(pyc|log|pid|duckdb|sock)$|(^|/)\.env$"
)
# Directories of one machine; /tmp as such is a fact of every Linux machine, a file in it is not.
_MACHINE_PATH = re.compile(r"(?<![\w.])/(root|work|Users|home/\w+|tmp/[\w.-]+)/")
_SECRET = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b")
_TEXT_LIMIT_BYTES = 1_000_000

# Imported one by one in a fresh interpreter: nothing may start and nothing may be opened. Rooms
# come from the floor to the roof, so that none has been imported before it is looked at.
_PROBE = """
import json, sys, threading, builtins, socket
rooms = json.loads(sys.argv[1])
opened, connected = [], []
def audit(event, args):
    if event == "open":
        writes = isinstance(args[1], str) and set(args[1]) & set("wax+")
        if writes and "__pycache__" not in str(args[0]):
            opened.append(str(args[0]))
    elif event in ("socket.connect", "socket.bind"):
        connected.append(str(args[1]))
sys.addaudithook(audit)
import importlib
found = {}
for room, names in rooms.items():
    before, failed = threading.active_count(), {}
    opened.clear()
    connected.clear()
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            failed[name] = str(error)
    found[room] = {"threads": threading.active_count() - before, "opened": list(opened),
                   "connected": list(connected), "failed": failed}
print(json.dumps(found))
"""


def tracked_files() -> list[Path]:
    """Every file that git knows, as far as it still exists."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    paths = [REPOSITORY / name for name in done.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def texts() -> dict[str, str]:
    """Path to content of every tracked text file of a reasonable size."""
    found = {}
    for path in tracked_files():
        if path.stat().st_size > _TEXT_LIMIT_BYTES:
            continue
        try:
            found[str(path.relative_to(REPOSITORY))] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    """``file:line: text`` of every line that matches, this file apart."""
    here = str(Path(__file__).relative_to(REPOSITORY))
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts().items()
        if name != here
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_generated_file_is_in_git() -> None:
    names = [str(path.relative_to(REPOSITORY)) for path in tracked_files()]

    assert [name for name in names if _GENERATED.search(name)] == []


def test_no_file_names_a_directory_of_one_machine() -> None:
    assert lines_matching(_MACHINE_PATH) == []


def test_no_file_holds_a_private_key() -> None:
    assert lines_matching(_SECRET) == []


def our_modules(package: Path) -> list[str]:
    """Dotted names of a package's modules, but for what is run and not imported."""
    modules = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if parts[-1] == "__main__" or "migrations" in parts:
            continue
        modules.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return modules


ROOMS = (
    "emdata", "starrocks/embedded_starrocks", "stream_manager", "scrapers", "simulator", "api",
    "runtime",
)  # fmt: skip


@pytest.fixture(scope="module")
def imported() -> dict[str, Any]:
    """What happened while each room's modules were imported, all in one fresh interpreter."""
    rooms = {room: our_modules(REPOSITORY / room) for room in ROOMS}
    done = subprocess.run(
        [sys.executable, "-B", "-c", _PROBE, json.dumps(rooms)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("package", ROOMS)
def test_importing_a_room_starts_nothing_and_writes_nothing(
    imported: dict[str, Any], package: str
) -> None:
    assert imported[package] == {"threads": 0, "opened": [], "connected": [], "failed": {}}
