"""Bodies read line by line with all threads: the same rows as read as a whole."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_starrocks.sql.macros_values import SCHEMA
from embedded_starrocks.sql.types import ColumnType
from embedded_starrocks.sql.values import converted
from embedded_starrocks.storage.jsonlines import is_one_object_a_line
from embedded_starrocks.storage.loads import Loads
from embedded_starrocks.storage.readers import LoadError, LoadOptions, is_by_line
from tests.starrocks.conftest import Statements

Load = Callable[[str, bytes], int]


@pytest.fixture(scope="module")
def load(sql: Statements) -> Load:
    sql("CREATE TABLE d.lines (k INT, v VARCHAR(2000), w INT) DUPLICATE KEY (k)")
    sql("CREATE TABLE d.keyed (k INT NOT NULL, v VARCHAR(2000), w INT) PRIMARY KEY (k)")
    loads = Loads(sql.store, 1000)
    labels = (f"l{number}" for number in itertools.count())

    def run(table: str, body: bytes) -> int:
        relation = sql.store.catalog.relation("d", table)
        assert relation is not None
        path = loads.new_body()
        path.write_bytes(body)
        label = loads.labels.reserve("d", next(labels), table, "STREAM_LOAD")
        try:
            return loads.load(relation, label, path, LoadOptions()).loaded
        finally:
            path.unlink()

    return run


def check(tmp_path: Path, body: bytes) -> bool:
    path = tmp_path / "body"
    path.write_bytes(body)
    return is_one_object_a_line(path)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"k":1}\n{"k":2}\n', True),
        (b'{"k":1}\r\n{"k":2}', True),
        (b'{"k":1}', True),
        (b"", False),
        (b'[{"k":1},\n{"k":2}]', False),
        (b'{"k":1}{"k":2}\n', False),
        (b'{"k":1} {"k":2}\n', False),
        (b'{"k":1}\n\n{"k":2}\n', False),
        (b'{"k":{"a":1}}\n{"k":2}\n', False),
        (b'{"k":"}"}\n', False),
        (b'{"k":1},\n{"k":2}\n', False),
        (b'{"k":1}\n[1]\n', False),
    ],
)
def test_only_one_flat_object_a_line_is_read_by_line(
    tmp_path: Path, body: bytes, expected: bool
) -> None:
    assert check(tmp_path, body) is expected


@pytest.mark.parametrize("where", [0, 9000, 20_000, 39_999])
@pytest.mark.parametrize("ending", [b'{"k":0}{"k":0}\n', b'{"k":"}"}\n', b'{"k":\n{"a":0}}\n'])
def test_one_odd_line_anywhere_in_a_large_body_is_seen(
    tmp_path: Path, where: int, ending: bytes
) -> None:
    lines = [b'{"k":%d,"v":"%s"}\n' % (number, b"x" * 60) for number in range(40_000)]
    assert check(tmp_path, b"".join(lines))
    lines[where] = ending
    assert not check(tmp_path, b"".join(lines))


def test_bodies_that_only_look_like_lines_give_all_their_rows(sql: Statements, load: Load) -> None:
    for body, rows in {
        b'{"k":1,"w":1}{"k":2,"w":2}\n{"k":3}\n': 3,
        b'{"k":4,\n"w":4}\n{"k":5}\n': 2,
        b'{"k":6}\n{"k":7,"v":"' + b"y" * 1500 + b'"}\n': 2,
    }.items():
        assert load("lines", body) == rows
    assert sql("SELECT k, w FROM d.lines WHERE k < 6 ORDER BY k") == [
        (1, 1),
        (2, 2),
        (3, None),
        (4, 4),
        (5, None),
    ]
    with pytest.raises(LoadError):
        load("lines", b'{"k":8}\n{"k":9\n{"k":10}\n')
    assert sql("SELECT count(*) FROM d.lines WHERE k >= 8") == [(0,)]


def test_the_last_row_of_a_key_wins_in_a_body_that_threads_share(
    sql: Statements, load: Load, tmp_path: Path
) -> None:
    # Some 9 MB: several threads read it, and each key is there eight times.
    body = b"".join(
        json.dumps({"k": number % 5000, "v": "z" * 200, "w": number}).encode() + b"\n"
        for number in range(40_000)
    )
    (tmp_path / "body").write_bytes(body)
    assert is_by_line(tmp_path / "body", LoadOptions())
    assert load("keyed", body) == 40_000
    assert sql("SELECT count(*), min(w), max(w), sum(w - k) FROM d.keyed") == [
        (5000, 35_000, 39_999, 35_000 * 5000)
    ]


CLOCKS = st.from_regex(r"[T ]\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|\+01)?", fullmatch=True)
TEXTS = st.one_of(
    st.from_regex(r"\d{4,5}-\d{1,2}-\d{1,2}", fullmatch=True),
    st.builds(lambda day, clock: f"{day}{clock}", st.dates().map(str), CLOCKS),
    st.datetimes().map(str),
    st.sampled_from(
        [
            "infinity",
            "-infinity",
            "epoch",
            "0044-03-15 (BC)",
            "0044-03-15 00:00:00 (BC)",
            "10000-01-01 00:00:00",
            "9999-12-31 23:59:59.999999",
            "9999-12-31",
            "20261121",
            " 2026-11-21 ",
            "",
            "today",
            "20261121091410",
            "2026-11-21T",
            "0000-01-01",
            "0001-01-01",
        ]
    ),
)


@settings(max_examples=10, deadline=None)
@given(texts=st.lists(TEXTS, min_size=20, max_size=60))
def test_dates_that_print_back_are_those_that_a_close_look_gives(
    sql: Statements, texts: list[str]
) -> None:
    quick = {name: converted("x", "VARCHAR", ColumnType(name)) for name in ("DATETIME", "DATE")}
    close = f"{SCHEMA}.text_to_datetime(x)"
    found = sql.context.session.connection.execute(
        f"SELECT {quick['DATETIME']}, {close}, {quick['DATE']}, CAST({close} AS DATE) "
        "FROM (SELECT unnest(?::VARCHAR[]) AS x)",
        [texts],
    ).fetchall()
    assert [(row[0], row[2]) for row in found] == [(row[1], row[3]) for row in found]


NUMBERS = st.one_of(
    st.integers(-(2**66), 2**66).map(str),
    st.from_regex(r" ?[+-]?0?\d{0,4}(\.\d{0,3})?(e\d)? ?", fullmatch=True),
    st.sampled_from(["", "1_000", "0x1F", "-0", "true", "١", "1.", ".5"]),
)


@settings(max_examples=10, deadline=None)
@given(texts=st.lists(NUMBERS, min_size=20, max_size=60))
def test_numbers_that_print_back_are_those_that_a_close_look_gives(
    sql: Statements, texts: list[str]
) -> None:
    whole = r"regexp_extract(x, '^\s*([+-]?\d+)(\.\d*)?\s*$', 1)"
    for name, stored in {"TINYINT": "TINYINT", "BIGINT": "BIGINT", "LARGEINT": "HUGEINT"}.items():
        found = sql.context.session.connection.execute(
            f"SELECT {converted('x', 'VARCHAR', ColumnType(name))}, TRY_CAST({whole} AS {stored}) "
            "FROM (SELECT unnest(?::VARCHAR[]) AS x)",
            [texts],
        ).fetchall()
        assert [row[0] for row in found] == [row[1] for row in found]
