"""`emdata dlq` on a real PostgreSQL: what is shown is safe, what is done is recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from runtime.cli import build
from runtime.letters import one_line, shown_bytes
from stream_manager.requests import RequestListener
from tests.stream_manager.door import Door
from tests.stream_manager.redriving import World
from tests.support.platform import Platform, running_platform


def test_bytes_of_strangers_cannot_move_the_cursor_nor_turn_the_text() -> None:
    assert shown_bytes(b"a\x1b[31mred\r\n\tb") == "a\\x1b[31mred\\r\n\tb"
    assert shown_bytes("x\u202egpj.exe\u2028y".encode()) == "x\\u202egpj.exe\\u2028y"
    assert shown_bytes(b"\xff\x00AB") == f"00000000  {'ff 00 41 42':48} ..AB"
    assert shown_bytes(b"x" * 10, limit=4) == "xxxx\n... 6 more bytes"
    assert one_line("a\nb" + "c" * 200, 10) == "a\\nbccc..."


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres") as running:
        yield running


@contextmanager
def redriving(world: World, engine: Engine) -> Iterator[None]:
    """Answer requests and drive letters again, as a manager does, while the block runs."""
    tasks = [
        asyncio.create_task(one)
        for one in (
            RequestListener(world.manager, engine, world.redriver.ask).run(),
            world.redriver.run(),
        )
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> Iterator[World]:
    way = Door(tmp_path, engine, "127.0.0.1:1", "made-nowhere", is_cut_off=True)
    yield World(way, engine)
    way.close()


@pytest.mark.integration
@pytest.mark.timeout(300)
async def test_letters_are_listed_shown_driven_again_and_dropped(
    platform: Platform, engine: Engine, world: World, tmp_path: Path
) -> None:
    raw = b"b=~\x1b[2J\xff"
    world.clock.at = datetime.now(UTC) - timedelta(hours=2)
    await world.poll(raw, b"c=~", b"d=~")
    stream = world.parser.name
    commands = build()

    def emdata(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(commands, ["dlq", *arguments], env=platform.environment)
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.output

    listed = json.loads(emdata("ls", "--stream", stream, "--cause", "row", "--json"))
    assert [one["state"] for one in listed] == ["open"] * 3
    assert json.loads(emdata("ls", "--stream", stream, "--older", "1h", "--json")) == listed
    assert json.loads(emdata("ls", "--stream", stream, "--newer", "1min", "--json")) == []
    (cause,) = json.loads(emdata("causes", "--json"))
    assert (cause["letters"], cause["cause"], cause["class"]) == (3, "row", "permanent")
    (odd,) = [one for one in listed if one["bytes"] == len(raw)]
    shown = emdata("show", odd["id"][:10])
    assert "\x1b" not in shown
    assert "62 3d 7e 1b 5b 32 4a ff" in shown
    file = tmp_path / "bytes"
    emdata("show", odd["id"], "--output", str(file))
    assert file.read_bytes() == raw

    assert "beginning" not in emdata("show", "nothing", code=2)
    assert "name letters" in emdata("redrive", code=2)
    assert "--yes is needed" in emdata("drop", odd["id"], "--why", "noise", code=2)
    assert "'maybe' is not known" in emdata("ls", "--state", "maybe", code=2)
    assert "a number with s, min, h or d" in emdata("ls", "--older", "soon", code=2)
    assert "dropped 1" in emdata("drop", odd["id"], "--why", "noise", "--by", "ada", "--yes")
    assert "by ada dropped: noise" in emdata("show", odd["id"])

    world.parser.version = 2
    with redriving(world, engine):
        said = await asyncio.to_thread(emdata, "redrive", "--stream", stream, "--json")
    assert json.loads(said) == {"letters": 2, "redriven": 2, "unanswered": 0}
    assert "0 letters" in emdata("ls", "--stream", stream)
    assert len(json.loads(emdata("ls", "--stream", stream, "--state", "redriven", "--json"))) == 2


@pytest.mark.integration
@pytest.mark.timeout(300)
async def test_letters_of_a_client_are_asked_of_this_platform_s_manager(
    platform: Platform, engine: Engine, tmp_path: Path
) -> None:
    nowhere, topic = "127.0.0.1:1", "made-client"
    left = Door(tmp_path / "c", engine, nowhere, topic, writer=100_900, is_cut_off=True)
    own = Door(
        tmp_path / "m", engine, nowhere, topic, writer=platform.settings.writer, is_cut_off=True
    )
    client, manager = World(left, engine), World(own, engine)
    manager.parser, manager.records = client.parser, client.records
    manager.make()
    await client.poll(b"b=~")
    left.close()
    client.parser.version = 2
    with closing(own), redriving(manager, engine):
        said = await asyncio.to_thread(
            lambda: CliRunner().invoke(
                build(),
                ["dlq", "redrive", "--stream", client.parser.name, "--json"],
                env=platform.environment,
            )
        )
    assert json.loads(said.stdout) == {"letters": 1, "redriven": 1, "unanswered": 0}, said.output
