"""The process that sends what is not CRITICAL: reads runs from the log and hands them to Kafka.

It ends when the manager's end of the socket closes, whatever ended the manager.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections import deque
from pathlib import Path

from emdata.clock import SystemClock
from emdata.envelope import Regions
from emdata.errors import BufferUnavailable
from emdata.telemetry import configure_logging, get_logger
from stream_manager.buffer import Block, Run
from stream_manager.buffer.blocks import Place
from stream_manager.buffer.disk import OsDisk
from stream_manager.buffer.reader import BlockReader
from stream_manager.delivery.handing import hand_over
from stream_manager.delivery.producers import KafkaProducer, Lane, is_refused_for_good
from stream_manager.delivery.sender_wire import (
    ORDERS,
    SETUPS,
    Answer,
    Failure,
    Inbox,
    Order,
    Setup,
    framed,
)
from stream_manager.delivery.sent import Sent
from stream_manager.interpreter import tune_interpreter

log = get_logger(__name__)
REPORT_SECONDS = 0.005  # how often reports are asked for while some are out
ROOM_SECONDS = 0.05


class ManagerGone(Exception):
    """The other end of the socket is closed."""


class SenderMain:
    """One thread: orders in, messages out, reports in, answers out."""

    def __init__(self, manager: socket.socket) -> None:
        self._manager, self._inbox = manager, Inbox()
        self._frames: deque[bytes] = deque()
        self._clock = SystemClock()
        self._answers = bytearray()
        self._out = 0
        while not self._frames:
            self._receive()
        setup: Setup = SETUPS.decode(self._frames.popleft())
        configure_logging("manager", setup.level)
        self._reader = BlockReader(Path(setup.directory), setup.writer, OsDisk())
        self._regions = Regions(setup.home)
        self._producer = KafkaProducer(setup.servers, Lane.BULK, extra=setup.extra)

    def run(self) -> None:
        """Work until the manager is gone: raises ManagerGone."""
        while True:
            while self._frames:  # the first orders may have come along with the set-up
                self._send(ORDERS.decode(self._frames.popleft()))
                self._producer.poll(0)
                self._answer()
            wait = REPORT_SECONDS if self._out else None
            if select.select([self._manager], [], [], wait)[0]:
                self._receive()
            self._producer.poll(0)
            self._answer()

    def _receive(self) -> None:
        data = self._manager.recv(1 << 18)
        if not data:
            raise ManagerGone
        self._frames.extend(self._inbox.take(data))

    def _send(self, order: Order) -> None:
        positions = order.positions or range(order.first, order.first + order.count)
        try:
            block = self._reader.block(order.segment, order.offset, order.index)
        except BufferUnavailable as error:
            log.warning("buffered_records_unreadable", segment=order.segment, error=str(error))
            self._answers += framed(Answer(order.number, is_readable=False))
            return
        place = Place(order.segment, order.offset, order.index, 0)
        run = Run(place, block.head, order.priority, positions, 0.0, 0, block)

        def done(sent: Sent) -> None:
            self._out -= 1
            failures = [
                Failure(position, error.code(), error.str(), error.fatal())
                for position, error in sent.failed
            ]
            self._answers += framed(Answer(order.number, failures))

        sent = Sent(run, Lane.BULK, self._clock.monotonic(), done)
        self._out += 1
        self._hand_over(sent, run, block)
        sent.sealed(len(positions))

    def _hand_over(self, sent: Sent, run: Run, block: Block) -> None:
        """Hand over all records of a run, and wait for room where there is none."""
        positions = run.positions
        while True:
            handed, refusal = hand_over(
                self._producer, block, positions, run.priority, self._regions, sent.report
            )
            positions = positions[handed:]
            if not positions:
                return
            if refusal is None:
                self._wait_for_room()
                continue
            # What is wrong with one record says nothing of the next; anything else stops them all.
            culprits = positions[:1] if is_refused_for_good(refusal) else positions
            for position in culprits:
                sent.refused(position, refusal)
            positions = positions[len(culprits) :]
            if not positions:
                return

    def _wait_for_room(self) -> None:
        self._producer.poll(ROOM_SECONDS)
        self._answer()
        # Only here the socket is not read for long, and its end must not go unnoticed.
        if select.select([self._manager], [], [], 0)[0]:
            self._receive()

    def _answer(self) -> None:
        if self._answers:
            try:
                self._manager.sendall(self._answers)
            except OSError as error:
                raise ManagerGone from error
            self._answers.clear()


def main(arguments: list[str]) -> None:
    """Run on the socket whose number is the only argument."""
    # The manager decides when this ends, after the last reports.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    tune_interpreter()
    with socket.socket(fileno=int(arguments[0])) as manager:
        try:
            SenderMain(manager).run()
        except (ManagerGone, ConnectionError):
            os._exit(0)  # reports that are out have nobody to hear them


if __name__ == "__main__":
    main(sys.argv[1:])
