"""Driving dead letters again: on request, and every hour those whose cause is gone.

A row, or a record that was rejected at the door, is parsed again and accepted through the buffer
like any other, in a poll of the stream ``redrive-<stream>``; its COMMIT frame moves it in the
ledger (``emdata/state/redrives.py``). A record that died after its acceptance is sent again under
its own identity. Letters of clients in degraded mode are driven like the manager's own.

Never in circles: a letter has a number of attempts, and the hourly round tries a kind of letter
only under another gate (the parser's and contract's code, or the topic's settings) than the one
under which it failed, one letter first and the rest only when that one was taken.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from emdata.clock import Clock
from emdata.contracts.base import Record
from emdata.errors import BufferUnavailable, EmdataError, StateUnavailable
from emdata.state import dead_letters as state
from emdata.state.contents import load_contents, newer_content
from emdata.state.dead_letters import Letter
from emdata.state.redrives import redrive_stream
from emdata.state.requests import Request, answer
from emdata.state.stream_code import note_code
from emdata.telemetry import get_logger
from stream_manager.dead_letters.redeliver import DELIVERED, REFUSED, Redelivery, accepted_of
from stream_manager.dead_letters.redrive_parse import KnownContents, ParsedElsewhere, parse_letter
from stream_manager.dead_letters.redrive_plan import Kind, due, gate_text, kinds_of
from stream_manager.dead_letters.reparse import Reparser
from stream_manager.manager import StreamManager
from stream_manager.polls.poll import RECORD_ERRORS
from stream_manager.polls.seen import SeenIndex
from stream_manager.polls.session import PollSession

log = get_logger(__name__)
AT_ONCE = 200
ROUND_LETTERS = 10_000
SETTLE_SECONDS = 30.0
LOOK_SECONDS, FIRST_LOOK_SECONDS = 60.0, 5.0


@dataclass(frozen=True, slots=True)
class RedriveConfig:
    """Which manager, how often a letter may be tried, and seconds between rounds (0: none)."""

    writer: int
    is_simulated: bool
    max_attempts: int = 5
    every_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A letter and what it gives now; no records: ignored by rule."""

    letter: Letter
    records: list[Record]


