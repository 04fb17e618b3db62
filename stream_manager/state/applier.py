"""The applier: runs COMMIT frames into PostgreSQL, in order, for as long as it takes.

PostgreSQL is an index of the log. When it is away nothing durable stops; frames wait here and in
their segments, which are not removed before they are applied. Frames that wait together share a
transaction, and transactions keep a distance: each costs this thread milliseconds in which it
contends with those that records wait for.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from emdata.commits import Commit, Dead
from emdata.errors import StateUnavailable
from emdata.state.apply import apply_commit, apply_commits, apply_dead
from emdata.state.redrives import is_redrive
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.buffer import BufferLog, StoredCommit

log = get_logger(__name__)
BACKOFF_FIRST, BACKOFF_MAX = 0.5, 10.0
GROUP_FRAMES, GROUP_KEYS = 200, 20_000
PAUSE = 0.05  # seconds between transactions
# What one frame's values may raise; those of the others are not to blame.
REFUSED = (DataError, IntegrityError, ValueError, TypeError)


LogFrame = Commit | Dead | StoredCommit


class Applier:
    """One thread; ``put`` from any."""

    def __init__(self, engine: Engine, buffer: BufferLog, unapplied: Path) -> None:
        self._engine, self._buffer, self._folder = engine, buffer, unapplied
        self._waiting: deque[tuple[int, LogFrame]] = deque()
        self._sources: dict[str, str] = {}
        self._changed = threading.Condition()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="applier", daemon=True)
        self.is_reachable = True

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End after the transaction at hand; the rest is applied after the next start."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def put(self, segment: int, frames: Sequence[LogFrame]) -> None:
        """Queue frames of a segment, and count those that this process made."""
        if self._thread.is_alive():
            self._count(frames)
        with self._changed:
            self._waiting.extend((segment, frame) for frame in frames)
            self._changed.notify_all()

    def _count(self, frames: Sequence[LogFrame]) -> None:
        for frame in frames:
            if isinstance(frame, Commit):
                self._sources[frame.stream] = frame.source
                metrics.count_commit(frame)
            elif isinstance(frame, Dead):
                # One that died after its acceptance names its stream only.
                source = self._sources.get(frame.stream, frame.stream)
                metrics.FAILED.labels(source, frame.cause).inc(frame.occurrences)

    def depth(self) -> int:
        """Return how many frames wait."""
        with self._changed:
            return len(self._waiting)

    def wait_until_empty(self, timeout: float) -> bool:
        """Wait until every queued frame is applied; False when ``timeout`` seconds pass first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout)

    def _run(self) -> None:
        backoff = BACKOFF_FIRST
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_stopped)
                if self._is_stopped:
                    return
                group = self._group()
            try:
                self._apply_all([frame for _, frame in group])
            except StateUnavailable as error:
                if self.is_reachable:
                    log.warning("state_unavailable", error=str(error), waiting=self.depth())
                self.is_reachable = False
                with self._changed:
                    self._changed.wait_for(lambda: self._is_stopped, backoff)
                backoff = min(backoff * 2, BACKOFF_MAX)
                continue
            self.is_reachable, backoff = True, BACKOFF_FIRST
            for segment, frame in group:
                poll_id = None if isinstance(frame, Dead) else frame.poll_id
                self._buffer.applied(segment, poll_id=poll_id)
            with self._changed:
                for _ in group:
                    self._waiting.popleft()
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._is_stopped, PAUSE)

    def _group(self) -> list[tuple[int, LogFrame]]:
        """Return the frame that is next, with the polls behind it if it is a poll's."""
        group: list[tuple[int, LogFrame]] = []
        keys = 0
        for segment, stored in self._waiting:
            frame = _loaded(stored)
            is_poll = isinstance(frame, Commit) and not is_redrive(frame)
            if group and not (is_poll and len(group) < GROUP_FRAMES and keys < GROUP_KEYS):
                break
            group.append((segment, frame))
            if not is_poll:
                break
            keys += sum(map(len, frame.seen.values())) if isinstance(frame, Commit) else 0
        return group

    def _apply_all(self, frames: Sequence[LogFrame]) -> None:
        """Apply a group, or one by one when something in it is refused.

        Raises StateUnavailable when PostgreSQL is away: what is applied again changes nothing.
        """
        commits = [frame for frame in frames if isinstance(frame, Commit)]
        if len(commits) > 1:
            try:
                apply_commits(self._engine, commits)
                return
            except REFUSED as error:
                log.warning("commits_refused_together", frames=len(commits), error=str(error)[:500])
            except SQLAlchemyError as error:
                raise StateUnavailable(f"PostgreSQL: {error}") from error
        for frame in frames:
            self._apply(frame)

    def _apply(self, frame: LogFrame) -> None:
        try:
            if isinstance(frame, Commit):
                apply_commit(self._engine, frame)
            elif isinstance(frame, StoredCommit):
                self._set_aside(frame, ValueError("a COMMIT that this version cannot read"))
            else:
                apply_dead(self._engine, self._buffer.writer, frame)
        except REFUSED as error:
            # A frame that PostgreSQL refuses must neither be lost nor stop those behind it.
            self._set_aside(frame, error)
        except SQLAlchemyError as error:
            raise StateUnavailable(f"PostgreSQL: {error}") from error

    def _set_aside(self, frame: LogFrame, error: Exception) -> None:
        """Keep a frame as a file; durable before its segment may go.

        Raises StateUnavailable when that cannot be written: then it is tried again later.
        """
        name = frame.id if isinstance(frame, Dead) else frame.poll_id
        data = frame.raw if isinstance(frame, StoredCommit) else msgspec.msgpack.encode(frame)
        path = self._folder / f"{name}.msgpack"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".json").write_text(json.dumps({"error": str(error)[:4000]}))
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as failure:
            raise StateUnavailable(f"{path}: {failure}") from failure
        log.error("commit_set_aside", frame=name, file=str(path), error=str(error)[:500])


def _loaded(frame: LogFrame) -> LogFrame:
    if isinstance(frame, StoredCommit):
        try:
            return frame.load()
        except msgspec.MsgspecError:
            return frame
    return frame
