"""Headers of a stream load: each gives the rows that StarRocks' documentation says it gives."""

from __future__ import annotations

import bz2
import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.starrocks.running import PASSWORD, RunningServer

pytestmark = pytest.mark.integration
Row = tuple[Any, ...]


@pytest.fixture(autouse=True)
def _table(server: RunningServer) -> Iterator[None]:
    server.query(
        "CREATE TABLE d.o (k INT NOT NULL, v INT, s VARCHAR(20) DEFAULT 'none', at_ DATETIME) "
        "PRIMARY KEY (k) DISTRIBUTED BY HASH(k) BUCKETS 1"
    )
    yield
    server.query("DROP TABLE d.o FORCE")


def rows(server: RunningServer, columns: str = "k, v, s") -> list[Row]:
    return server.query(f"SELECT {columns} FROM d.o ORDER BY k")


def csv(server: RunningServer, body: str | bytes, **headers: str) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else body.encode()
    return server.load("d.o", data, format="csv", strip_outer_array="false", **headers)


def test_where_leaves_rows_out_and_counts_them(server: RunningServer) -> None:
    loaded = server.load("d.o", [{"k": k, "v": k} for k in range(5)], where="v > 2 AND k < 9")
    assert (loaded["NumberTotalRows"], loaded["NumberLoadedRows"]) == (5, 2)
    assert (loaded["NumberUnselectedRows"], loaded["NumberFilteredRows"]) == (3, 0)
    assert rows(server, "k") == [(3,), (4,)]


def test_columns_are_computed_from_fields(server: RunningServer) -> None:
    loaded = csv(
        server,
        "1,2026-11-21,ab\n2,2026-11-22,cd\n",
        column_separator=",",
        columns="k, day, raw, v = k * 10, s = upper(raw), at_ = str_to_date(day, '%Y-%m-%d')",
    )
    assert loaded["Status"] == "Success", loaded
    assert rows(server) == [(1, 10, "AB"), (2, 20, "CD")]
    assert [str(row[0]) for row in rows(server, "at_")] == [
        "2026-11-21 00:00:00",
        "2026-11-22 00:00:00",
    ]


def test_a_computed_value_that_does_not_fit_is_a_bad_row(server: RunningServer) -> None:
    loaded = csv(
        server,
        "1,5\n2,x\n",
        column_separator=",",
        columns="k, raw, v = raw",
        max_filter_ratio="0.5",
    )
    assert (loaded["NumberLoadedRows"], loaded["NumberFilteredRows"]) == (1, 1)
    assert rows(server, "k, v") == [(1, 5)]


def test_csv_without_names_takes_the_columns_in_their_order(server: RunningServer) -> None:
    assert csv(server, "1\t2\tx\t2026-11-21 10:00:00\n")["Status"] == "Success"
    assert rows(server) == [(1, 2, "x")]


def test_a_line_with_too_few_or_many_fields_is_one_bad_row(server: RunningServer) -> None:
    body = '1,2,"a,b"\n2,3\n3,4,c,d\n4,5,"say ""x"""\n'
    loaded = csv(
        server,
        body,
        column_separator=",",
        enclose='"',
        columns="k,v,s",
        max_filter_ratio="0.5",
    )
    assert (loaded["NumberTotalRows"], loaded["NumberFilteredRows"]) == (4, 2), loaded
    assert rows(server) == [(1, 2, "a,b"), (4, 5, 'say "x"')]
    _, listed = server.http("GET", "/" + loaded["ErrorURL"].split("/", 3)[3], user=None)
    assert listed.count(b"\n") == 2
    assert csv(server, body, column_separator=",", columns="k,v,s")["Status"] == "Fail"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("1\x012\x01x\x024\x015\x01y\x02", {"column_separator": "\\x01", "row_delimiter": "\\x02"}),
        ("1||2||x;;\n4||5||y", {"column_separator": "||", "row_delimiter": ";;\\n"}),
        ("1<sep>2<sep>x\n4<sep>5<sep>y\n", {"column_separator": "<sep>"}),
        ("k,v,s\n1,2,x\n4,5,y\n", {"column_separator": ",", "skip_header": "1"}),
        (" 1 , 2 , x \n 4, 5, y\n", {"column_separator": ",", "trim_space": "true"}),
        ("1,2,'x'\n4,5,'y'\n", {"column_separator": ",", "enclose": "'"}),
    ],
)
def test_delimiters_as_documented(
    server: RunningServer, body: str, headers: dict[str, str]
) -> None:
    loaded = csv(server, body, columns="k,v,s", **headers)
    assert loaded["Status"] == "Success", loaded
    assert rows(server) == [(1, 2, "x"), (4, 5, "y")]


def test_an_escape_keeps_the_enclosing_letter(server: RunningServer) -> None:
    loaded = csv(
        server,
        '1,2,"a\\"b"\n',
        column_separator=",",
        enclose='"',
        escape="\\\\",
        columns="k,v,s",
    )
    assert loaded["Status"] == "Success", loaded
    assert rows(server) == [(1, 2, 'a"b')]


