"""A stream manager in a process of its own, told over stdin what to do; answers on stdout.

One JSON object a line each way. A command is the name of a method below with its arguments.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from emdata.clock import SystemClock
from emdata.contracts import Priority
from emdata.state import connect
from emdata.telemetry import configure_logging
from stream_manager.buffer import Block
from stream_manager.connector import StreamConfig
from stream_manager.control.control import Control, ControlConfig
from stream_manager.delivery.lanes import Lanes
from stream_manager.delivery.producers import broker_answers
from stream_manager.intake import Intake, IntakeConfig
from stream_manager.interpreter import tune_interpreter
from stream_manager.manager import StreamManager
from stream_manager.polls.prepared import Keys
from tests.bench.stream.drafts import groups, prepared
from tests.bench.stream.feeds import KINDS, Feed

GROUP, OUTSTANDING = 250, 16
ROWS_A_POLL = 5000


class Worker:
    """The manager and its feeds."""

    def __init__(self, config: dict[str, Any]) -> None:
        servers = config["servers"]
        engine, clock = connect(config["dsn"]), SystemClock()
        # An official source may have 1,000 CRITICAL records a minute.
        limits = ControlConfig(official=("bench",))
        lanes = self.lanes = Lanes(
            servers, Path(config["buffer"]), config["writer"], level="WARNING"
        )
        lanes.prepare()
        self.intake = Intake(
            IntakeConfig(
                Path(config["buffer"]),
                config["writer"],
                config.get("segment_mb", 16) << 20,
                config.get("buffer_mb", 4096) << 20,
                queue_bytes=0,
            ),
            engine,
            clock,
            make_producer=lanes,
            is_up=partial(broker_answers, servers),
            breaker=limits.new_destination(),
        )
        control = Control(
            limits, clock, depths=self.intake.queues.depths, waiting=self.intake.queues.waiting
        )
        self.intake.start(self.intake.open())
        self.manager = StreamManager(self.intake, engine, clock, is_simulated=True, control=control)
        self.feeds: dict[str, Feed] = {}

    def usage(self) -> dict[str, Any]:
        """What the process used, and what is on the way."""
        this = psutil.Process()
        return {
            "at": time.monotonic(),
            **_used([this, *this.children()]),
            "waiting": self.waiting(),
            "unapplied": self.intake.applier.depth(),
            "buffer_mb": self.intake.log.size_bytes() / 2**20,
            "accepted": self.intake.log.seqs_durable(),
            "feeds": {
                name: {"given": feed.given, "began_at": feed.began_at}
                for name, feed in self.feeds.items()
            },
        }

    def waiting(self) -> int:
        """Records that Kafka has not confirmed; what is between two queues as well."""
        return self.intake.log.segments.undelivered()

    async def feed(self, kind: str, *, batch: int, **given: Any) -> None:
        """Start a stream."""
        given["priority"] = Priority[given.get("priority", "LOW")]
        feed = KINDS[kind](**given)
        self.feeds[feed.name] = feed
        # A feed of that rate is a sender whose records are all new: nothing to compare with.
        keys = Keys.COMPARED if kind == "resumable" else Keys.FORGOTTEN
        self.manager.start_streaming(feed, StreamConfig(0.001, batch_size=batch, keys=keys))

    async def wait(self, name: str) -> None:
        """Wait until a feed has given all."""
        await self.feeds[name].done.wait()

    async def stop_feed(self, name: str) -> None:
        """Stop a stream."""
        await self.manager.stop_streaming(name)

    async def drain(self) -> None:
        """Wait until Kafka has all."""
        while self.waiting():
            await asyncio.sleep(0.005)

    async def fill(self, dataset: str, priorities: dict[str, int]) -> None:
        """Append records of one dataset, a multiple of 250 a priority, in turns."""
        left = {Priority[name]: count for name, count in priorities.items()}
        ready = {priority: groups(dataset, priority, GROUP) for priority in left}
        pending: deque[Future[list[Block]]] = deque()
        while any(left.values()):
            for priority, count in left.items():
                if count > 0:
                    left[priority] -= GROUP
                    pending.append(self.intake.writer.append_blocks(ready[priority]))
            while len(pending) > OUTSTANDING:
                await asyncio.wrap_future(pending.popleft())
        for future in pending:
            await asyncio.wrap_future(future)

    async def polls(self, dataset: str, count: int) -> None:
        """Run so many polls of 5,000 prepared records each, with all that their COMMITs hold."""
        batch = prepared(dataset, Priority.NORMAL, ROWS_A_POLL)
        await self.manager.be_certain_of_numbers()
        for _ in range(count):
            session = self.manager.new_session(
                "polls", "bench", cursor={}, batch_size=1000, keys=Keys.REMEMBERED
            )
            await session.batch_prepared(batch)
            await session.finish("ok")

    async def exit(self) -> None:
        """Stop as at SIGTERM."""
        await self.manager.stop()
        await asyncio.to_thread(self.intake.stop)
        self.lanes.close()

    async def obey(self, command: dict[str, Any]) -> bool:
        """Do one command and answer; False at the end."""
        name = command.pop("do")
        if name != "usage":
            await getattr(self, name)(**command)
        answer = {"usage": self.usage()}
        print(json.dumps(answer), flush=True)
        return bool(name != "exit")


def _used(processes: list[psutil.Process]) -> dict[str, float]:
    """Seconds of CPU and MB of memory of this process and the one that sends."""
    times = [one.cpu_times() for one in processes]
    return {
        "cpu": sum(one.user + one.system for one in times),
        "rss_mb": sum(one.memory_info().rss for one in processes) / 2**20,
        "peak_mb": sum(_peak_mb(one.pid) for one in processes),
    }


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no VmHWM of process {pid}")


async def main(config: dict[str, Any]) -> None:
    """Run until ``exit`` or the end of stdin."""
    worker = Worker(config)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"usage": worker.usage()}), flush=True)
    while line := await reader.readline():
        if not await worker.obey(json.loads(line)):
            return


if __name__ == "__main__":
    configure_logging("bench", "WARNING")
    tune_interpreter()  # as the platform's own process does
    asyncio.run(main(json.loads(sys.argv[1])))
