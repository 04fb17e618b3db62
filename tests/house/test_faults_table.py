"""docs/faults.md says which tests protect what; it must say so of the tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TEST = re.compile(r"def test_fault_(\d+)(?:_and_(\d+))?_\w+")
_ROW = re.compile(r"^\| (\d+) \|.*\| ([^|]*) \|$", re.MULTILINE)
_NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")
ROWS = range(1, 55)


def table() -> str:
    return (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")


def rows() -> dict[int, str]:
    return {int(match[1]): match[2] for match in _ROW.finditer(table())}


def found_in_the_tree() -> set[tuple[int, str]]:
    found = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        for match in _TEST.finditer(file.read_text(encoding="utf-8")):
            name = file.relative_to(ROOT / "tests").as_posix()
            found |= {(int(number), name) for number in match.groups() if number}
    return found


def test_every_fault_has_a_row_that_names_tests_or_says_what_it_waits_for() -> None:
    assert list(rows()) == list(ROWS)
    for number, cell in rows().items():
        assert _NAMED.search(cell) or cell.startswith("later ("), f"row {number}: {cell}"


def test_every_test_of_a_fault_is_in_its_row() -> None:
    named = {(n, match[1]) for n, cell in rows().items() for match in _NAMED.finditer(cell)}
    missing = sorted(found_in_the_tree() - named)
    assert missing == [], "add these to docs/faults.md"


def test_every_test_that_the_table_names_exists() -> None:
    for match in _NAMED.finditer(table()):
        file = ROOT / "tests" / match[1]
        assert file.is_file(), match[0]
        if match[2]:
            assert f"def {match[2]}(" in file.read_text(encoding="utf-8"), match[0]


def test_a_row_that_waits_has_no_tests_yet() -> None:
    tested = {number for number, _ in found_in_the_tree()}
    waiting = {number for number, cell in rows().items() if cell.startswith("later (")}
    assert sorted(tested & waiting) == []