def test_json_root_and_paths_pick_out_of_a_document(server: RunningServer) -> None:
    body = json.dumps({"meta": 1, "data": {"rows": [{"k": 1, "x": {"v": 7}}, {"k": 2}]}}).encode()
    loaded = server.load(
        "d.o", body, json_root="$.data.rows", jsonpaths='["$.k", "$.x.v"]', columns="k, v"
    )
    assert loaded["Status"] == "Success", loaded
    assert rows(server) == [(1, 7, "none"), (2, None, "none")]
    assert server.load("d.o", body, json_root="$.data.rows", columns="k")["Status"] == "Success"


@pytest.mark.parametrize(
    ("compression", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("bzip2", bz2.compress)],
)
def test_bodies_may_be_compressed(server: RunningServer, compression: str, pack: Any) -> None:
    body = json.dumps([{"k": 1, "v": 2}]).encode()
    assert server.load("d.o", pack(body), compression=compression)["Status"] == "Success"
    assert rows(server) == [(1, 2, None)]
    assert server.load("d.o", pack(body)[:-6], compression=compression)["Status"] == "Fail"


def test_partial_update_keeps_what_is_not_given(server: RunningServer) -> None:
    server.load("d.o", [{"k": 1, "v": 1, "s": "kept"}, {"k": 2, "v": 2, "s": "too"}])
    changed = [{"k": 1, "v": 10}, {"k": 3, "v": 30}, {"k": 1, "v": 11}]
    loaded = server.load("d.o", changed, partial_update="true", columns="k, v")
    assert loaded["Status"] == "Success", loaded
    assert rows(server) == [(1, 11, "kept"), (2, 2, "too"), (3, 30, "none")]
    gone = [{"k": 2, "v": 0, "__op": 1}]
    server.load("d.o", gone, partial_update="true", columns="k, v, __op")
    assert rows(server, "k") == [(1,), (3,)]


def test_a_conditional_update_never_goes_back(server: RunningServer) -> None:
    server.load("d.o", [{"k": 1, "v": 5, "s": "five"}, {"k": 2, "v": None, "s": "null"}])
    later = [
        {"k": 1, "v": 4, "s": "older"},
        {"k": 2, "v": 1, "s": "first"},
        {"k": 3, "v": 9, "s": "high"},
        {"k": 3, "v": 8, "s": "low"},
    ]
    assert server.load("d.o", later, merge_condition="v")["Status"] == "Success"
    assert rows(server) == [(1, 5, "five"), (2, 1, "first"), (3, 9, "high")]
    assert server.load("d.o", [{"k": 1, "v": 5, "s": "same"}], merge_condition="v")
    assert rows(server)[0] == (1, 5, "same")


def test_partial_update_survives_prepare_and_commit(server: RunningServer) -> None:
    server.load("d.o", [{"k": 1, "v": 1, "s": "kept"}])
    assert server.transaction("begin", "part", "d.o")["Status"] == "OK"
    headers = {"label": "part", "db": "d", "table": "o", "format": "json", "columns": "k, v"}
    headers |= {"strip_outer_array": "true", "partial_update": "true"}
    body = b'[{"k": 1, "v": 2}]'
    server.http("PUT", "/api/transaction/load", body, ("root", PASSWORD), **headers)
    assert server.transaction("prepare", "part", "d.o")["Status"] == "OK"
    server.kill()
    server.start()
    assert server.transaction("commit", "part", "d.o")["Status"] == "OK"
    assert rows(server) == [(1, 2, "kept")]


def test_outside_of_strict_mode_a_bad_value_is_null(server: RunningServer) -> None:
    bad = [{"k": 1, "v": "x"}, {"k": 2, "v": 2}]
    assert server.load("d.o", bad)["Status"] == "Fail"
    loaded = server.load("d.o", bad, strict_mode="false")
    assert (loaded["NumberLoadedRows"], loaded["NumberFilteredRows"]) == (2, 0)
    assert rows(server, "k, v") == [(1, None), (2, 2)]
    # What is too long is refused in both modes, and so is a key.
    assert server.load("d.o", [{"k": 1, "s": "x" * 21}], strict_mode="false")["Status"] == "Fail"
    assert server.load("d.o", [{"k": "x"}], strict_mode="false")["Status"] == "Fail"


def test_rejected_rows_are_found_by_their_url_only(server: RunningServer) -> None:
    loaded = server.load("d.o", [{"k": 1, "v": "secret"}])
    assert server.http("GET", f"/api/_load_error_log/{loaded['TxnId']}")[0] == 404
    status, text = server.http("GET", "/" + loaded["ErrorURL"].split("/", 3)[3], user=None)
    assert status == 200
    assert b"secret" in text
