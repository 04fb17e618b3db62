"""Stream load and the transaction API: strict rows, labels, limits, both formats."""

from __future__ import annotations

import datetime
import gzip
import http.client
import json
import socket
import threading
import time
from base64 import b64encode
from typing import Any

import pytest

from tests.starrocks.running import PASSWORD, RunningServer

pytestmark = pytest.mark.integration

TABLE = """CREATE TABLE d.t (
    k BIGINT NOT NULL, at_ DATETIME, on_ DATE, name VARCHAR(5), is_on BOOLEAN, m DOUBLE,
    price DECIMAL(10, 2), doc JSON, small TINYINT
) PRIMARY KEY (k) DISTRIBUTED BY HASH(k) BUCKETS 1"""


@pytest.fixture(scope="module", autouse=True)
def _table(server: RunningServer) -> None:
    server.query(TABLE)


@pytest.fixture(autouse=True)
def _empty(server: RunningServer, _table: None) -> None:
    server.query("TRUNCATE TABLE d.t")


def keys(server: RunningServer) -> list[int]:
    return [row[0] for row in server.query("SELECT k FROM d.t ORDER BY k")]


def test_values_arrive_as_they_were_sent(server: RunningServer) -> None:
    answer = server.load(
        "d.t",
        [
            {
                "k": 1,
                "at_": "2026-11-21T09:14:10.25",
                "on_": "2026-11-21",
                "name": "é\n",
                "is_on": True,
                "m": 0.1,
                "price": "12.34",
                "doc": {"a": [1, None]},
                "small": -128,
                "unknown": "ignored",
            },
            {"k": 2, "at_": "2026-11-21 09:14", "is_on": "false", "m": "1e3", "price": 5},
            {"k": 3, "at_": "2026-11-21T09:14:10"},
            {"k": "4", "at_": None, "small": 7.0},
        ],
    )
    assert answer["Status"] == "Success"
    assert (answer["NumberTotalRows"], answer["NumberLoadedRows"]) == (4, 4)
    rows = server.query("SELECT * FROM d.t ORDER BY k")
    at = datetime.datetime.fromisoformat("2026-11-21T09:14:10")
    assert rows[0][1] == at.replace(microsecond=250000)
    assert rows[0][3:6] == ("é\n", 1, 0.1)
    assert json.loads(rows[0][7]) == {"a": [1, None]}
    assert rows[0][8] == -128
    assert rows[1][1] == at.replace(second=0)
    assert rows[1][4:6] == (0, 1000.0)
    assert rows[2][1] == at
    assert rows[3][0] == 4
    assert rows[3][8] == 7


@pytest.mark.parametrize(
    "bad",
    [
        {"k": "x"},
        {"k": 9223372036854775808},
        {"k": None},
        {},
        {"k": 9, "at_": "no time"},
        {"k": 9, "at_": "2026-11-21T09:14:10Z"},
        {"k": 9, "at_": "2026-13-01"},
        {"k": 9, "on_": "2026-02-30"},
        {"k": 9, "name": "éééé"},
        {"k": 9, "is_on": "maybe"},
        {"k": 9, "m": "much"},
        {"k": 9, "price": "12.x"},
        {"k": 9, "price": 123456789.0},
        {"k": 9, "small": 128},
        {"k": 9, "__op": 7},
    ],
    ids=str,
)
def test_a_bad_value_filters_its_row_and_never_becomes_null(
    server: RunningServer, bad: dict[str, Any]
) -> None:
    rows = [{"k": 1}, bad, {"k": 2}]
    answer = server.load("d.t", rows)
    assert answer["Status"] == "Fail"
    assert (answer["NumberTotalRows"], answer["NumberFilteredRows"]) == (3, 1)
    assert answer["NumberLoadedRows"] == 0
    assert keys(server) == []
    answer = server.load("d.t", rows, max_filter_ratio="0.4")
    assert answer["Status"] == "Success"
    assert (answer["NumberLoadedRows"], answer["NumberFilteredRows"]) == (2, 1)
    assert keys(server) == [1, 2]
    path = answer["ErrorURL"].split(str(server.http_port), 1)[1]
    assert b"row 2" in server.http("GET", path)[1]


@pytest.mark.parametrize(
    "body",
    [b"[1, 2]", b'[{"k": 1}', b'[{"k": 1},]', b'{"k": 1}', b"nonsense", b'[{"k": 1}] x', b"\xff"],
)
def test_a_body_that_is_no_array_of_objects_loads_nothing(
    server: RunningServer, body: bytes
) -> None:
    assert server.load("d.t", body)["Status"] == "Fail"
    assert keys(server) == []


