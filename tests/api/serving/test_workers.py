"""Two processes of the API behind one port answer as one."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime

import httpx2
import psutil
import pytest
import sqlalchemy as sa

from emdata.audit_anchors import Anchors
from emdata.contracts.fema import DisasterDeclaration
from emdata.state.audit_chain import verify
from emdata.state.database import connect
from runtime.tasks import state_dsn
from tests.api.access.live import OWNED, World, populate
from tests.api.streams.test_streams_http import ALERT_STREAM, send
from tests.api.world import World as Landing
from tests.support.platform import running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
SETTINGS = {"EMDATA_API_WORKERS": "2", "EMDATA_API_LIMITS": "off"}
ITEMS = "/collections/fema_disaster_declarations/items"
MOST = 64


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_platform("postgres,kafka,starrocks,api", SETTINGS) as platform:
        engine = connect(state_dsn(platform.context))
        made = World(platform, engine)
        populate(made)
        yield made
        engine.dispose()


@pytest.fixture
def landing(world: World) -> Iterator[Landing]:
    with httpx2.Client(timeout=60) as client:
        yield Landing(world.platform, client)


def busy_workers(world: World) -> set[int]:
    """Processes of the API that hold connections of clients."""
    port = world.platform.settings.api_port
    return {
        process.pid
        for process in psutil.Process(world.platform.pid("api")).children(recursive=True)
        for one in process.net_connections("tcp")
        if one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port
    }


@contextmanager
def connections(world: World) -> Iterator[list[http.client.HTTPConnection]]:
    """Open connections until both processes have some of them."""
    opened: list[http.client.HTTPConnection] = []
    with ExitStack() as stack:

        def one_more() -> http.client.HTTPConnection:
            port = world.platform.settings.api_port
            made = stack.enter_context(
                closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60))
            )
            get(made, "/health")
            return made

        while len(busy_workers(world)) < 2:
            assert len(opened) < MOST, "one process took them all"
            with ThreadPoolExecutor(8) as pool:
                opened += pool.map(lambda _: one_more(), range(8))
        yield opened


def get(
    connection: http.client.HTTPConnection, path: str, token: str | None = None
) -> tuple[int, str | None, bytes]:
    """Status, ETag and body."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.headers["etag"], answer.read()


def reads(world: World) -> int:
    with world.engine.begin() as connection:
        found = connection.execute(
            sa.text("SELECT COUNT(*) FROM audit_chain WHERE act = 'data.read' AND subject = :name"),
            {"name": OWNED},
        )
        return int(found.scalar_one())


def test_fault_49_both_processes_write_one_audit_chain(world: World) -> None:
    before, path = reads(world), f"/collections/{OWNED}/items?limit=1"
    with connections(world) as opened, ThreadPoolExecutor(len(opened)) as pool:
        for _ in range(3):
            answers = pool.map(lambda one: get(one, path, world.tokens["member"]), opened)
            assert {status for status, _, _ in answers} == {200}
        assert reads(world) == before + 3 * len(opened)
    anchors = Anchors.of(world.platform.paths).all()
    assert verify(world.engine, world.key, anchors).fault is None


def test_both_processes_answer_from_the_same_version_of_the_data(
    world: World, landing: Landing
) -> None:
    with connections(world) as opened:
        for count in (1, 2):
            landing.land(
                DisasterDeclaration(
                    disaster_number=count, place_code="0", refreshed_at=datetime.now(UTC)
                )
            )

            def all_have(expected: int) -> bool:
                answers = [get(one, ITEMS) for one in opened]
                found = [len(json.loads(body)["features"]) for _, _, body in answers]
                tags = {tag for _, tag, _ in answers}
                return set(found) == {expected} and len(tags) == 1 and None not in tags

            wait_for(lambda: all_have(count), 60, f"{count} items from both")  # noqa: B023


def test_listeners_of_both_processes_hear_the_same(world: World, landing: Landing) -> None:
    with connections(world) as opened, ThreadPoolExecutor(len(opened)) as pool:

        def begin(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
            connection.request("GET", f"{ALERT_STREAM}?limit=1&seconds=60")
            answer = connection.getresponse()
            assert answer.status == 200
            # The first event says that it listens.
            assert b"event: open" in answer.readline() + answer.readline()
            return answer

        # One after the other: how many may begin at once is limited.
        answers = [begin(one) for one in opened]
        send(landing, 1)
        heard = list(pool.map(lambda answer: answer.read(), answers))
    assert all(b"event: item" in body and b'"reason":"limit"' in body for body in heard)
