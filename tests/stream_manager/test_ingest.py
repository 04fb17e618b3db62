"""The loopback HTTP door: who may, what is refused, and that an answer means fsynced."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from starlette.testclient import TestClient

from emdata.clock import SystemClock
from emdata.contracts.base import Priority
from emdata.errors import BufferUnavailable, StateUnavailable
from emdata.push_keys import PushKeys
from stream_manager import ingest as module
from stream_manager import manager as manager_module
from stream_manager.buffer import BufferLog
from stream_manager.buffer.disk import OsDisk
from stream_manager.ingest import MAX_BODY, IngestApp
from stream_manager.intake import Intake, IntakeConfig
from stream_manager.manager import StreamManager
from tests.stream_manager.making import records
from tests.stream_manager.test_session import Thing

TOKEN = "t-canary"
NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/none"


class Flaky(OsDisk):
    """Refuses writes while told to."""

    is_full = False

    def append(self, fd: int, data: bytes) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(fd, data)


class Door:
    """The application on a real buffer, without Kafka and PostgreSQL."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.disk = folder, Flaky()
        self.intake = Intake(
            IntakeConfig(folder, 1, 1 << 20, 16 << 20),
            create_engine(NOWHERE),
            SystemClock(),
            make_producer=lambda lane: pytest.fail(f"no broker, no producer {lane}"),
            is_up=lambda: False,
        )
        self.intake.log._disk = self.disk
        self.intake.start(self.intake.open())
        manager = StreamManager(self.intake, self.intake.applier._engine, SystemClock(),
                                is_simulated=True)  # fmt: skip
        self.manager, self.keys = manager, PushKeys(folder.parent / "keys.json", SystemClock())
        app = IngestApp(
            manager, {"made_things": Thing}, TOKEN, lambda: {"writer": 1}, self.keys
        ).app()
        self.client = TestClient(app)

    def post(
        self, body: object, *, token: str = TOKEN, dataset: str = "made_things", raw: bytes = b""
    ) -> Any:
        return self.client.post(
            f"/v1/records/{dataset}",
            content=raw or json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}"},
        )

    def durable(self) -> list[str]:
        """What another process would find on the disk now."""
        import shutil
        import tempfile

        copy = Path(tempfile.mkdtemp())
        try:
            shutil.copytree(self.folder, copy / "b")
            with BufferLog(copy / "b", writer=1, segment_bytes=1 << 20) as log:
                return [record.record_key for record in records(log, log.open().runs)]
        finally:
            shutil.rmtree(copy)


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setattr(manager_module, "load_high_seqs", lambda _engine, _writer: {})
    made = Door(tmp_path / "buffer")
    with made.client:
        yield made
    made.disk.is_full = False
    made.intake.stop()


def row(name: str, **changes: object) -> dict[str, object]:
    return {"thing_id": name, "text": "a", "at": "2026-11-21T09:00:00Z", **changes}


def test_an_answer_means_that_the_records_are_on_the_disk(door: Door) -> None:
    answer = door.post([row("a"), row("b")])
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
    assert door.durable() == ["a", "b"]


def test_a_sender_s_own_key_takes_its_datasets_for_its_tenant_until_it_is_removed(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, str]] = []
    new_session = door.manager.new_session

    def watched(stream: str, source: str, **rest: Any) -> Any:
        given.append((stream, rest["tenant"]))
        return new_session(stream, source, **rest)

    monkeypatch.setattr(door.manager, "new_session", watched)
    token = door.keys.add("county", "http", datasets=("made_things",), tenant="county")
    other = door.keys.add("other", "http", datasets=("else",))
    assert door.post([row("a")], token=token).status_code == 200
    assert given == [("push-county", "county")]
    assert door.post([row("b")], token=other).status_code == 403
    door.keys.remove("county")
    assert door.post([row("c")], token=token).status_code == 401
    assert door.durable() == ["a"]


def test_a_damaged_file_of_keys_shuts_senders_out_and_leaves_our_own_token(door: Door) -> None:
    token = door.keys.add("county", "http")
    door.keys._file.write_text("[{")
    assert door.post([row("a")], token=token).status_code == 401
    assert door.post([row("b")]).status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", "\u00e9"])
