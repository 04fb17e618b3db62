"""The process that sends what is not CRITICAL, seen from the manager.

It reads the records from the log itself, where they are durable before they may be sent, so a run
costs the manager a few bytes and its interpreter is free for what arrives.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time

from confluent_kafka import KafkaError

from emdata.telemetry import get_logger
from stream_manager.delivery.sender_wire import ANSWERS, Answer, Inbox, Order, Setup, framed
from stream_manager.delivery.sent import Sent

log = get_logger(__name__)
MAIN = "stream_manager.delivery.sender_main"
MOST_UNWRITTEN = 1 << 18
END_SECONDS = 2.0
LOST = "the process that sends to Kafka has ended"


class SenderProcess:
    """Belongs to one thread, the delivery's. Raises OSError when the process cannot be started."""

    def __init__(self, setup: Setup) -> None:
        ours, theirs = socket.socketpair()
        try:
            # Its own session: a signal to the manager's group must not end it before its reports.
            self._process = subprocess.Popen(
                [sys.executable, "-m", MAIN, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self._socket, self._inbox = ours, Inbox()
        self._unwritten = bytearray(framed(setup))
        self._out: dict[int, Sent] = {}
        self._number = 0
        self._is_lost = False
        self._write()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def send(self, sent: Sent) -> tuple[int, KafkaError | None]:
        """Hand over a run: all of it or nothing, for want of room or of the process."""
        self._write()
        if self._is_lost:
            return 0, _lost()
        if len(self._unwritten) > MOST_UNWRITTEN:
            return 0, None
        self._number += 1
        self._out[self._number] = sent
        self._unwritten += framed(_order(self._number, sent))
        self._write()
        return len(sent.run), None

    def poll(self, timeout: float) -> int:
        """Take the answers that are there, after at most ``timeout`` seconds; how many runs."""
        if timeout > 0 and not self._is_lost:
            select.select([self._socket], [], [], timeout)
        self._write()
        count = 0
        while not self._is_lost:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._lose()
                break
            for frame in self._inbox.take(data):
                self._answered(ANSWERS.decode(frame))
                count += 1
        return count

    def flush(self, timeout: float) -> int:
        """Wait for the answers; returns how many runs are still out."""
        deadline = time.monotonic() + timeout
        while self._out and (left := deadline - time.monotonic()) > 0:
            self.poll(left)
        return len(self._out)

    def close(self) -> None:
        """End the process; what it still has may arrive, and is in the log."""
        self._socket.close()
        self._is_lost = True
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answered(self, answer: Answer) -> None:
        sent = self._out.pop(answer.number)
        failed = [
            (one.position, KafkaError(one.code, one.reason, one.is_fatal))
            for one in answer.failures
        ]
        sent.answered(failed, is_readable=answer.is_readable)

    def _write(self) -> None:
        while self._unwritten and not self._is_lost:
            try:
                del self._unwritten[: self._socket.send(self._unwritten)]
            except BlockingIOError:
                return
            except OSError:
                self._lose()

    def _lose(self) -> None:
        """Give back what it had; a new process is a new producer."""
        self._is_lost = True
        out, self._out = self._out, {}
        log.error("sender_process_lost", pid=self.pid, code=self._process.poll(), runs=len(out))
        for sent in out.values():
            sent.answered([(position, _lost()) for position in sent.run.positions])


def _lost() -> KafkaError:
    return KafkaError(KafkaError._FATAL, LOST, True)


def _order(number: int, sent: Sent) -> Order:
    run = sent.run
    positions = run.positions
    first, count = positions[0], len(positions)
    is_dense = isinstance(positions, range) or positions[-1] - first == count - 1
    place = run.place
    return Order(
        number,
        place.segment,
        place.offset,
        place.index,
        run.priority,
        first,
        count,
        None if is_dense else list(positions),
    )
