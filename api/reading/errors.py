"""What goes wrong between the API and StarRocks, as the caller is told."""

from __future__ import annotations

import re

import pymysql

from api.problems import Problem
from api.reading.rows import Broken, Refused
from emdata.errors import WarehouseUnavailable
from emdata.warehouse import translate

# Unknown table and database: of MySQL, and of StarRocks.
_MISSING = frozenset({1049, 1146, 5501, 5502})
# Interrupted; also by a restart of the server.
_INTERRUPTED = frozenset({1053, 1317})
_TIMED_OUT = re.compile(r"query_timeout|reached its timeout|timed? ?out|timeout", re.IGNORECASE)
Failure = pymysql.MySQLError | Broken | Refused | OSError


def judge(error: Failure, seconds: float) -> Exception:
    """Return what a failed statement is for the caller: a Problem, or an error of emdata."""
    if isinstance(error, TimeoutError):
        return _too_long(seconds)
    if isinstance(error, Broken | OSError):
        return WarehouseUnavailable(f"StarRocks: {error}")
    if isinstance(error, Refused):
        error = pymysql.err.OperationalError(error.code, error.text)
    code = error.args[0] if error.args else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    if code in _MISSING:
        return Problem(
            "not-built",
            "the platform has not built this yet; ask again in a minute",
            headers={"Retry-After": "60"},
        )
    if code in _INTERRUPTED:
        return WarehouseUnavailable(f"StarRocks: {error}")
    return _too_long(seconds) if _TIMED_OUT.search(text) else translate(error)


def _too_long(seconds: float) -> Problem:
    text = f"the query reached its limit of {seconds:g} s; ask for less at once"
    return Problem("timed-out", text, headers={"Retry-After": "10"})