def test_json_objects_may_come_without_an_array(server: RunningServer) -> None:
    body = b'{"k": 1}\n{"k": 2} {"k": 3}\n'
    assert server.load("d.t", body, strip_outer_array="false")["NumberLoadedRows"] == 3
    assert server.load("d.t", b'[{"k": 1}]', strip_outer_array="false")["Status"] == "Fail"
    assert keys(server) == [1, 2, 3]


def test_the_last_operation_of_a_key_wins(server: RunningServer) -> None:
    server.load("d.t", [{"k": 1, "m": 1}, {"k": 2, "m": 1}, {"k": 3, "m": 1}])
    server.load(
        "d.t",
        [
            {"k": 1, "__op": 1},
            {"k": 2, "m": 5, "__op": 0},
            {"k": 2, "m": 6, "__op": 0},
            {"k": 3, "__op": 1},
            {"k": 3, "m": 7, "__op": 0},
            {"k": 4, "m": 8, "__op": 0},
            {"k": 4, "__op": 1},
            {"k": 99, "__op": 1},
        ],
    )
    assert server.query("SELECT k, m FROM d.t ORDER BY k") == [(2, 6.0), (3, 7.0)]


def test_fault_53_a_repeated_label_changes_nothing(server: RunningServer) -> None:
    first = server.load("d.t", [{"k": 1, "m": 1}], label="once")
    again = server.load("d.t", [{"k": 1, "m": 2}, {"k": 2}], label="once")
    assert first["Status"] == "Success"
    assert again["Status"] == "Label Already Exists"
    assert again["ExistingJobStatus"] == "FINISHED"
    assert server.query("SELECT k, m FROM d.t") == [(1, 1.0)]
    _, state = server.http("GET", "/api/d/get_load_state?label=once")
    assert json.loads(state)["state"] == "VISIBLE"
    _, state = server.http("GET", "/api/d/get_load_state?label=never")
    assert json.loads(state)["state"] == "UNKNOWN"


def test_fault_53_a_failed_label_may_be_used_again(server: RunningServer) -> None:
    assert server.load("d.t", [{"k": "x"}], label="retried")["Status"] == "Fail"
    assert server.load("d.t", [{"k": 1}], label="retried")["Status"] == "Success"
    assert keys(server) == [1]


def test_the_same_label_sent_at_once_loads_once(server: RunningServer) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(server.load("d.t", [{"k": 1}], label="race")["Status"])
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["Label Already Exists"] * 5 + ["Success"]


def test_gzip_and_chunked_bodies_are_read(server: RunningServer) -> None:
    body = json.dumps([{"k": number} for number in range(5)]).encode()
    assert server.load("d.t", gzip.compress(body), compression="gzip")["NumberLoadedRows"] == 5
    assert server.load("d.t", gzip.compress(body)[:-6], compression="gzip")["Status"] == "Fail"
    assert server.load("d.t", b"no gzip", compression="gzip")["Status"] == "Fail"
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    token = b64encode(f"root:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "format": "json", "strip_outer_array": "true"}
    chunks = iter([b'[{"k": 10', b"}]"])
    connection.request("PUT", "/api/d/t/_stream_load", chunks, headers, encode_chunked=True)
    assert json.loads(connection.getresponse().read())["Status"] == "Success"
    connection.close()
    assert keys(server) == [0, 1, 2, 3, 4, 10]


def test_expect_100_continue_is_answered_before_the_body(server: RunningServer) -> None:
    token = b64encode(f"root:{PASSWORD}".encode()).decode()
    body = b'[{"k": 1}]'
    head = (
        "PUT /api/d/t/_stream_load HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Basic {token}\r\nformat: json\r\nstrip_outer_array: true\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as raw:
        raw.sendall(head.encode())
        assert raw.recv(1024).startswith(b"HTTP/1.1 100")
        raw.sendall(body)
        answer = b""
        while b'"Status"' not in answer:
            received = raw.recv(65536)
            assert received, answer
            answer += received
        assert b'"Status":"Success"' in answer
    # Without rights the body is not even asked for.
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as raw:
        raw.sendall(head.replace(token, "eDp5").encode())
        assert raw.recv(1024).startswith(b"HTTP/1.1 401")


def test_a_body_over_the_limit_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    small = RunningServer(tmp_path_factory.mktemp("small"), "--max-load-mb", "1")
    small.start()
    try:
        small.query("CREATE DATABASE d")
        small.query(TABLE)
        body = json.dumps([{"k": number, "doc": "x" * 1000} for number in range(2000)]).encode()
        assert small.http("PUT", "/api/d/t/_stream_load", body, format="json")[0] == 413
        packed = {"format": "json", "strip_outer_array": "true", "compression": "gzip"}
        bomb = gzip.compress(body)
        assert len(bomb) < 1_000_000
        assert small.http("PUT", "/api/d/t/_stream_load", bomb, **packed)[0] == 413
        assert small.query("SELECT count(*) FROM d.t") == [(0,)]
        assert list((small.data / "spool").iterdir()) == []
    finally:
        small.stop()


def test_csv_with_its_options(server: RunningServer) -> None:
    body = b'k,name,m\n1,"a,b",1.5\n2,\\N,\n'
    answer = server.load(
        "d.t",
        body,
        format="csv",
        columns="k, name, m",
        column_separator=",",
        enclose='"',
        skip_header="1",
        max_filter_ratio="1",
    )
    assert answer["Status"] == "Success", answer
    assert server.query("SELECT k, name FROM d.t ORDER BY k")[0] == (1, "a,b")


def test_jsonpaths_pick_the_columns(server: RunningServer) -> None:
    answer = server.load(
        "d.t", [{"id": 5, "in": {"name": "x"}}], jsonpaths='["$.id", "$.in.name"]', columns="k,name"
    )
    assert answer["Status"] == "Success", answer
    assert server.query("SELECT k, name FROM d.t") == [(5, "x")]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("where", "k > (SELECT 1)"),
        ("where", "nosuch > 1"),
        ("where", "read_text('x') = ''"),
        ("partial_update", "true"),
        ("merge_condition", "k"),
        ("merge_condition", "nosuch"),
        ("columns", "k, m = nosuch + 1"),
        ("columns", "k, m = "),
        ("columns", "k, m = sum(k)"),
        ("columns", "k m"),
        ("partitions", "p1"),
        ("timezone", "Asia/Shanghai"),
        ("max_filter_ratio", "2"),
        ("format", "parquet"),
        ("compression", "lz4"),
    ],
)
def test_an_option_that_is_not_supported_fails_the_load(
    server: RunningServer, header: str, value: str
) -> None:
    answer = server.load("d.t", [{"k": 1}], **{header: value})
    assert answer["Status"] == "Fail"
    assert keys(server) == []


