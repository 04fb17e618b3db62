"""Follows docs/add-a-source.md to the letter, in a copy of the repository."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
COPIED = (
    "emdata", "scrapers", "stream_manager", "simulator", "flink_jobs", "runtime", "api",
    "tests/contracts", "tests/support", "tests/fixtures", "tests/conftest.py", "tests/__init__.py",
    "pyproject.toml",
)  # fmt: skip
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"file `([^`]+)`:\s*\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Step:
    """A block of the page: a file to write, or commands to run."""

    file: str | None
    text: str


def _steps(page: str) -> Iterator[Step]:
    for block in _FENCE.finditer(page):
        named = _FILE.search(page[: block.start()])
        if block[1] == "console":
            yield Step(None, block[2])
        else:
            assert named is not None, f"which file is this? {block[2][:80]}"
            yield Step(named[1], block[2])


def _copy(folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in COPIED:
        origin, target = REPOSITORY / name, folder / name
        if origin.is_dir():
            shutil.copytree(origin, target, ignore=ignored)
        elif origin.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, target)
    (folder / "tests" / "scrapers").mkdir(parents=True, exist_ok=True)


def _run(folder: Path, line: str) -> str:
    """Run one command of the page with the copy first on Python's path."""
    program, *arguments = shlex.split(line.removeprefix("$ "))
    start = {"emdata": [sys.executable, "-m", "runtime"], "python": [sys.executable]}[program]
    if arguments[:2] == ["source", "new"]:
        arguments += ["--folder", str(folder)]
    if "pytest" in arguments:
        # Only the new source, but all of the suite for it: the others have had their turn.
        arguments += ["-p", "no:cacheprovider", "-k", "river_gauges or schema or test_feet"]
    done = subprocess.run(
        [*start, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.integration
def test_the_page_on_adding_a_source_can_be_followed_to_the_letter(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    _copy(folder)
    page = (REPOSITORY / "docs" / "add-a-source.md").read_text(encoding="utf-8")
    said: dict[str, str] = {}
    written: list[str] = []
    for step in _steps(page):
        if step.file is not None:
            assert (folder / step.file).exists(), f"the skeleton did not write {step.file}"
            (folder / step.file).write_text(step.text, encoding="utf-8")
            written.append(step.file)
            continue
        for line in step.text.splitlines():
            said[line] = _run(folder, line)
    assert len(written) == 4
    parsed = said["$ emdata parse river_gauges tests/fixtures/river_gauges/items.json"]
    assert "rows 3, parsed 2, ignored 1, rejected 0" in parsed
    assert "river_gauges_stages" in said["$ emdata source list"]
    assert "stage_m DOUBLE" in said["$ emdata show ddl river_gauges_stages"].replace("`", "")
    assert (folder / "tests/contracts/schemas/river_gauges_stages.json").exists()
    tests = said["$ python -m pytest -q tests/contracts tests/scrapers/test_river_gauges.py"]
    assert re.search(r"(\d+) passed", tests), tests
    assert int(re.search(r"(\d+) passed", tests)[1]) >= 15  # type: ignore[index]
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "-q",
            "--no-cache",
            *(n for n in written if n.endswith(".py")),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.long
def test_the_skeleton_works_before_anything_is_changed(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    _copy(folder)
    _run(folder, "$ emdata source new river_gauges")
    _run(folder, "$ emdata source schemas tests/contracts/schemas --write")
    _run(folder, "$ python -m pytest -q tests/contracts tests/scrapers/test_river_gauges.py")
