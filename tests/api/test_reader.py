"""The reader on a real embedded StarRocks: limits, kills, restarts, lanes, clients that leave."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from api.problems import Problem
from api.query.model import Statement
from api.reading.reader import Address, Reader, Row
from emdata.errors import WarehouseUnavailable
from tests.starrocks.running import PASSWORD, RunningServer, running_server
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration
# Some seconds of work: pairs of rows that are compared one by one.
SLOW = "SELECT COUNT(*) FROM d.numbers a JOIN d.numbers b ON a.n * 7 + b.n * 3 > a.n * b.n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("reader")) as running:
        running.query("CREATE DATABASE d")
        running.query(
            "CREATE TABLE d.numbers DUPLICATE KEY (n) AS "
            "SELECT generate_series AS n, 'é' AS t FROM TABLE(generate_series(1, 30000))"
        )
        yield running


def _with(server: RunningServer, work: Callable[[Reader], Awaitable[Any]], **changes: Any) -> Any:
    async def run() -> Any:
        address = Address("127.0.0.1", server.mysql_port, "root", PASSWORD)
        reader = Reader(address, changes.pop("connections", 4), **changes)
        try:
            return await work(reader)
        finally:
            reader.close()

    return asyncio.run(run())


def _select(sql: str, *values: Any) -> Statement:
    return Statement(sql, values, ())


def _running(server: RunningServer) -> list[str]:
    found = server.query("SHOW FULL PROCESSLIST")
    return [str(row) for row in found if "COUNT(*)" in str(row) and "PROCESSLIST" not in str(row)]


def test_values_come_as_their_columns_say(server: RunningServer) -> None:
    sql = (
        "SELECT CAST(1.50 AS DECIMAL(9, 2)), CAST('2026-11-21 09:14:10.25' AS DATETIME), "
        "CAST('2026-11-21' AS DATE), TRUE, NULL, 'é%', %s, %s"
    ).replace("é%", "é%%")
    rows = _with(server, lambda reader: reader.rows(_select(sql, "x' OR 1=1 \\", 2.5)))
    at = datetime.fromisoformat("2026-11-21 09:14:10.250000")
    expected = (Decimal("1.50"), at, date(2026, 11, 21), 1, None, "é%", "x' OR 1=1 \\", 2.5)
    assert rows == [expected]


def test_all_rows_come_in_batches_and_connections_are_used_again(server: RunningServer) -> None:
    async def work(reader: Reader) -> None:
        statement = _select("SELECT n, t FROM d.numbers ORDER BY n")
        whole = await reader.rows(statement)
        batches = [batch async for batch in reader.stream(statement, size=4000)]
        assert [row for batch in batches for row in batch] == whole
        assert [row[0] for row in whole] == list(range(1, 30001))
        assert [len(batch) for batch in batches] == [4000] * 7 + [2000]
        numbers = {(await reader.rows(_select("SELECT CONNECTION_ID()")))[0] for _ in range(5)}
        assert len(numbers) == 1

    _with(server, work)


def test_a_connection_is_never_shared_by_two(server: RunningServer) -> None:
    async def work(reader: Reader) -> None:
        async def ask(number: int) -> None:
            sql = "SELECT n, %s FROM d.numbers WHERE n <= %s ORDER BY n"
            rows = await reader.rows(_select(sql, number, 200 + number))
            assert rows == [(n, number) for n in range(1, 201 + number)]

        await asyncio.gather(*(ask(number) for number in range(60)))

    _with(server, work)


def test_a_query_beyond_its_limit_is_a_problem_and_the_next_one_runs(server: RunningServer) -> None:
    async def work(reader: Reader) -> None:
        began = time.monotonic()
        with pytest.raises(Problem) as late:
            await reader.rows(_select(SLOW), seconds=1)
        assert late.value.kind == "timed-out"
        assert time.monotonic() - began < 6
        assert await reader.rows(_select("SELECT 1")) == [(1,)]

    _with(server, work)


def test_a_table_that_is_not_there_yet_is_not_built(server: RunningServer) -> None:
    for table in ("d.nothing", "nowhere.nothing"):
        statement = _select(f"SELECT * FROM {table}")
        with pytest.raises(Problem) as missing:
            _with(server, lambda reader, statement=statement: reader.rows(statement))
        assert missing.value.kind == "not-built"
        assert int(missing.value.headers["Retry-After"]) > 0


def test_what_nobody_waits_for_any_more_is_ended(server: RunningServer) -> None:
    async def work(reader: Reader) -> None:
        task = asyncio.create_task(reader.rows(_select(SLOW), seconds=60))
        await asyncio.to_thread(wait_for, lambda: _running(server), 10, "the query to run")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(wait_for, lambda: not _running(server), 5, "the query to end")
        assert await reader.rows(_select("SELECT 1")) == [(1,)]

    _with(server, work)


def test_an_export_that_is_given_up_frees_its_place(server: RunningServer) -> None:
    async def work(reader: Reader) -> None:
        statement = _select("SELECT a.n, b.t FROM d.numbers a JOIN d.numbers b ON b.n <= 300")
        for _ in range(4):
            batches = reader.stream(statement, size=10)
            assert len(await anext(batches)) == 10
            await batches.aclose()  # type: ignore[attr-defined]
        assert await reader.rows(_select("SELECT 1")) == [(1,)]

    _with(server, work, exports=2)


def test_a_flood_of_exports_does_not_hold_up_pages(server: RunningServer) -> None:
    async def work(reader: Reader) -> None:
        async def export() -> None:
            async for _ in reader.stream(_select("SELECT n, t FROM d.numbers"), size=500):
                await asyncio.sleep(0)

        flood = [asyncio.create_task(export()) for _ in range(12)]
        await asyncio.sleep(0)
        page = await asyncio.wait_for(reader.rows(_select("SELECT 7")), 10)
        assert page == [(7,)]
        assert not all(one.done() for one in flood)
        await asyncio.gather(*flood)

    _with(server, work, connections=2, exports=2)


def test_a_killed_starrocks_is_unavailable_and_is_back_by_itself(server: RunningServer) -> None:
    async def work(reader: Reader) -> None:
        assert await reader.rows(_select("SELECT 1")) == [(1,)]
        server.kill()
        for _ in range(2):
            with pytest.raises(WarehouseUnavailable):
                await reader.rows(_select("SELECT 1"))
        await asyncio.to_thread(server.start)
        assert await reader.rows(_select("SELECT COUNT(*) FROM d.numbers")) == [(30000,)]

    _with(server, work)


def test_a_restart_between_two_requests_is_not_seen(server: RunningServer) -> None:
    async def work(reader: Reader) -> None:
        await asyncio.gather(*(reader.rows(_select("SELECT 1")) for _ in range(4)))
        server.kill()
        await asyncio.to_thread(server.start)
        found = await asyncio.gather(*(reader.rows(_select("SELECT 2")) for _ in range(4)))
        assert found == [[(2,)]] * 4

    _with(server, work)


def test_an_export_that_loses_its_server_ends_with_an_error(server: RunningServer) -> None:
    async def work(reader: Reader) -> None:
        statement = _select("SELECT a.n, b.t FROM d.numbers a JOIN d.numbers b ON b.n <= 1000")
        batches = reader.stream(statement, size=1000)
        await anext(batches)
        server.kill()
        with pytest.raises((WarehouseUnavailable, Problem)):
            await _drained(batches)

    try:
        _with(server, work)
    finally:
        server.start()


def test_a_starrocks_that_hangs_is_given_up(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.reading.connections.GRACE_SECONDS", 0.5)
    assert server.process is not None
    pid = server.process.pid

    async def work(reader: Reader) -> None:
        await reader.rows(_select("SELECT 1"))
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises((Problem, WarehouseUnavailable)):
                await asyncio.wait_for(reader.rows(_select("SELECT 1"), seconds=1), 15)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert await reader.rows(_select("SELECT 1")) == [(1,)]

    _with(server, work)


def test_memory_of_an_export_stays_bounded_when_nobody_reads(server: RunningServer) -> None:
    async def work(reader: Reader) -> None:
        statement = _select(
            "SELECT a.n, b.t, 'some text that makes a row longer' AS c "
            "FROM d.numbers a JOIN d.numbers b ON b.n <= 100"
        )
        batches = reader.stream(statement, size=1000)
        await anext(batches)
        before = _resident()
        # Three million rows of some 60 bytes wait in StarRocks meanwhile.
        for _ in range(20):
            await asyncio.sleep(0.02)
        await anext(batches)
        assert _resident() - before < 30 << 20
        await batches.aclose()  # type: ignore[attr-defined]

    _with(server, work)


async def _drained(batches: AsyncIterator[list[Row]]) -> None:
    async for _ in batches:
        pass


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