class Redriver:
    """Belongs to the manager's event loop; tries one set of letters at a time."""

    def __init__(
        self,
        manager: StreamManager,
        engine: Engine,
        clock: Clock,
        *,
        reparsers: Mapping[str, Reparser],
        records: Mapping[str, type[Record]],
        redelivery: Redelivery,
        config: RedriveConfig,
    ) -> None:
        self._manager, self._engine, self._clock = manager, engine, clock
        self._reparsers, self._records = reparsers, records
        self._redelivery, self._config = redelivery, config
        self._asked: deque[int] = deque(maxlen=1000)
        self._waiting: deque[Request] = deque()
        self._wake = asyncio.Event()
        self._busy = asyncio.Lock()
        self._astray: set[str] = set()

    def ask(self, request: Request) -> None:
        """Take a request that is meant for this manager; known ones and others' are left."""
        if request.stream != f"writer-{self._config.writer}" or request.id in self._asked:
            return
        self._asked.append(request.id)
        self._waiting.append(request)
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled. PostgreSQL being away only makes it wait."""
        has_begun, last_round = False, float("-inf")
        every = self._config.every_seconds
        while True:
            try:
                if not has_begun:
                    await self._begin()
                    has_begun = True
                await self._serve()
                now = self._clock.monotonic()
                is_round = every > 0 and now - last_round >= every
                await self.round(only_unconfirmed=not is_round)
                last_round = now if is_round else last_round
            except (StateUnavailable, SQLAlchemyError, BufferUnavailable) as error:
                log.warning("dead_letters_not_looked_at", error=str(error)[:200])
            except Exception:
                # Whatever a letter did to a parser, the other letters must not wait for a restart.
                log.exception("redrive_crashed")
            try:
                wait = LOOK_SECONDS if has_begun else FIRST_LOOK_SECONDS
                await asyncio.wait_for(self._wake.wait(), wait)
            except TimeoutError:
                continue

    async def round(self, *, only_unconfirmed: bool = False) -> Counter[str]:
        """Try what may have become possible; returns outcomes by name."""
        async with self._busy:
            await self._give_back_astray()
        letters = await asyncio.to_thread(
            state.waiting,
            self._engine,
            self._config.writer,
            max_attempts=self._config.max_attempts,
            limit=ROUND_LETTERS,
            only_unconfirmed=only_unconfirmed,
        )
        total: Counter[str] = Counter()
        unconfirmed = [str(one["id"]) for one in letters if one["state"] == "redriving"]
        if unconfirmed:
            total += await self.redrive(unconfirmed, by="stream manager")
        if not only_unconfirmed:
            for kind, members in kinds_of(letters).items():
                total += await self._try_kind(kind, members)
        if total:
            log.info("dead_letters_redriven", **total)
        return total

    async def redrive(self, ids: Sequence[str], *, by: str) -> Counter[str]:
        """Try letters now; returns how many ended how.

        redriven, rejected (again), superseded, deferred, interrupted, failed, unconfirmed,
        unsettled; what is not open, belongs to another manager or was tried too often is left out.
        Raises StateUnavailable when PostgreSQL is away.
        """
        total: Counter[str] = Counter()
        async with self._busy:
            for start in range(0, len(ids), AT_ONCE):
                chunk = ids[start : start + AT_ONCE]
                await self._give_back_astray()
                self._astray = set(chunk)
                total += await self._redrive_chunk(chunk, by)
                self._astray.clear()
        return total

    async def _redrive_chunk(self, ids: Sequence[str], by: str) -> Counter[str]:
        letters = await asyncio.to_thread(
            partial(
                state.claim,
                self._engine,
                ids,
                writer=self._config.writer,
                by=by,
                now=self._clock.now(),
                max_attempts=self._config.max_attempts,
            )
        )
        total = await self._send_again([one for one in letters if one.seq is not None])
        groups: dict[tuple[str, datetime | None], list[Letter]] = {}
        for one in letters:
            if one.seq is None:
                groups.setdefault((one.stream, one.hour), []).append(one)
        for (stream, _), group in groups.items():
            total += await self._accept_again(stream, group)
        return total

    async def _give_back_astray(self) -> None:
        """Open what was claimed and not planned, because PostgreSQL went away or a parser broke."""
        if self._astray:
            writer = self._config.writer
            await asyncio.to_thread(state.give_back, self._engine, writer, list(self._astray))
            self._astray.clear()

    async def _begin(self) -> None:
        """Give back what an earlier process left, and note the code that runs now."""
        applier, now = self._manager.intake.applier, self._clock.now()
        while not await asyncio.to_thread(applier.wait_until_empty, 1.0):
            pass
        left = await asyncio.to_thread(state.give_back, self._engine, self._config.writer)
        for name, reparser in self._reparsers.items():
            await asyncio.to_thread(note_code, self._engine, name, reparser.code(), now)
        if left:
            log.info("dead_letters_given_back", letters=left)

    async def _serve(self) -> None:
        self._wake.clear()
        while self._waiting:
            request = self._waiting[0]
            ids = [str(one) for one in request.arguments.get("ids", [])]
            total = await self.redrive(ids, by=str(request.arguments.get("by", "")))
            skipped = len(ids) - total.total()
            result = {**total, **({"skipped": skipped} if skipped else {})}
            await asyncio.to_thread(
                partial(answer, self._engine, request.id, "ok", result=result, error=None)
            )
            self._waiting.popleft()

    async def _try_kind(self, kind: Kind, members: list[dict[str, object]]) -> Counter[str]:
        """Try one letter of a kind, and the rest when that one was taken."""
        settings = None
        if kind.is_accepted:
            record = self._records.get(kind.dataset or "")
            if record is not None:
                settings = await asyncio.to_thread(
                    self._redelivery.settings_of, record.dataset.topic
                )
        reparser = self._reparsers.get(kind.stream)
        code = reparser.code() if reparser is not None else None
        gate, ids = due(kind, members, code=code, settings=settings)
        if gate is None or not ids:
            return Counter()
        first = await self.redrive(ids[:1], by="stream manager")
        if first["redriven"] or first["superseded"]:
            return first + await self.redrive(ids[1:], by="stream manager")
        if first["rejected"]:
            await asyncio.to_thread(state.close_gate, self._engine, ids[1:], gate)
        return first

    async def _send_again(self, letters: list[Letter]) -> Counter[str]:
        total: Counter[str] = Counter()
        ready, records = [], []
        for letter in letters:
            record = self._records.get(letter.dataset or "")
            try:
                if record is None:
                    raise LookupError(f"no contract {letter.dataset} is known here")
                records.append(accepted_of(letter, record, is_simulated=self._config.is_simulated))
                ready.append(letter)
            except RECORD_ERRORS as error:
                total[await self._end(letter, REFUSED, _said(error), None)] += 1
        outcomes = await asyncio.to_thread(self._redelivery.send, records) if records else []
        for letter, accepted, (outcome, reason) in zip(ready, records, outcomes, strict=True):
            gate = None
            if outcome == REFUSED:
                found = await asyncio.to_thread(self._redelivery.settings_of, accepted.topic)
                gate = None if found is None else gate_text(found)
            total[await self._end(letter, outcome, reason, gate)] += 1
        return total

    async def _accept_again(self, stream: str, letters: list[Letter]) -> Counter[str]:
        total: Counter[str] = Counter()
        parsed = []
        for letter in letters:
            try:
                records = await asyncio.to_thread(
                    parse_letter, letter, self._records, self._reparsers
                )
            except (ParsedElsewhere, OSError) as error:  # OSError: its document cannot be read now
                total[await self._end(letter, "failed", str(error), None)] += 1
            except Exception as error:
                # A bug of a parser costs its letter an attempt; the others do not notice.
                if not isinstance(error, RECORD_ERRORS):
                    log.exception("parser_crashed", stream=stream, letter=letter.id)
                gate = self._reparsers[stream].code() if stream in self._reparsers else None
                total[await self._end(letter, REFUSED, _said(error), gate)] += 1
            else:
                kept = [one for one in records if not await self._is_superseded(letter, one)]
                if records and not kept:
                    said = "newer content of its key has been accepted"
                    total[await self._end(letter, "superseded", said, None)] += 1
                else:
                    parsed.append(_Parsed(letter, kept))
        if parsed:
            total[await self._through_the_buffer(stream, parsed)] += len(parsed)
        return total

    async def _is_superseded(self, letter: Letter, record: Record) -> bool:
        """Whether sending a record without a version would replace newer content of its key."""
        if record.dataset.version is not None:
            return False
        return await asyncio.to_thread(
            newer_content,
            self._engine,
            dataset=record.dataset.name,
            key_hash=record.key_hash(),
            content_hash=record.content_hash(),
            since=letter.first_at,
        )

    async def _through_the_buffer(self, stream: str, parsed: list[_Parsed]) -> str:
        """Accept letters of one stream and hour in one poll; returns how all of them ended."""
        await self._manager.be_certain_of_numbers()
        first = parsed[0].letter
        source = first.source or (
            self._reparsers[stream].source if stream in self._reparsers else stream
        )
        session = self._manager.new_session(
            redrive_stream(stream),
            source,
            cursor={},
            batch_size=1000,
            seen=await self._contents(parsed),
        )
        poll_id = session.context.poll_id
        ids = [one.letter.id for one in parsed]
        await asyncio.to_thread(partial(state.plan, self._engine, ids, poll_id=poll_id))
        self._astray -= set(ids)  # from here on the poll's frame settles them
        try:
            await self._take_all(session, parsed)
        except BaseException:
            await session.interrupt()
            raise
        return await self._outcome(poll_id, ids[0])

    async def _take_all(self, session: PollSession, parsed: list[_Parsed]) -> None:
        failure: BufferUnavailable | None = None
        try:
            for one in parsed:
                if one.records:
                    await session.row_parsed(one.records)
                else:
                    session.row_ignored()
        except BufferUnavailable as error:
            failure = error
        await session.finish("ok" if failure is None else "failed", error=failure)

    async def _contents(self, parsed: list[_Parsed]) -> SeenIndex:
        contents = KnownContents(self._manager.seen)
        keys: dict[str, list[bytes]] = {}
        for one in parsed:
            for record in one.records:
                keys.setdefault(record.dataset.name, []).append(record.key_hash())
        for dataset, hashes in keys.items():
            contents.take(
                dataset, await asyncio.to_thread(load_contents, self._engine, dataset, hashes)
            )
        return contents

    async def _outcome(self, poll_id: str, letter_id: str) -> str:
        """Wait until PostgreSQL has the poll; "unsettled" when that takes too long."""
        deadline, wait = self._clock.monotonic() + SETTLE_SECONDS, 0.02
        while self._clock.monotonic() < deadline:
            found = await asyncio.to_thread(state.outcome_of, self._engine, poll_id, letter_id)
            if found is not None:
                return found
            await asyncio.sleep(wait)
            wait = min(wait * 2, 1.0)
        return "unsettled"

    async def _end(self, letter: Letter, outcome: str, reason: str, gate: str | None) -> str:
        states = {DELIVERED: "redriven", REFUSED: "open", "superseded": "dropped", "failed": "open"}
        await asyncio.to_thread(
            partial(
                state.end_attempt,
                self._engine,
                letter.id,
                # What is unconfirmed may have arrived: it is on the way until it is known.
                state=states.get(outcome, "redriving"),
                outcome=outcome,
                reason=reason,
                gate=gate,
                now=self._clock.now(),
                is_counted=outcome in (DELIVERED, REFUSED, "superseded"),
            )
        )
        return outcome


def _said(error: Exception) -> str:
    code = error.code if isinstance(error, EmdataError) else type(error).__name__
    return f"{code}: {error}"
