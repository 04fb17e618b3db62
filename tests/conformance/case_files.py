"""The conformance cases as data: files of SQL and loads with what StarRocks answers.

A file is YAML with these keys, all but `subject` optional:

subject      what the file is about; the cases run in a database of the file's own
setup        statements that run once, before the first case
expressions  one case a line: `expression => value`
types        one case a line: `expression => TYPE` (the type code that the client sees)
refused      one case a line: `expression => value`: what StarRocks answers and the stand-in refuses
statements   cases of `name`, `run` (statements; the last one is judged) and one of
             `rows` (one a line, values apart by " | "), `error` (numbers), `affected`;
             `any_order: true` where no ORDER BY fixes the order; `stand_in: refused`
loads        cases of `name`, `before` (statements), `requests` (method, path, headers, body,
             answer, status), then `query` and `rows`; `stand_in: refused`

Values are compared as the text that the server sends; numbers of type FLOAT and DOUBLE by value.
NULL is written NULL, an expected error `error` or `error 1064`, an empty text `''`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emdata.yamls import read_yaml

FOLDER = Path(__file__).parent / "cases"
Rows = list[list[str | None]]
_REFUSED = "refused"


@dataclasses.dataclass(frozen=True)
class Request:
    """One HTTP request of a load; `{db}` stands for the file's database, `{label}` is unique."""

    method: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    answer: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """One case; `refused_by_stand_in` marks a documented difference."""

    file: str
    name: str
    before: tuple[str, ...] = ()
    requests: tuple[Request, ...] = ()
    statements: tuple[str, ...] = ()
    rows: Rows | None = None
    type: str | None = None
    errors: tuple[int, ...] | None = None
    affected: int | None = None
    any_order: bool = False
    refused_by_stand_in: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


@dataclasses.dataclass(frozen=True)
class CaseFile:
    """One file: its subject, what prepares its database, and its cases."""

    name: str
    subject: str
    setup: tuple[str, ...]
    cases: tuple[Case, ...]


def read_all() -> list[CaseFile]:
    return [read(path) for path in sorted(FOLDER.glob("*.yaml"))]


def read(path: Path) -> CaseFile:
    content = read_yaml(path.read_text(encoding="utf-8"))
    unknown = set(content) - {
        "subject", "setup", "expressions", "types", "refused", "statements", "loads",
    }  # fmt: skip
    if unknown:
        raise ValueError(f"{path.name}: unknown keys {sorted(unknown)}")
    cases = [
        *_expressions(path.stem, content.get("expressions"), refused=False),
        *_expressions(path.stem, content.get("refused"), refused=True),
        *_types(path.stem, content.get("types")),
        *(_statement(path.stem, each) for each in content.get("statements") or []),
        *(_load(path.stem, each) for each in content.get("loads") or []),
    ]
    return CaseFile(path.stem, content["subject"], _split(content.get("setup")), tuple(cases))


def _lines(text: str | None) -> Iterator[tuple[str, str]]:
    for line in (text or "").splitlines():
        if line.strip() and not line.startswith("#"):
            left, arrow, right = line.rpartition("=>")
            if not arrow:
                raise ValueError(f"a case without =>: {line}")
            yield left.strip(), right.strip()


def _value(text: str) -> str | None:
    return {"NULL": None, "''": ""}.get(text, text)


def _expressions(file: str, text: str | None, *, refused: bool) -> Iterator[Case]:
    for expression, expected in _lines(text):
        statements = (f"SELECT {expression}",)
        case = Case(file, expression, statements=statements, refused_by_stand_in=refused)
        if expected.split()[0:1] == ["error"]:
            numbers = tuple(int(number) for number in expected.split()[1:])
            yield dataclasses.replace(case, errors=numbers)
        else:
            yield dataclasses.replace(case, rows=[[_value(expected)]])


def _types(file: str, text: str | None) -> Iterator[Case]:
    for expression, expected in _lines(text):
        statements = (f"SELECT {expression}",)
        yield Case(file, f"type of {expression}", statements=statements, type=expected)


def _rows(text: str | None) -> Rows | None:
    if text is None:
        return None
    return [
        [_value(value.strip()) for value in line.split(" | ")]
        for line in text.splitlines()
        if line.strip()
    ]


def _split(text: str | None) -> tuple[str, ...]:
    """Statements, one after a line that ends with a semicolon."""
    statements = (each.strip() for each in f"{text or ''}\n".split(";\n"))
    return tuple(each for each in statements if each)


def _statement(file: str, found: dict[str, Any]) -> Case:
    errors = found.get("error")
    return Case(
        file,
        found["name"],
        statements=_split(found["run"]),
        rows=_rows(found.get("rows")),
        errors=None if errors is None else tuple(errors if isinstance(errors, list) else [errors]),
        affected=found.get("affected"),
        any_order=bool(found.get("any_order")),
        refused_by_stand_in=found.get("stand_in") == _REFUSED,
    )


def _load(file: str, found: dict[str, Any]) -> Case:
    query = found.get("query")
    return Case(
        file,
        found["name"],
        before=_split(found.get("before")),
        requests=tuple(
            Request(
                each.get("method", "PUT"),
                each["path"],
                {str(name): str(value) for name, value in (each.get("headers") or {}).items()},
                each.get("body", ""),
                each.get("status", 200),
                each.get("answer") or {},
            )
            for each in found["requests"]
        ),
        statements=(query,) if query else (),
        rows=_rows(found.get("rows")),
        refused_by_stand_in=found.get("stand_in") == _REFUSED,
    )
