"""Fault 53, the server's side: a load in doubt is asked for by its label and never taken twice."""

from __future__ import annotations

import base64
import json
import random
import socket
import threading
from typing import Any

import pytest

from emdata.warehouse import Warehouse
from runtime.warehouse_files import Loader, export_tables, import_tables
from tests.starrocks.front_end import front_end
from tests.starrocks.running import PASSWORD, RunningServer
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _table(server: RunningServer) -> None:
    # Without a key: a load that is taken twice is there twice.
    server.query("DROP TABLE IF EXISTS d.t FORCE")
    server.query("CREATE TABLE d.t (k BIGINT NOT NULL, v STRING) DUPLICATE KEY (k)")


def keys(server: RunningServer) -> list[int]:
    return [row[0] for row in server.query("SELECT k FROM d.t ORDER BY k")]


def state(server: RunningServer, label: str) -> str:
    answer = json.loads(server.http("GET", f"/api/d/get_load_state?label={label}")[1])
    return str(answer["state"])


def request(server: RunningServer, label: str, body: bytes) -> bytes:
    """A stream load as bytes, so that it can be cut anywhere."""
    token = base64.b64encode(f"root:{PASSWORD}".encode()).decode()
    return (
        f"PUT /api/d/t/_stream_load HTTP/1.1\r\nHost: 127.0.0.1:{server.http_port}\r\n"
        f"Authorization: Basic {token}\r\nlabel: {label}\r\nformat: json\r\n"
        f"strip_outer_array: true\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def repeated(server: RunningServer, label: str) -> tuple[str, str]:
    answer = server.load("d.t", [{"k": 99}], label=label)
    return answer["Status"], answer.get("ExistingJobStatus", "")


def test_fault_53_a_label_in_use_is_told_from_a_finished_one(server: RunningServer) -> None:
    begun = server.transaction("begin", "two-phases")
    assert begun["Status"] == "OK"
    assert state(server, "two-phases") == "PREPARE"
    assert repeated(server, "two-phases") == ("Label Already Exists", "RUNNING")
    assert server.transaction("load", "two-phases", rows=[{"k": 1}])["Status"] == "OK"
    assert server.transaction("prepare", "two-phases")["Status"] == "OK"
    assert state(server, "two-phases") == "PREPARED"
    assert repeated(server, "two-phases") == ("Label Already Exists", "RUNNING")
    again = server.transaction("begin", "two-phases")
    assert (again["Status"], again["ExistingJobStatus"]) == ("LABEL_ALREADY_EXISTS", "RUNNING")
    assert server.transaction("commit", "two-phases")["Status"] == "OK"
    assert state(server, "two-phases") == "VISIBLE"
    assert repeated(server, "two-phases") == ("Label Already Exists", "FINISHED")
    again = server.transaction("begin", "two-phases")
    assert (again["Status"], again["ExistingJobStatus"]) == ("LABEL_ALREADY_EXISTS", "FINISHED")
    assert keys(server) == [1]


def test_fault_53_a_label_whose_body_is_still_on_its_way_is_in_use(server: RunningServer) -> None:
    sent = request(server, "slow", b'[{"k": 1}, {"k": 2}]')
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as raw:
        raw.sendall(sent[:-5])
        wait_for(lambda: state(server, "slow") == "PREPARE", 10, "the load to begin")
        assert repeated(server, "slow") == ("Label Already Exists", "RUNNING")
        raw.sendall(sent[-5:])
        answer = b""
        while b"}" not in answer:
            piece = raw.recv(65536)
            assert piece, f"the answer ended early: {answer!r}"
            answer += piece
        assert b'"Status":"Success"' in answer
    assert repeated(server, "slow") == ("Label Already Exists", "FINISHED")
    assert keys(server) == [1, 2]


def test_fault_53_a_load_whose_answer_was_lost_is_repeated_without_harm(
    server: RunningServer,
) -> None:
    """The connection is cut anywhere, the end included; then asked, then sent again."""
    chance = random.Random(53)
    finished = 0
    for number in range(30):
        label = f"cut-{number}"
        sent = request(server, label, json.dumps([{"k": number}]).encode())
        cut = len(sent) if number % 3 == 0 else chance.randrange(len(sent))
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as raw:
            raw.sendall(sent[:cut])
        found = wait_for(
            lambda label=label: (
                now if (now := state(server, label)) in ("VISIBLE", "ABORTED", "UNKNOWN") else ""
            ),
            20,
            f"the state of {label}",
        )
        answer = server.load("d.t", [{"k": number}], label=label)
        if answer["Status"] == "Label Already Exists":
            # A load may end between the question and its repetition.
            wait_for(
                lambda label=label: state(server, label) == "VISIBLE", 20, f"{label} to be visible"
            )
            finished += 1
        else:
            assert found != "VISIBLE"
            assert answer["Status"] == "Success", answer
    assert keys(server) == list(range(30))
    assert finished >= 5, "no load went through before its connection was cut"


def test_fault_53_a_commit_whose_answer_was_lost_is_repeated_without_harm(
    server: RunningServer,
) -> None:
    token = base64.b64encode(f"root:{PASSWORD}".encode()).decode()
    for number in range(8):
        label = f"commit-{number}"
        for operation in ("begin", "load", "prepare"):
            done = server.transaction(operation, label, rows=[{"k": number}])
            assert done["Status"] == "OK", done
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as raw:
            raw.sendall(
                (
                    "POST /api/transaction/commit HTTP/1.1\r\nHost: localhost\r\n"
                    f"Authorization: Basic {token}\r\nlabel: {label}\r\ndb: d\r\ntable: t\r\n"
                    "Content-Length: 0\r\n\r\n"
                ).encode()
            )
        assert server.transaction("commit", label)["Status"] == "OK"
        assert state(server, label) == "VISIBLE"
    assert keys(server) == list(range(8))


def test_fault_53_what_is_answered_as_done_is_visible_at_once(server: RunningServer) -> None:
    """There is no time between commit and publication, and so no Publish Timeout."""
    seen: list[tuple[int, int]] = []

    def load_and_look(first: int) -> None:
        with server.connect() as connection, connection.cursor() as cursor:
            for number in range(first, first + 15):
                answer = server.load("d.t", [{"k": number}], label=f"seen-{number}")
                assert answer["Status"] == "Success"
                cursor.execute("SELECT count(*) FROM d.t WHERE k = %s", (number,))
                seen.append((number, cursor.fetchall()[0][0]))

    threads = [threading.Thread(target=load_and_look, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 60
    assert {count for _, count in seen} == {1}


def test_fault_53_more_bad_rows_than_the_ratio_allows_load_nothing_and_free_the_label(
    server: RunningServer,
) -> None:
    rows: list[dict[str, Any]] = [{"k": n} for n in range(9)] + [{"k": "bad"}]
    refused = server.load("d.t", rows, label="ratio", max_filter_ratio="0.09")
    assert (refused["Status"], refused["NumberFilteredRows"]) == ("Fail", 1)
    assert "ErrorURL" in refused
    assert state(server, "ratio") == "ABORTED"
    assert keys(server) == []
    taken = server.load("d.t", rows, label="ratio", max_filter_ratio="0.1")
    assert (taken["Status"], taken["NumberLoadedRows"]) == ("Success", 9)
    assert repeated(server, "ratio") == ("Label Already Exists", "FINISHED")
    assert keys(server) == list(range(9))


def test_fault_53_a_load_goes_through_a_redirect_with_its_login(
    server: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The stand-in needs no redirect; its clients must follow one, and it must take what comes."""
    server.query("CREATE DATABASE r")
    server.query("CREATE TABLE r.rows_ (k INT NOT NULL, s STRING) DUPLICATE KEY (k)")
    server.query("INSERT INTO r.rows_ VALUES (1, 'a'), (2, NULL)")
    warehouse = Warehouse("127.0.0.1", server.mysql_port, "root", PASSWORD, timeout=60)
    directory = tmp_path_factory.mktemp("out") / "export"
    assert [table.rows for table in export_tables(warehouse, directory, ["r"])] == [2]
    server.query("DROP DATABASE r FORCE")
    with front_end(server.http_port) as front:
        loader = Loader("127.0.0.1", front.port, "root", PASSWORD)
        imported = import_tables(warehouse, loader, directory, ["r"], replace=False)
        assert [(table.name, table.rows) for table in imported] == [("rows_", 2)]
        assert front.redirected >= 1
    assert server.query("SELECT * FROM r.rows_ ORDER BY k") == [(1, "a"), (2, None)]
    # A login that the redirect lost is missed before the body is read.
    body = b'[{"k": 9}]'
    status, _ = server.http("PUT", "/api/d/t/_stream_load", body, user=None, format="json")
    assert status == 401
    assert keys(server) == []
