"""The rule of escalation notices: near each other, near people, once, and again only when grown."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.contracts.base import Priority, fields_of
from emdata.contracts.derived import EscalationNotice
from emdata.contracts.nws import Alert
from stream_manager.derived.grid import KM_PER_DEGREE, Grid, Point, distance_km
from stream_manager.derived.notices import record_of
from stream_manager.derived.places import Place, Places, us_places
from stream_manager.derived.rule import Detection, Engine, Notice, Rule

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
TOWN = Place(1, "Paradise", "CA", 39.76, -121.62, 26_000)
FAR_TOWN = Place(2, "Elsewhere", "CA", 41.0, -121.62, 900)
KM = 1 / KM_PER_DEGREE


def fire(
    number: int, *, north_km: float = 0.0, east_km: float = 0.0, hours: float = 1.0
) -> Detection:
    """A detection that many km north and east of the town, so many hours ago."""
    latitude = 39.76 + north_km * KM
    longitude = -121.62 + east_km * KM / math.cos(math.radians(39.76))
    return Detection(
        f"k{number}", f"1-fires-{number}", NOW - timedelta(hours=hours), latitude, longitude
    )


def engine(rule: Rule | None = None, places: Sequence[Place] = (TOWN, FAR_TOWN)) -> Engine:
    return Engine(rule or Rule(), Places(places))


def notices(made: Engine, fires: Sequence[Detection]) -> list[Notice]:
    return [notice for one in fires if (notice := made.add(one, NOW)) is not None]


def test_three_within_a_kilometer_and_five_miles_of_a_town_make_one_notice() -> None:
    found = notices(engine(), [fire(n, north_km=5 + n * 0.3) for n in range(3)])
    (notice,) = found
    assert (notice.step, notice.count) == (3, 3)
    assert [cause.event_id for cause in notice.causes] == ["1-fires-0", "1-fires-1", "1-fires-2"]
    assert [place.name for place, _ in notice.places] == ["Paradise"]
    assert notice.places[0][1] == pytest.approx(5.0, abs=0.01)


@pytest.mark.parametrize(
    "fires",
    [
        pytest.param([fire(n, north_km=n * 0.5) for n in range(2)], id="two"),
        pytest.param([fire(n, north_km=n * 1.01) for n in range(5)], id="a line, too far apart"),
        pytest.param([fire(n, north_km=9 + n * 0.3) for n in range(3)], id="6 miles from town"),
        pytest.param([fire(n, hours=25) for n in range(5)], id="yesterday"),
        pytest.param([fire(1)] * 5, id="one pixel again and again"),
    ],
)
def test_anything_less_makes_none(fires: list[Detection]) -> None:
    assert notices(engine(), fires) == []


def test_the_limits_themselves_count() -> None:
    rule = Rule(radius_km=1.0)
    line = [fire(n, north_km=n * 0.999) for n in range(3)]
    assert len(notices(engine(rule), line)) == 1, "the one in the middle has two within 1 km"


def test_a_cluster_is_noticed_again_only_when_it_has_doubled() -> None:
    found = notices(engine(), [fire(n, north_km=1 + n * 0.1) for n in range(30)])
    assert [notice.step for notice in found] == [3, 6, 12, 24]
    assert len({notice.cluster for notice in found}) == 1


def test_a_fire_far_from_people_is_noticed_when_it_comes_near_them() -> None:
    creeping = [fire(n, north_km=12 - n * 0.5) for n in range(12)]
    found = notices(engine(), creeping)
    assert found[0].count == 9, "at 8.0 km, the first within 5 miles"
    assert found[0].step == 6


def test_two_fires_are_two_notices_until_they_meet_and_then_one_goes_on() -> None:
    made = engine()
    north = [fire(n, north_km=3 + n * 0.2, hours=2) for n in range(3)]
    south = [fire(10 + n, north_km=0 + n * 0.2, hours=1) for n in range(3)]
    first = notices(made, north + south)
    assert len({notice.cluster for notice in first}) == 2
    bridge = [fire(20 + n, north_km=0.9 + n * 0.7) for n in range(4)]
    after = notices(made, bridge)
    assert {notice.cluster for notice in after} == {first[0].cluster}, "the older one's name"
    assert after[0].step == 6
    assert len(made.state()) == 1


def test_a_quiet_cluster_is_forgotten_and_a_new_fire_there_is_new() -> None:
    made = engine()
    (old,) = notices(made, [fire(n, north_km=n * 0.1, hours=2) for n in range(3)])
    later = NOW + timedelta(hours=23)
    made.expire(later)
    assert made.state() == []
    fires = [Detection(f"n{n}", f"2-{n}", later, 39.76, -121.62 + n * 0.001) for n in range(3)]
    found = [notice for one in fires if (notice := made.add(one, later)) is not None]
    assert [notice.step for notice in found] == [3]
    assert found[0].cluster != old.cluster


FIRES = st.lists(st.tuples(st.floats(-6, 6), st.floats(-6, 6), st.floats(0, 20)), max_size=40).map(
    lambda places: [
        fire(n, north_km=north, east_km=east, hours=hours)
        for n, (north, east, hours) in enumerate(places)
    ]
)


@given(FIRES, st.data())
def test_a_process_that_starts_again_repeats_no_notice_and_misses_none(
    fires: list[Detection], data: st.DataObject
) -> None:
    whole = engine()
    expected = [(n.cluster, n.step) for n in notices(whole, fires)]
    cut = data.draw(st.integers(0, len(fires)))
    before = engine()
    found = [(n.cluster, n.step) for n in notices(before, fires[:cut])]
    after = engine()
    after.restore(json.loads(json.dumps(before.state())))
    for one in fires[:cut]:
        after.replay(one, NOW)
    again = notices(after, fires[:cut])
    assert again == [], "what was counted is not counted again"
    found += [(n.cluster, n.step) for n in notices(after, fires[cut:])]
    assert found == expected


@given(FIRES)
def test_a_notice_always_has_its_causes_close_together_and_a_town_within_reach(
    fires: list[Detection],
) -> None:
    rule = Rule()
    for notice in notices(engine(rule), fires):
        assert notice.count == len(notice.causes) >= notice.step >= rule.min_detections
        assert notice.places
        assert min(
            distance_km(cause.point, Point(place.latitude, place.longitude))
            for cause in notice.causes
            for place, _ in notice.places
        ) == pytest.approx(notice.places[0][1])
        for cause in notice.causes:
            others = [
                distance_km(cause.point, other.point)
                for other in notice.causes
                if other.key != cause.key
            ]
            assert min(others) <= rule.radius_km


POINTS = st.tuples(st.floats(-89.9, 89.9), st.floats(-180, 180)).map(lambda pair: Point(*pair))


@given(st.lists(POINTS, max_size=30), POINTS, st.floats(0.1, 400))
def test_the_grid_finds_what_a_search_of_everything_finds(
    points: list[Point], center: Point, km: float
) -> None:
    grid: Grid[int] = Grid(50.0)
    for number, point in enumerate(points):
        grid.put(str(number), point, number)
    found = sorted({number for _, number, _ in grid.near(center, km)})
    assert found == [n for n, point in enumerate(points) if distance_km(center, point) <= km]


def test_the_grid_reaches_over_the_antimeridian() -> None:
    grid: Grid[str] = Grid(8.0)
    grid.put("adak", Point(51.9, 179.99), "west")
    assert [name for name, _, _ in grid.near(Point(51.9, -179.99), 5.0)] == ["adak"]


def test_the_places_are_those_of_the_country_with_their_states() -> None:
    near = us_places().near(Point(39.76, -121.62), 8.05)
    assert ("Paradise", "CA") in {(place.name, place.state) for place, _ in near}
    denver = us_places().near(Point(39.74, -104.98), 3.0)
    assert max(place.population for place, _ in denver) > 500_000


def test_the_record_links_its_causes_keeps_the_rule_and_is_no_alert() -> None:
    (notice,) = notices(engine(), [fire(n, north_km=n * 0.3) for n in range(3)])
    record = record_of(notice, Rule())
    assert json.loads(record.cause_ids) == ["1-fires-0", "1-fires-1", "1-fires-2"]
    assert json.loads(record.rule_parameters)["min_detections"] == 3
    assert json.loads(record.inputs)["detections"][0]["record_key"] == "k0"
    assert (record.is_machine_made, record.is_advisory) == (True, True)
    assert "not an official alert" in record.advisory
    assert record.priority() is Priority.HIGH
    assert not record.dataset.approved_critical
    assert record_of(notice, Rule()) == record


def test_a_notice_shares_no_field_with_what_makes_an_alert_of_an_authority() -> None:
    alert = {"severity", "urgency", "certainty", "sender", "headline", "instruction", "event"}
    assert alert <= {field.name for field in fields_of(Alert)}
    assert not alert & {field.name for field in fields_of(EscalationNotice)}
