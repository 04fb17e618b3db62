"""`emdata buffer`: a first site's copied buffer sent into another Kafka, on a real broker."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine
from typer.testing import CliRunner

from emdata.clock import ManualClock, SystemClock
from emdata.commits import Dead
from emdata.objects import open_store
from runtime.cli import build
from stream_manager.buffer import BufferLog, Run, blocks_of
from stream_manager.buffer.inspect import segment_files
from stream_manager.delivery.producers import KafkaProducer, broker_answers
from stream_manager.intake import Intake, IntakeConfig
from stream_manager.second_site.copies import SegmentCopies
from tests.stream_manager.door import make_topic, read_topic, undelivered
from tests.stream_manager.making import AT, commit, draft
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="kafka") as running:
        yield running


class FirstSite:
    """A buffer of writer 41 whose Kafka is away; every batch has a segment of its own."""

    def __init__(self, folder: Path, topic: str, copies: SegmentCopies | None = None) -> None:
        self.topic = topic
        self.log = BufferLog(
            folder, writer=41, segment_bytes=1, disk=copies.disk if copies else None
        )
        self.log.open()
        self.runs: list[Run] = []

    def write(self, first: int, last: int, *, is_simulated: bool = True) -> None:
        """Append one batch of numbered records."""
        drafts = [
            msgspec.structs.replace(
                draft(number, poll_id=f"p{first}"), topic=self.topic, is_simulated=is_simulated
            )
            for number in range(first, last + 1)
        ]
        frame = commit(f"p{first}")
        done = self.log.append(blocks_of(drafts), [frame], [], accepted_at=AT)
        self.log.applied(done.segment, poll_id=frame.poll_id)
        self.runs += done.runs


@pytest.fixture
def topic(platform: Platform) -> str:
    name = f"made-{uuid.uuid4().hex[:8]}"
    make_topic(platform.settings.kafka_servers, name)
    return name


def emdata(platform: Platform, *arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(build(), ["buffer", *arguments], env=platform.environment)
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout if code == 0 else f"{done.output} {done.exception}"


def landed(platform: Platform, topic: str) -> list[int]:
    """Numbers in the topic; the same identity always carries the same record."""
    found: dict[tuple[str, int, int], dict[str, object]] = {}
    for value in read_topic(platform.settings.kafka_servers, topic):
        identity = value["accepted_on"], value["writer"], value["seq"]
        assert found.setdefault(identity, value) == value
    assert {writer for _, writer, _ in found} <= {41}
    return sorted(seq for _, _, seq in found)


def test_a_copied_directory_is_sent_once_or_twice_and_lands_once(
    platform: Platform, topic: str, tmp_path: Path
) -> None:
    site = FirstSite(tmp_path / "41", topic)
    for first in (1, 101, 201):
        site.write(first, first + 99)
    site.log.delivered([site.runs[0].only(range(60))])
    refused = Dead(f"41-{'made_things'}-250", "made", "made_things", 250, "p201",
                   "kafka_refused", "r", b"x", 1, AT)  # fmt: skip
    site.log.append([], [], [refused], accepted_at=AT)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path, copy, ignore=shutil.ignore_patterns("copy"))

    listed = json.loads(emdata(platform, "ls", str(copy), "--json"))
    assert sum(one["records"] for one in listed) == 300
    assert sum(one["undelivered"] for one in listed) == 240
    assert {one["writer"] for one in listed} == {41}
    assert "0 segments damaged" in emdata(platform, "verify", str(copy))

    expected = [*range(61, 250), *range(251, 301)]
    for _ in range(2):
        said = json.loads(emdata(platform, "replay", str(copy / "41"), "--json"))
        assert said == {"delivered": 239, "dead": 1, "damaged": 0}
        assert landed(platform, topic) == expected
    emdata(platform, "replay", str(copy), "--all")
    assert landed(platform, topic) == [*range(1, 250), *range(251, 301)]


def test_copies_in_object_storage_hold_what_was_delivered_and_what_was_not(
    platform: Platform, topic: str, tmp_path: Path
) -> None:
    url = f"file://{tmp_path}/store"
    copies = SegmentCopies(
        tmp_path / "log",
        tmp_path / "outgoing",
        open_store(url),
        writer=41,
        max_bytes=64 << 20,
        clock=ManualClock(SystemClock().now() + timedelta(hours=1)),
    )
    site = FirstSite(tmp_path / "log", topic, copies)
    for first in (1, 51, 101):
        site.write(first, first + 49)
    site.log.delivered(site.runs[:1])
    site.write(151, 151)
    copies.copy_once()
    assert json.loads(emdata(platform, "replay", "--from", url, "--json"))["delivered"] == 100
    assert landed(platform, topic) == list(range(51, 151))
    emdata(platform, "replay", "--from", url, "--all")
    assert landed(platform, topic) == list(range(1, 151))


def test_damage_is_named_and_the_rest_is_sent(
    platform: Platform, topic: str, tmp_path: Path
) -> None:
    site = FirstSite(tmp_path / "41", topic)
    for first in (1, 11, 21):
        site.write(first, first + 9)
    broken = segment_files(tmp_path / "41")[1]
    content = bytearray(broken.read_bytes())
    content[-20] ^= 0xFF
    broken.write_bytes(content)
    said = emdata(platform, "verify", str(tmp_path / "41"), code=1)
    assert f"{broken}: bytes" in said
    assert "1 segments damaged" in said
    counts = json.loads(emdata(platform, "replay", str(tmp_path / "41"), "--json"))
    assert counts["damaged"] == 1
    assert len(landed(platform, topic)) == counts["delivered"] == 20


def test_real_records_never_go_into_a_simulated_platform(
    platform: Platform, topic: str, tmp_path: Path
) -> None:
    site = FirstSite(tmp_path / "41", topic)
    site.write(1, 3)
    site.write(4, 4, is_simulated=False)
    said = emdata(platform, "replay", str(tmp_path / "41"), code=1)
    assert "simulated and real data never mix" in said
    assert landed(platform, topic) == [], "nothing at all was sent"


def test_a_writer_of_this_platform_is_refused_unless_the_records_are_its_own(
    platform: Platform, topic: str, tmp_path: Path
) -> None:
    site = FirstSite(tmp_path / "41", topic)
    site.write(1, 3)
    (platform.paths.buffer / "41").mkdir(parents=True)
    try:
        said = emdata(platform, "replay", str(tmp_path / "41"), code=1)
        assert "writer 41 is a writer of this platform too" in said
        assert "delivered 3" in emdata(platform, "replay", str(tmp_path / "41"), "--own")
    finally:
        (platform.paths.buffer / "41").rmdir()
    assert landed(platform, topic) == [1, 2, 3]


def test_what_is_no_buffer_is_one_line(platform: Platform, tmp_path: Path) -> None:
    assert "holds no segments" in emdata(platform, "ls", str(tmp_path), code=2)
    assert "is no directory" in emdata(platform, "verify", str(tmp_path / "no"), code=2)
    assert "name a directory" in emdata(platform, "replay", code=2)
    url = f"file://{tmp_path}/empty"
    assert "holds no copies" in emdata(platform, "replay", "--from", url, code=2)


def test_looking_while_a_manager_writes_and_removes_disturbs_nobody(
    platform: Platform, topic: str, tmp_path: Path
) -> None:
    servers = platform.settings.kafka_servers
    intake = Intake(
        IntakeConfig(tmp_path, 41, 4096, 64 << 20),
        create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none"),
        SystemClock(),
        make_producer=partial(KafkaProducer, servers),
        is_up=partial(broker_answers, servers),
    )
    intake.start(intake.open())
    try:
        for number in range(40):
            drafts = [
                msgspec.structs.replace(draft(number * 10 + one), topic=topic) for one in range(10)
            ]
            intake.writer.append(drafts).result(30)
            if number % 8 == 0:
                assert "0 segments damaged" in emdata(platform, "verify", str(tmp_path))
        wait_for(lambda: undelivered(intake) == 0, 60, "everything to be delivered")
    finally:
        intake.stop()
    assert landed(platform, topic) == list(range(1, 401))
