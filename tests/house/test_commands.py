"""The Makefile offers what the documentation promises, and says what each target does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# fmt: off
TARGETS = [
    "help", "start", "stop", "restart", "status", "health", "troubleshoot", "logs",
    "logs-dagster", "logs-flink", "logs-starrocks", "dev-setup", "check", "test", "test-fast",
    "test-long", "test-system-deps", "check-live", "format", "db-connect", "shell-kafka",
    "emergency-stop", "clean", "bench-footprint", "conformance", "bench-latency",
    "bench-starrocks", "bench-stream", "bench-stream-long", "test-containers",
    "bench-api", "load-test",
]
# fmt: on


MAKE_VARIABLES = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")


def make(*arguments: str) -> str:
    # Run by `make test`, this make would take over the outer one's flags and name its directory.
    plain = {name: text for name, text in os.environ.items() if name not in MAKE_VARIABLES}
    done = subprocess.run(
        ["make", *arguments], cwd=REPOSITORY, env=plain, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_help_lists_every_target_with_what_it_does() -> None:
    lines = [line.split(maxsplit=1) for line in make("help").splitlines()]

    assert [line[0] for line in lines] == TARGETS
    assert all(len(line) == 2 for line in lines)


def test_every_target_is_phony_so_that_no_file_hides_it() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    assert phony is not None
    assert phony[1].split() == TARGETS


def test_every_script_that_a_target_calls_is_there_and_runs() -> None:
    for target in TARGETS:
        for script in re.findall(r"(?:\./|\b)((?:scripts/)?[\w-]+(?:\.sh)?)\b", make("-n", target)):
            path = REPOSITORY / script
            if "/" in script or script.endswith(".sh"):
                assert path.is_file(), f"{target} calls {script}"


def test_programs_of_system_tests_are_listed_with_their_package() -> None:
    """`make test-system-deps` installs what is listed; a marker may name nothing else."""
    listed = {
        line.split()[0]
        for line in (REPOSITORY / "tests/system-programs.txt").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    }
    marked = {
        program
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for call in re.findall(r"mark\.system\(([^)]*)\)", path.read_text(encoding="utf-8"))
        for program in re.findall(r"[\"']([\w.-]+)[\"']", call)
    }

    assert marked <= listed