def test_an_unknown_table_is_told(server: RunningServer) -> None:
    answer = server.load("d.nope", [{"k": 1}])
    assert answer["Status"] == "Fail"
    assert "nope" in answer["Message"]


def test_a_transaction_is_seen_at_its_commit_and_a_second_commit_is_harmless(
    server: RunningServer,
) -> None:
    assert server.transaction("begin", "t1")["Status"] == "OK"
    assert server.transaction("begin", "t1")["Status"] == "LABEL_ALREADY_EXISTS"
    assert server.transaction("load", "t1", rows=[{"k": 1}, {"k": 2}])["NumberLoadedRows"] == 2
    assert server.transaction("load", "t1", rows=[{"k": 1, "__op": 1}])["Status"] == "OK"
    assert server.transaction("prepare", "t1")["Status"] == "OK"
    assert keys(server) == []
    assert server.transaction("commit", "t1")["Status"] == "OK"
    assert server.transaction("commit", "t1")["Status"] == "OK"
    assert server.transaction("rollback", "t1")["Status"] == "FAILED"
    assert keys(server) == [2]


def test_a_rolled_back_transaction_leaves_nothing(server: RunningServer) -> None:
    for prepare in (False, True):
        label = f"gone-{prepare}"
        server.transaction("begin", label)
        server.transaction("load", label, rows=[{"k": 1}])
        if prepare:
            server.transaction("prepare", label)
        assert server.transaction("rollback", label)["Status"] == "OK"
        assert server.transaction("commit", label)["Status"] == "FAILED"
        assert keys(server) == []


def test_a_transaction_nobody_knows_is_told_as_flink_expects(server: RunningServer) -> None:
    for operation in ("load", "prepare", "commit", "rollback"):
        assert server.transaction(operation, "never-begun", rows=[])["Status"] == "TXN_NOT_EXISTS"
    answer = json.loads(server.http("POST", "/api/transaction/begin", b"")[1])
    assert answer.get("msg") != "Not implemented"


def test_readers_see_whole_loads_and_do_not_wait(server: RunningServer) -> None:
    """Each load replaces all rows by one value; a reader never sees two."""
    stop = threading.Event()
    seen: list[tuple[Any, ...]] = []

    def read() -> None:
        with server.connect() as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("SELECT count(*), count(DISTINCT m) FROM d.t")
                seen.append(cursor.fetchall()[0])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for value in range(12):
            rows = [{"k": number, "m": value} for number in range(300)]
            assert server.load("d.t", rows)["Status"] == "Success"
    finally:
        stop.set()
        reader.join()
    assert len(seen) > 12
    assert set(seen) <= {(0, 0), (300, 1)}


def test_a_small_load_is_quick(server: RunningServer) -> None:
    """The bar is wide: the machine of a test may be shared with servers."""
    times = []
    for number in range(20):
        began = time.monotonic()
        server.load("d.t", [{"k": number}])
        times.append(time.monotonic() - began)
    assert sorted(times)[10] < 0.5
