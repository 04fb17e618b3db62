"""Group commit: one thread takes what waits, writes it as one batch, fsyncs once, answers all."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from emdata.clock import Clock
from emdata.commits import Commit, Dead
from emdata.contracts.identity import utc_text
from emdata.envelope import Accepted, Draft
from emdata.errors import BufferUnavailable, EmdataError
from stream_manager.buffer.blocks import Block, CommitOf, Drafts, LateCommit, Run, blocks_of
from stream_manager.buffer.log import BufferLog

GROUP_RECORDS = 2000
GROUP_BYTES = 32 << 20
# What a value that cannot be written may raise in the encoder.
VALUE_ERRORS = (TypeError, ValueError, OverflowError, msgspec.MsgspecError)


@dataclass(slots=True)
class _Append:
    drafts: list[Drafts]
    commit: Commit | CommitOf | None
    deads: list[Dead]
    answer: Future[list[Block]]

    def records(self) -> int:
        return sum(map(len, self.drafts))

    def size(self) -> int:
        return sum(drafts.size() for drafts in self.drafts)


class BufferWriter:
    """Appends from any thread; an answered future means durable.

    ``on_durable`` is called on the writer's thread before the futures are answered, with the runs
    in log order, the commits and dead letters of the batch, and the segment's number.
    """

    def __init__(
        self,
        log: BufferLog,
        clock: Clock,
        on_durable: Callable[[list[Run], list[Commit], list[Dead], int], None],
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
        """Append single records; as ``append_blocks``, answered with the records."""
        answer: Future[list[Accepted]] = Future()
        answer.set_running_or_notify_cancel()

        def pass_on(done: Future[list[Block]]) -> None:
            error = done.exception()
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result([one for block in done.result() for one in block.records()])

        blocks = self.append_blocks(blocks_of(drafts), commit=commit, deads=deads)
        blocks.add_done_callback(pass_on)
        return answer

    def append_blocks(
        self,
        drafts: list[Drafts],
        *,
        commit: Commit | CommitOf | None = None,
        deads: list[Dead] | None = None,
    ) -> Future[list[Block]]:
        """Ask for one append; the future raises BufferUnavailable when it is not durable.

        commit: a COMMIT, or what makes it of the heads that ``drafts`` get.

        The future cannot be cancelled, because what is being written can no longer be stopped.
        It raises TypeError, ValueError or msgspec.MsgspecError for what cannot be encoded.
        """
        answer: Future[list[Block]] = Future()
        answer.set_running_or_notify_cancel()
        with self._ending:
            if self._is_ended:
                answer.set_exception(BufferUnavailable("the buffer is closed"))
            else:
                self._waiting.put(_Append(drafts, commit, deads or [], answer))
        return answer

    def step(self) -> bool:
        """Wait for an append, write it with what else waits; False once the end was asked for.

        For the thread, and for a simulation without one.
        """
        first = self._waiting.get()
        if first is None:
            return False
        group, ended = self._group(first)
        self._write(group)
        return not ended

    def _run(self) -> None:
        while self.step():
            pass

    def _group(self, first: _Append) -> tuple[list[_Append], bool]:
        group, records, size = [first], first.records(), first.size()
        while records < GROUP_RECORDS and size < GROUP_BYTES:
            try:
                more = self._waiting.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return group, True
            group.append(more)
            records += more.records()
            size += more.size()
        return group, False

    def _write(self, group: list[_Append]) -> None:
        drafts = [draft for one in group for draft in one.drafts]
        commits = list(_commits(group))
        deads = [dead for one in group for dead in one.deads]
        at, accepted_at = self._clock.monotonic(), utc_text(self._clock.now())
        try:
            done = self._log.append(drafts, commits, deads, accepted_at=accepted_at, at=at)
        except EmdataError as error:
            self._refuse(group, error)
            return
        except VALUE_ERRORS as error:
            self._refuse_value(group, error)
            return
        self.failed = False
        self._on_durable(done.runs, done.commits, deads, done.segment)
        start = 0
        for one in group:
            end = start + len(one.drafts)
            one.answer.set_result(done.blocks[start:end])
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


def _commits(group: list[_Append]) -> Iterator[Commit | LateCommit]:
    end = 0
    for one in group:
        first, end = end, end + len(one.drafts)
        if isinstance(one.commit, Commit):
            yield one.commit
        elif one.commit is not None:
            yield LateCommit(one.commit, first, end)
