"""The stream manager: streams side by side, each on its own clock, failing alone."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Engine

from emdata.clock import Clock
from emdata.commits import Commit
from emdata.contracts.base import Priority
from emdata.errors import BufferUnavailable, EmdataError, StateUnavailable
from emdata.state.reads import load_cursor, load_high_seqs, load_seen, register_streams
from emdata.state.requests import Request
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.connector import Connector, PollReport, PushConnector, StreamConfig
from stream_manager.control.control import Control, ControlConfig
from stream_manager.control.tenants import PUBLIC
from stream_manager.intake import Intake
from stream_manager.polls.poll import PollContext
from stream_manager.polls.prepared import Keys
from stream_manager.polls.seen import SeenIndex
from stream_manager.polls.session import PollSession
from stream_manager.push.door import PushDoor
from stream_manager.streams import Stream

log = get_logger(__name__)
STOP_SECONDS = 3.0
TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
T = TypeVar("T")
R = TypeVar("R")


class StreamManager:
    """``start_streaming``, ``stop_streaming``, ``status``; lives on one event loop."""

    def __init__(
        self,
        intake: Intake,
        engine: Engine,
        clock: Clock,
        *,
        is_simulated: bool,
        control: Control | None = None,
    ) -> None:
        self.intake, self._engine, self._clock = intake, engine, clock
        self._is_simulated = is_simulated
        self.control = control or Control(
            ControlConfig(), clock, depths=intake.queues.depths, waiting=intake.queues.waiting
        )
        self._seen = SeenIndex()
        self._streams: dict[str, Stream] = {}

    def start_streaming(
        self, connector: Connector | PushConnector, config: StreamConfig, tenant: str = PUBLIC
    ) -> None:
        """Run a connector until it is stopped; its mode is chosen now, by its interval.

        tenant: whose quota its records use, and a label of metrics. Raises ValueError when a
        stream of that name runs already, or the tenant's name cannot be one.
        """
        name = connector.name
        if name in self._streams:
            raise ValueError(f"stream {name} runs already")
        if TENANT.fullmatch(tenant) is None:
            raise ValueError(
                f"tenant {tenant!r}: up to 63 of a-z, 0-9, - and _, a letter or digit first"
            )
        control = self.control
        stream = Stream(
            connector,
            config,
            tenant,
            control.policy.of_stream(connector.emits),
            control.new_breaker(config.every_seconds),
        )
        self._streams[name] = stream
        control.tenants.add(tenant)
        stream.show_breaker()
        self._count_streams(tenant)
        log.info(
            "stream_started",
            stream=name,
            tenant=tenant,
            mode=config.mode,
            batch_size=config.records_a_batch,
            every_seconds=config.every_seconds,
        )
        stream.task = asyncio.create_task(self._run(stream), name=f"stream-{name}")

    async def stop_streaming(self, name: str) -> None:
        """Stop a stream; a poll under way is recorded as interrupted.

        Raises ValueError when no stream of that name runs.
        """
        stream = self._streams.pop(name, None)
        if stream is None:
            running = ", ".join(sorted(self._streams)) or "none"
            raise ValueError(f"stream {name} does not run; running: {running}")
        self._count_streams(stream.tenant)
        if stream.task is not None:
            stream.task.cancel()
            await asyncio.wait({stream.task}, timeout=STOP_SECONDS)
        metrics.BREAKER_STATE.remove("source", name)

    async def stop(self) -> None:
        """Stop all streams."""
        await asyncio.gather(*(self.stop_streaming(name) for name in list(self._streams)))

    def request(self, request: Request) -> bool:
        """Ask for a poll; False when the stream does not run here."""
        stream = self._streams.get(request.stream)
        if stream is None or isinstance(stream.connector, PushConnector):
            return False
        if request.id not in stream.asked:
            stream.asked.append(request.id)
            stream.requests.append(request)
            stream.wake.set()
        return True

    @property
    def seen(self) -> SeenIndex:
        """What was last accepted per key; belongs to this event loop."""
        return self._seen

    def is_loaded(self) -> bool:
        """Whether every stream knows its cursor and what was seen."""
        return all(stream.cursor is not None for stream in self._streams.values())

    def new_session(
        self,
        stream: str,
        source: str,
        *,
        cursor: dict[str, Any],
        batch_size: int,
        request_ids: tuple[int, ...] = (),
        keys: Keys = Keys.COMPARED,
        seen: SeenIndex | None = None,
        tenant: str = PUBLIC,
    ) -> PollSession:
        """Return a session for one poll, or for one ingest request.

        seen replaces the manager's own index, for streams whose keys have no end.
        """
        now = self._clock.now()
        return PollSession(
            PollContext(
                poll_id=f"{now:%Y%m%dT%H%M%S}-{stream}-{uuid.uuid4().hex[:12]}",
                stream=stream,
                source=source,
                writer=self.intake.config.writer,
                cursor=cursor,
                buffer=self.intake.writer,
                seen=self._seen if seen is None else seen,
                admits=self._admits,
                clock=self._clock,
                is_simulated=self._is_simulated,
                batch_size=batch_size,
                keys=keys,
                request_ids=request_ids,
                tenant=tenant,
                decide=self.control.decider(source, tenant),
                decide_prepared=lambda dataset, levels: self.control.decide_levels(
                    dataset, levels, source, tenant
                ),
            )
        )

    def status(self, tenant: str | None = None) -> list[dict[str, Any]]:
        """Return one row a stream, of one tenant or of all: mode, breaker, its last poll."""
        return [
            stream.row()
            for _, stream in sorted(self._streams.items())
            if tenant in (None, stream.tenant)
        ]

    def tenants(self) -> list[dict[str, Any]]:
        """Return one row a tenant: its streams, its waiting records and its quota."""
        quotas = self.control.quotas
        counts = Counter(stream.tenant for stream in self._streams.values())
        return [
            {
                "tenant": tenant,
                "streams": count,
                "waiting": quotas.waiting(tenant),
                "quota": quotas.quota(tenant),
            }
            for tenant, count in sorted(counts.items())
        ]

    async def be_certain_of_numbers(self) -> None:
        """Compare sequence numbers with PostgreSQL before the first record of this process.

        A number given twice would replace a record that landed. A new or damaged log may lack
        some, so this waits for PostgreSQL; a whole log carries them all, and CRITICAL records
        must not wait for PostgreSQL, so then one try is enough.
        """
        intake = self.intake
        while not intake.is_numbering_certain:
            try:
                known = await asyncio.to_thread(load_high_seqs, self._engine, intake.config.writer)
                await asyncio.to_thread(intake.log.raise_seqs, known)
            except StateUnavailable as error:
                log.warning("numbers_not_compared", error=str(error)[:200])
                intake.is_numbering_certain = intake.is_log_whole
                await asyncio.sleep(0 if intake.is_log_whole else 1.0)
            except BufferUnavailable as error:
                log.warning("numbers_not_compared", error=str(error)[:200])
                await asyncio.sleep(1.0)
            else:
                intake.is_numbering_certain = True

    async def load_dataset(self, dataset: str) -> None:
        """Load a dataset's hashes once; waits as long as PostgreSQL is away."""
        if not self._seen.is_loaded(dataset):
            hashes = await self._from_state(load_seen, dataset)
            if not self._seen.is_loaded(dataset):
                self._seen.load(dataset, hashes)

    async def _run(self, stream: Stream) -> None:
        await self._load(stream)
        while True:
            stream.begin_poll(self._clock.monotonic())
            try:
                if isinstance(stream.connector, PushConnector):
                    wait = await self._push(stream, stream.connector)
                else:
                    wait = await self._poll(stream)
            except Exception:
                # Whatever it was, it is this stream's alone, and the next poll may do better.
                log.exception("stream_crashed", stream=stream.connector.name)
                wait = stream.crashed(self._clock.monotonic())
            try:
                await asyncio.wait_for(stream.wake.wait(), timeout=wait)
            except TimeoutError:
                continue

    async def _load(self, stream: Stream) -> None:
        """Wait for the state: without it a poll would publish what is long known."""
        await self.be_certain_of_numbers()
        while not await asyncio.to_thread(self.intake.applier.wait_until_empty, 1.0):
            pass
        if not isinstance(stream.connector, PushConnector):  # its door compares on its own
            for record in stream.connector.emits:
                await self.load_dataset(record.dataset.name)
        stream.cursor = await self._from_state(load_cursor, stream.connector.name)
        await self._from_state(
            register_streams, [stream.registration(self.intake.config.writer, self._clock.now())]
        )

    async def _from_state(self, call: Callable[[Engine, T], R], argument: T) -> R:
        wait = 0.5
        while True:
            try:
                return await asyncio.to_thread(call, self._engine, argument)
            except StateUnavailable as error:
                log.warning("waiting_for_state", error=str(error)[:200])
                await asyncio.sleep(wait)
                wait = min(wait * 2, 10.0)

    async def _push(self, stream: Stream, connector: PushConnector) -> float:
        """Run a push connector; it ends by a bug or by cancellation only."""

        def new_session(records: int) -> PollSession:
            return self.new_session(
                connector.name,
                connector.source,
                cursor={},
                batch_size=records,
                keys=Keys.REMEMBERED,
                seen=SeenIndex(),
                tenant=stream.tenant,
            )

        def note(commit: Commit) -> None:
            stream.last = commit
            stream.judge(commit, PollReport(), self._clock.monotonic(), self.control.config.slow_s)

        door = PushDoor(
            connector.name,
            self._engine,
            new_session=new_session,
            note=note,
            heartbeat_seconds=stream.config.every_seconds,
        )
        try:
            await connector.run_push(door)
        finally:
            await door.close()
        return stream.config.every_seconds

    async def _poll(self, stream: Stream) -> float:
        """Do one poll and return the seconds until the next."""
        stream.wake.clear()
        asked, stream.requests = stream.requests, []
        backfill = next((request for request in asked if request.kind == "backfill"), None)
        if backfill is not None:
            stream.requests = [request for request in asked if request.id != backfill.id]
            asked = [backfill]
        started = self._clock.monotonic()
        stream.is_polling = True
        try:
            with metrics.POLL_SECONDS.labels(stream.connector.name).time():
                commit, report = await self._one_poll(stream, asked, backfill)
        finally:
            stream.is_polling = False
        now = self._clock.monotonic()
        self._note(stream, commit)
        stream.judge(commit, report, now, self.control.config.slow_s)
        if stream.requests:
            stream.wake.set()
        extra_s = self.control.throttle.extra_wait(stream.priority)
        return stream.wait_after(commit, report, now, took=now - started, extra_s=extra_s)

    async def _one_poll(
        self, stream: Stream, asked: list[Request], backfill: Request | None
    ) -> tuple[Commit, PollReport]:
        session = self.new_session(
            stream.connector.name,
            stream.connector.source,
            cursor=dict(stream.cursor or {}),
            batch_size=stream.config.records_a_batch,
            keys=stream.config.keys,
            request_ids=tuple(request.id for request in asked),
            tenant=stream.tenant,
        )
        arguments = dict(backfill.arguments) if backfill is not None else {}
        try:
            report = await self._drive(stream, session, arguments)
        except BaseException:
            await session.interrupt()
            raise
        commit = session.commit
        if commit is None:
            raise AssertionError("a finished session has a commit")
        return commit, report

    async def _drive(
        self, stream: Stream, session: PollSession, arguments: dict[str, Any]
    ) -> PollReport:
        connector, report = stream.connector, None
        if isinstance(connector, PushConnector):
            raise TypeError(f"{connector.name} pushes; it is not polled")
        try:
            report = await connector.run_poll(session, arguments)
        except Exception as error:
            # A bug in one connector must not end the others; it is recorded as that poll's end.
            log.exception("poll_crashed", stream=stream.connector.name)
            if session.commit is None:
                await session.finish("failed", error=error)
        if session.commit is None:
            await session.finish("failed", error=EmdataError("the connector finished no poll"))
        return report or PollReport()

    def _note(self, stream: Stream, commit: Commit) -> None:
        stream.last = commit
        if commit.cursor is not None:
            stream.cursor = dict(commit.cursor)
        log.info(
            "poll_done",
            stream=commit.stream,
            poll_id=commit.poll_id,
            outcome=commit.outcome,
            rows=commit.rows,
            rejected=commit.rows_rejected,
            accepted={name: counts.accepted for name, counts in commit.datasets.items()},
        )

    def _admits(self, priority: Priority, tenant: str) -> bool:
        """Whether a record may be taken: room in the buffer, and the tenant's quota."""
        return self.intake.admits(priority) and self.control.quotas.admits(priority, tenant)

    def _count_streams(self, tenant: str) -> None:
        count = sum(stream.tenant == tenant for stream in self._streams.values())
        metrics.ACTIVE_STREAMS.labels(tenant).set(count)
