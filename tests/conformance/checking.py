"""Runs one case against a target and says in what the answer differs."""

from __future__ import annotations

import math

import pymysql

from tests.conformance.case_files import Case, Request, Rows
from tests.conformance.target import FLOATING, TYPE_CODES, Answer, Target, unique_label

# What a refusal of the stand-in looks like; anything else is not a clear refusal.
REFUSALS = ("Not supported by embedded StarRocks", "No matching function with signature")


def difference(target: Target, case: Case, database: str) -> str | None:
    """What is wrong with the answer to the case, None if nothing is."""
    names = {"{db}": database, "{label}": unique_label()}
    try:
        for statement in case.before:
            target.run(_filled(statement, names))
        for request in case.requests:
            problem = _load_problem(target, case, request, names)
            if problem is not None or (target.is_stand_in and case.refused_by_stand_in):
                return problem
        answer = None
        for statement in case.statements:
            answer = target.run(_filled(statement, names))
    except pymysql.Error as error:
        return _judged_error(target, case, error)
    if target.is_stand_in and case.refused_by_stand_in:
        return f"the stand-in answers what it is documented to refuse: {answer and answer.rows}"
    if case.errors is not None:
        return f"no error, but {answer and answer.rows}"
    return _judged(case, answer) if answer is not None else None


def _filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def _judged_error(target: Target, case: Case, error: pymysql.Error) -> str | None:
    code, text = (*error.args, "")[:2]
    if target.is_stand_in and case.refused_by_stand_in:
        clear = any(words in str(text) for words in REFUSALS)
        return None if clear else f"not a clear refusal: {code} {text}"
    if case.errors is None:
        return f"error {code}: {text}"
    if case.errors and code not in case.errors:
        return f"error {code} ({text}) instead of {case.errors}"
    return None


def _load_problem(
    target: Target, case: Case, request: Request, names: dict[str, str]
) -> str | None:
    headers = {name: _filled(value, names) for name, value in request.headers.items()}
    path = _filled(request.path, names)
    status, answer = target.request(request.method, path, headers, request.body)
    if target.is_stand_in and case.refused_by_stand_in:
        text = str(answer)
        return None if any(each in text for each in REFUSALS) else f"no clear refusal: {text}"
    if status != request.status:
        return f"{request.method} {path}: status {status} with {answer}"
    for name, value in request.answer.items():
        if answer.get(name) != value:
            return f"{request.method} {path}: {name} is not {value!r} in {answer}"
    return None


def _judged(case: Case, answer: Answer) -> str | None:
    if case.type is not None:
        wanted = TYPE_CODES[case.type]
        return None if answer.codes[0] == wanted else f"type code {answer.codes[0]}, not {wanted}"
    if case.affected is not None and answer.affected != case.affected:
        return f"{answer.affected} rows affected, not {case.affected}"
    if case.rows is None:
        return None
    found, wanted_rows = answer.rows, case.rows
    if case.any_order:
        found, wanted_rows = _ordered(found), _ordered(wanted_rows)
    if len(found) != len(wanted_rows):
        return f"rows {found}, not {wanted_rows}"
    for row, wanted_row in zip(found, wanted_rows, strict=True):
        if len(row) != len(wanted_row):
            return f"row {row}, not {wanted_row}"
        for value, expected, code in zip(row, wanted_row, answer.codes, strict=True):
            if not _same(value, expected, code):
                return f"{value!r} instead of {expected!r} in {row}"
    return None


def _ordered(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: [(value is not None, value or "") for value in row])


def _same(value: str | None, expected: str | None, code: int) -> bool:
    if value is None or expected is None:
        return value is expected
    if code in FLOATING:
        tolerance = 1e-12 if code == FLOATING[1] else 1e-6
        try:
            return math.isclose(float(value), float(expected), rel_tol=tolerance, abs_tol=1e-15)
        except ValueError:
            return False
    return value == expected
