"""Numbers of a JSON body keep all their digits in a DECIMAL column."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_starrocks.storage.exactnumbers import quote_numbers
from embedded_starrocks.storage.loads import Loads
from embedded_starrocks.storage.readers import LoadOptions
from tests.starrocks.conftest import Statements

Load = Callable[[bytes, bool], None]
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NASTY = st.sampled_from(['"total": 1.5,', '\\"total": 2.5}', 'x"total"', "\\", '{"total":3.25}'])


@pytest.fixture(scope="module")
def load(sql: Statements) -> Load:
    sql(
        "CREATE TABLE d.sums (k INT NOT NULL, total DECIMAL(38, 6), v VARCHAR(200)) PRIMARY KEY (k)"
    )
    loads = Loads(sql.store, 1000)
    labels = (f"exact{number}" for number in itertools.count())

    def run(body: bytes, is_array: bool) -> None:
        relation = sql.store.catalog.relation("d", "sums")
        assert relation is not None
        path = loads.new_body()
        path.write_bytes(body)
        label = loads.labels.reserve("d", next(labels), "sums", "STREAM_LOAD")
        try:
            loads.load(relation, label, path, LoadOptions(strip_outer_array=is_array))
        finally:
            path.unlink()

    return run


@pytest.mark.parametrize(
    "digits",
    [
        "-14496847975.280265",
        "1234567890123456789012.123456",
        "0.000001",
        "-99999999999999999999999999999999.999999",
        "12345678901234567890123456789012",
        "1E-6",
        "0",
    ],
)
@pytest.mark.parametrize("is_array", [True, False])
def test_a_decimal_takes_every_digit_of_a_number(
    sql: Statements, load: Load, digits: str, is_array: bool
) -> None:
    row = f'{{"k": 1, "total" : {digits}, "v": "\\"total\\": 1.5,"}}'
    load(f"[{row}]".encode() if is_array else row.encode(), is_array)
    assert sql("SELECT total, v FROM d.sums WHERE k = 1") == [(Decimal(digits), '"total": 1.5,')]


@given(
    rows=st.lists(
        st.fixed_dictionaries({"total": st.integers() | TEXTS, "v": TEXTS | NASTY, "w": NASTY}),
        min_size=1,
    ),
    indent=st.sampled_from([None, 1]),
)
def test_only_the_named_numbers_become_texts(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], indent: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "body"
    path.write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    expected = [{**row, "total": str(row["total"])} for row in rows]
    for _ in range(2):
        quote_numbers(path, ("total",))
        assert json.loads(path.read_text(encoding="utf-8")) == expected


def test_a_body_without_such_numbers_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b'[{"total": "1.5", "other": 2.5, "total": null}]')
    before = path.stat().st_mtime_ns
    quote_numbers(path, ("total",))
    assert path.stat().st_mtime_ns == before