def test_without_the_token_nothing_is_taken(door: Door, token: str) -> None:
    answer = door.client.post(
        "/v1/records/made_things",
        content=b"[]",
        headers={"Authorization": f"Bearer {token}".encode()},
    )
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert TOKEN not in answer.text


def test_an_unknown_dataset_is_named_with_those_that_exist(door: Door) -> None:
    answer = door.post([], dataset="nothing")
    assert answer.status_code == 404
    assert "nothing is unknown; known: made_things" in answer.json()["detail"]


@pytest.mark.parametrize("raw", [b"{}", b"[", b"\xff", b"[1,", b"[" * 100_000])
def test_fault_26_what_is_no_json_array_is_400(door: Door, raw: bytes) -> None:
    assert door.post(None, raw=raw).status_code == 400


def test_fault_50_a_body_beyond_the_cap_is_413(door: Door) -> None:
    assert door.post(None, raw=b"[" + b" " * MAX_BODY + b"]").status_code == 413
    assert door.durable() == []


def test_bad_records_are_named_by_place_and_their_neighbors_are_taken(door: Door) -> None:
    rows = [row("a"), row("b", at="yesterday"), row("c", text="x" * 2000), row("d"), 7]
    answer = door.post(rows).json()
    assert answer["accepted"] == 2
    assert [one["index"] for one in answer["rejected"]] == [1, 2, 4]
    assert "at most 1024 bytes" in answer["rejected"][1]["reason"]
    assert door.durable() == ["a", "d"]


def test_bad_records_are_named_although_the_buffer_refused_the_good_ones(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = door.intake.writer.append_blocks

    def refused_once(_drafts: object, **_rest: object) -> Future[Any]:
        monkeypatch.setattr(door.intake.writer, "append_blocks", append)
        failed: Future[Any] = Future()
        failed.set_exception(BufferUnavailable("disk"))
        return failed

    monkeypatch.setattr(door.intake.writer, "append_blocks", refused_once)
    rows = [row("bad", at="yesterday"), *(row(f"good-{number}") for number in range(2500))]
    answer = door.post(rows)
    assert answer.status_code == 503
    assert [one["index"] for one in answer.json()["rejected"]] == [0]
    assert answer.json()["accepted"] == 0
    assert door.durable() == []


def test_fault_8_records_that_the_full_buffer_refuses_are_503_and_not_taken(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door.intake, "admits", lambda priority: priority is Priority.CRITICAL)
    answer = door.post([row("a")])
    assert (answer.status_code, answer.json()["deferred"]) == (503, 1)
    assert door.durable() == []


def test_fault_5_a_full_disk_is_503_within_seconds_and_ends_by_itself(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    door.disk.is_full = True
    assert door.post([row("a")]).status_code == 503
    assert door.client.get("/health").status_code == 503
    assert door.durable() == []
    door.disk.is_full = False
    assert door.post([row("b")]).status_code == 200
    assert door.client.get("/health").status_code == 200
    assert door.durable() == ["b"]


def test_an_empty_buffer_waits_for_the_numbers_that_postgres_knows(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_engine: object, _writer: int) -> dict[str, int]:
        raise StateUnavailable("away")

    monkeypatch.setattr(module, "PATIENCE", 0.2)
    monkeypatch.setattr(manager_module, "load_high_seqs", away)
    answer = door.post([row("a")])
    assert (answer.status_code, answer.json()["title"]) == (503, "not ready")
    monkeypatch.setattr(manager_module, "load_high_seqs", lambda _e, _w: {"made_things": 41})
    assert door.post([row("b")]).json()["accepted"] == 1
    assert door.intake.log.seqs_durable() == {"made_things": 42}


def test_health_metrics_and_status_answer_without_a_token(door: Door) -> None:
    get: Callable[[str], Any] = door.client.get
    assert get("/health").json() == {"status": "ok"}
    assert get("/status").json() == {"writer": 1}
    assert "stream_buffer_size_bytes" in get("/metrics").text
