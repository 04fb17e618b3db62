"""Group commit: one thread takes what waits, writes it as one batch, fsyncs once, answers all."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from emdata.clock import Clock
from emdata.commits import Commit, Dead
from emdata.contracts.base import utc_text
from emdata.envelope import Accepted, Draft
from emdata.errors import BufferUnavailable, EmdataError
from stream_manager.buffer.frames import Entry
from stream_manager.buffer.log import BufferLog

GROUP_RECORDS = 1000
GROUP_BYTES = 32 << 20
# What a value that cannot be written may raise in the encoder.
VALUE_ERRORS = (TypeError, ValueError, OverflowError, msgspec.MsgspecError)


@dataclass(slots=True)
class _Append:
    drafts: list[Draft]
    commit: Commit | None
    deads: list[Dead]
    answer: Future[list[Accepted]]

    def size(self) -> int:
        return sum(len(draft.payload) for draft in self.drafts)


class BufferWriter:
    """Appends from any thread; an answered future means durable.

    ``on_durable`` is called on the writer's thread before the futures are answered, with the
    entries in log order, the segment's number, and the commits and dead letters of the batch.
    """

    def __init__(
        self,
        log: BufferLog,
        clock: Clock,
        on_durable: Callable[[list[Entry], list[Commit], list[Dead], int], None],
    ) -> None:
        self._log, self._clock, self._on_durable = log, clock, on_durable
        self._waiting: queue.SimpleQueue[_Append | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="buffer-writer", daemon=True)
        self._ending = threading.Lock()
        self._is_ended = False
        self.failed = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end the thread; later appends are refused."""
        with self._ending:
            self._is_ended = True
            self._waiting.put(None)
        self._thread.join()

    def append(
        self, drafts: list[Draft], *, commit: Commit | None = None, deads: list[Dead] | None = None
    ) -> Future[list[Accepted]]:
        """Ask for one append; the future raises BufferUnavailable when it is not durable.

        The future cannot be cancelled, because what is being written can no longer be stopped.
        It raises TypeError, ValueError or msgspec.MsgspecError for what cannot be encoded.
        """
        answer: Future[list[Accepted]] = Future()
        answer.set_running_or_notify_cancel()
        with self._ending:
            if self._is_ended:
                answer.set_exception(BufferUnavailable("the buffer is closed"))
            else:
                self._waiting.put(_Append(drafts, commit, deads or [], answer))
        return answer

    def _run(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                return
            group, ended = self._group(first)
            self._write(group)
            if ended:
                return

    def _group(self, first: _Append) -> tuple[list[_Append], bool]:
        group, records, size = [first], len(first.drafts), first.size()
        while records < GROUP_RECORDS and size < GROUP_BYTES:
            try:
                more = self._waiting.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return group, True
            group.append(more)
            records += len(more.drafts)
            size += more.size()
        return group, False

    def _write(self, group: list[_Append]) -> None:
        drafts = [draft for one in group for draft in one.drafts]
        commits = [one.commit for one in group if one.commit is not None]
        deads = [dead for one in group for dead in one.deads]
        try:
            entries = self._log.append(
                drafts, commits, deads, accepted_at=utc_text(self._clock.now())
            )
        except EmdataError as error:
            self._refuse(group, error)
            return
        except VALUE_ERRORS as error:
            self._refuse_value(group, error)
            return
        self.failed = False
        # Taken before the queues may give up the bytes of entries for memory.
        records = [entry.record for entry in entries if entry.record is not None]
        self._on_durable(entries, commits, deads, self._log.current_segment)
        start = 0
        for one in group:
            end = start + len(one.drafts)
            one.answer.set_result(records[start:end])
            start = end

    def _refuse_value(self, group: list[_Append], error: Exception) -> None:
        """Find whose value it was that cannot be encoded; the others did nothing wrong."""
        if len(group) == 1:
            group[0].answer.set_exception(error)
            return
        for one in group:
            self._write([one])

    def _refuse(self, group: list[_Append], error: EmdataError) -> None:
        self.failed = True
        for one in group:
            one.answer.set_exception(
                error if isinstance(error, BufferUnavailable) else BufferUnavailable(str(error))
            )
