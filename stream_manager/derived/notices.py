"""The stream of escalation notices: accepted fire detections in, from their topic; notices out.

The cursor holds the topic's offsets and the clusters, and moves with the COMMIT of the notices, so
a killed process goes on exactly where its last poll ended. The detections of the window are read
again from the topic, which is the log of what was accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from emdata.clock import Clock
from emdata.contracts.base import Record
from emdata.contracts.derived import EscalationNotice
from emdata.contracts.firms import FireDetection
from emdata.contracts.identity import utc_text
from emdata.errors import EmdataError
from emdata.telemetry import get_logger
from stream_manager.derived.grid import KM_PER_MILE
from stream_manager.derived.places import SOURCE, Places
from stream_manager.derived.rule import Detection, Engine, Notice, Rule
from stream_manager.derived.topic import Offsets, TopicReader
from stream_manager.polls.session import PollSession

log = get_logger(__name__)
MOST_INPUTS = 200
"""Causes that one notice lists, the newest; ``detection_count`` tells how many there are."""


class _Message(msgspec.Struct, frozen=True):
    """What the rule needs of a detection's Kafka value."""

    writer: int
    seq: int
    record_key: str
    acquired_at: datetime
    latitude: float
    longitude: float
    frp_mw: float | None = None
    confidence: str | None = None
    detection_type: int | None = None


class EscalationNotices:
    """A connector whose source is the platform itself."""

    name = "escalation_notices"
    source = EscalationNotice.dataset.source
    emits: ClassVar[Sequence[type[Record]]] = (EscalationNotice,)

    def __init__(self, rule: Rule, places: Places, reader: TopicReader, clock: Clock) -> None:
        self._rule, self._places, self._reader, self._clock = rule, places, reader, clock
        # Built from the cursor, and given up whenever the cursor did not follow.
        self._engine: Engine | None = None

    async def run_poll(self, session: PollSession, arguments: dict[str, Any]) -> None:
        """Read what was accepted since the last poll; a backfill's ``arguments`` change nothing."""
        try:
            ends = await asyncio.to_thread(self._reader.ends)
            start = await self._prepare(session.cursor, ends)
            news = await asyncio.to_thread(self._detections, start, ends)
        except EmdataError as error:
            log.warning("notices_wait_for_kafka", error=str(error)[:200])
            await session.finish("failed", error=error)
            return
        if not news and session.cursor:
            await session.finish("not_modified")
            return
        engine, self._engine = self._engine, None
        if engine is None:
            raise AssertionError("prepared above")
        await self._judge(session, engine, news)
        cursor = {
            "offsets": {str(number): offset for number, offset in ends.items()},
            "rule": self._rule.parameters(),
            "clusters": engine.state(),
        }
        commit = await session.finish("ok", cursor=cursor)
        if commit.cursor is not None:
            self._engine = engine

    async def _prepare(self, cursor: dict[str, Any], ends: Offsets) -> Offsets:
        """Return where to read on, with an engine that knows all that was read before."""
        kept = {int(number): offset for number, offset in cursor.get("offsets", {}).items()}
        now = self._clock.now()
        if self._engine is not None:
            self._engine.expire(now)
            return _resume(kept, ends, {})
        engine = Engine(self._rule, self._places)
        window = await asyncio.to_thread(self._reader.since, now - self._rule.window, ends)
        if not kept:
            self._engine = engine
            return window
        if cursor.get("rule") == self._rule.parameters():
            engine.restore(cursor["clusters"])
        else:
            log.warning("rule_changed", rule=self._rule.rule_id)
        start = _resume(kept, ends, window)
        for detection in await asyncio.to_thread(self._detections, window, start):
            if detection is not None:
                engine.replay(detection, now)
        engine.expire(now)
        self._engine = engine
        return start

    def _detections(self, start: Offsets, end: Offsets) -> list[Detection | None]:
        """Return the detections of a range; None for what the rule does not count."""
        messages = self._reader.read(start, end)
        return [_detection(message.value()) for message in messages]

    async def _judge(
        self, session: PollSession, engine: Engine, news: list[Detection | None]
    ) -> None:
        now = self._clock.now()
        for count, detection in enumerate(news, start=1):
            notice = None if detection is None else engine.add(detection, now)
            if notice is None:
                session.row_ignored()
            else:
                log.info("notice_due", notice=notice.cluster, step=notice.step)
                await session.row_parsed([record_of(notice, self._rule)])
            if count % 200 == 0:
                await asyncio.sleep(0)


def _resume(kept: Offsets, ends: Offsets, new: Offsets) -> Offsets:
    """Return where to read on; a topic that is shorter than it was has been made anew."""
    return {
        number: 0 if kept.get(number, 0) > end else kept.get(number, new.get(number, 0))
        for number, end in ends.items()
    }


def _detection(value: str | bytes | None) -> Detection | None:
    try:
        found = msgspec.json.decode(value or b"", type=_Message, strict=False)
    except msgspec.MsgspecError:
        # Ours, and checked at the door; whoever else writes into the topic is not believed.
        return None
    if found.detection_type:  # a volcano, another static source, offshore
        return None
    at = found.acquired_at
    return Detection(
        key=found.record_key,
        event_id=f"{found.writer}-{FireDetection.dataset.name}-{found.seq}",
        at=at if at.tzinfo is not None else at.replace(tzinfo=UTC),
        latitude=found.latitude,
        longitude=found.longitude,
        frp_mw=found.frp_mw,
        confidence=found.confidence,
    )


def record_of(notice: Notice, rule: Rule) -> EscalationNotice:
    """Return the record of a notice; the same notice gives the same record."""
    causes = notice.causes[-MOST_INPUTS:]
    place, place_km = notice.places[0]
    last_at = max(cause.at for cause in notice.causes)
    inputs = {
        "detections": [
            {
                "id": cause.event_id,
                "record_key": cause.key,
                "acquired_at": utc_text(cause.at),
                "latitude": cause.latitude,
                "longitude": cause.longitude,
                "frp_mw": cause.frp_mw,
                "confidence": cause.confidence,
            }
            for cause in causes
        ],
        "places": [
            {"id": one.place_id, "name": one.name, "state": one.state, "km": round(km, 3)}
            for one, km in notice.places
        ],
    }
    return EscalationNotice(
        notice_id=notice.cluster,
        step=notice.step,
        rule_id=rule.rule_id,
        rule_version=rule.version,
        rule_parameters=msgspec.json.encode(rule.parameters()).decode(),
        is_machine_made=True,
        is_advisory=True,
        advisory=_words(notice, rule),
        cause_dataset=FireDetection.dataset.name,
        cause_ids=msgspec.json.encode([cause.event_id for cause in causes]).decode(),
        inputs=msgspec.json.encode(inputs).decode(),
        detection_count=notice.count,
        first_detected_at=notice.first_at,
        last_detected_at=last_at,
        latitude=round(sum(cause.latitude for cause in causes) / len(causes), 5),
        longitude=round(_mean_longitude([cause.longitude for cause in causes]), 5),
        place_name=place.name,
        place_state=place.state,
        place_id=place.place_id,
        place_distance_km=round(place_km, 3),
        place_population=place.population,
        places_nearby=len(notice.places),
        people_nearby=sum(one.population for one, _ in notice.places),
        place_source=SOURCE,
    )


def _words(notice: Notice, rule: Rule) -> str:
    place, km = notice.places[0]
    return (
        f"Machine-made advisory, not an official alert: satellites made {notice.count} fire "
        f"detections within {rule.radius_km:g} km of each other, the nearest "
        f"{km / KM_PER_MILE:.1f} miles from {place.name}, {place.state}. Satellite detections can "
        f"be wrong, such as hot industry or prescribed burns. No person has checked this. "
        f"Follow your local authorities."
    )


def _mean_longitude(longitudes: Sequence[float]) -> float:
    """Return the mean beside the first one, so that 179.9 and -179.9 do not meet at 0."""
    first = longitudes[0]
    aside = [(one - first + 180.0) % 360.0 - 180.0 for one in longitudes]
    mean = first + sum(aside) / len(aside)
    return (mean + 180.0) % 360.0 - 180.0
