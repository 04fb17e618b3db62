"""Items: from the cache and not, against bare handlers; latency at half of saturation."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

from api.query.model import Filter, ItemsQuery, Order
from api.query.statement import items_statement
from api.reading.connections import sql_of
from tests.api.world import World
from tests.bench.api.client import Load, measure
from tests.bench.api.controls import Given, running_control
from tests.bench.api.world import COLLECTION, collection, mysql_of, save, wait_for_version
from tests.bench.figures import Figure

LIMIT = 10
PATH = f"/collections/{COLLECTION}/items"
CONNECTIONS = 16
FEW = 4
"""Connections where StarRocks answers: it has the cores to itself as far as it can."""
DIFFERENT = 10_000
"""Pages of a round of those that are not kept; more than are answered in it."""


def cached_figures(world: World, folder: Path, rounds: int, seconds: float) -> Iterator[Figure]:
    """A page from the cache, of a bare FastAPI handler that returns the same bytes."""
    path = f"{PATH}?limit={LIMIT}"
    wait_for_version(world, path)
    answer = world.get(path)
    given = Given(save(folder, answer.content), answer.headers["content-type"])
    with running_control(given) as control:
        pairs = _pairs(world.url + path, f"{control}/bytes", rounds, seconds)
    ratio = _told("cached", pairs)
    yield Figure("cached_item_of_bare_handler", ratio, "x", 0.5, 0.7, is_floor=True)


def uncached_figures(world: World, folder: Path, rounds: int, seconds: float) -> Iterator[Figure]:
    """Pages that nobody asked for before, of a handler that runs the same queries by PyMySQL."""
    queries = folder / "queries"
    count = DIFFERENT * (rounds + 1)
    queries.write_text("\n".join(_query(number) for number in range(count)), encoding="utf-8")
    given = Given(save(folder, b"{}"), "application/json", str(queries), mysql_of(world))
    ratios = []
    with running_control(given) as control:
        for number in range(rounds + 1):
            numbers = range(number * DIFFERENT, (number + 1) * DIFFERENT)
            theirs = _paths(folder / "theirs", (f"/query?n={each}" for each in numbers))
            ours = _paths(folder / "ours", (_page(each) for each in numbers))
            bare = measure(control, connections=FEW, seconds=seconds, paths=theirs)
            mine = measure(world.url, connections=FEW, seconds=seconds, paths=ours)
            _no_failures(bare, mine)
            if max(bare.requests, mine.requests) > DIFFERENT:
                raise SystemExit("pages were asked for twice; shorten the rounds")
            print(f"INFO uncached: {mine.rate:,.0f} of {bare.rate:,.0f}/s", flush=True)
            if number:
                ratios.append(mine.rate / bare.rate)
    ratio = statistics.median(ratios)
    yield Figure("uncached_item_of_same_query", ratio, "x", 0.6, 0.8, is_floor=True)


def _query(number: int) -> str:
    """The statement of a page, as the API makes it."""
    station, direction = number % 500, number // 500 % 360
    filters = (
        Filter("station_id", "in", (f"st{station}",)),
        Filter("wind_direction_deg", "in", (float(direction),)),
    )
    order = tuple(map(Order, collection().key))
    return sql_of(items_statement(ItemsQuery(collection(), filters, order=order, limit=LIMIT)))


def _page(number: int) -> str:
    station, direction = number % 500, number // 500 % 360
    return f"{PATH}?limit={LIMIT}&station_id=st{station}&wind_direction_deg={direction}"


def _paths(file: Path, paths: Iterable[str]) -> Path:
    file.write_text("\n".join(paths), encoding="utf-8")
    return file


def latency_figures(world: World, _: Path, rounds: int, seconds: float) -> Iterator[Figure]:
    """p99 of a cached page, asked for at half of the rate that saturates."""
    url = f"{world.url}{PATH}?limit={LIMIT}"
    wait_for_version(world, f"{PATH}?limit={LIMIT}")
    found = []
    for _number in range(rounds):
        full = measure(url, connections=CONNECTIONS, seconds=seconds)
        half = measure(url, connections=CONNECTIONS, seconds=seconds, rate=full.rate / 2)
        _no_failures(full, half)
        print(f"INFO half of {full.rate:,.0f}/s: p50 {half.p50 * 1000:.1f} ms", flush=True)
        found.append(half.p99 * 1000)
    yield Figure("p99_at_half_of_saturation", statistics.median(found), "ms", 50, 20)


def _pairs(ours: str, control: str, rounds: int, seconds: float) -> list[tuple[Load, Load]]:
    """Both sides in turns; the first pair, which warms up, is not counted."""
    pairs = []
    for number in range(rounds + 1):
        length = seconds if number else min(seconds, 1.0)
        bare = measure(control, connections=CONNECTIONS, seconds=length)
        mine = measure(ours, connections=CONNECTIONS, seconds=length)
        _no_failures(bare, mine)
        if number:
            pairs.append((mine, bare))
    return pairs


def _told(name: str, pairs: list[tuple[Load, Load]]) -> float:
    ratios = [mine.rate / bare.rate for mine, bare in pairs]
    rates = ", ".join(f"{mine.rate:,.0f} of {bare.rate:,.0f}/s" for mine, bare in pairs)
    print(f"INFO {name}: {rates}", flush=True)
    return statistics.median(ratios)


def _no_failures(*loads: Load) -> None:
    for load in loads:
        if load.failed:
            raise SystemExit(f"answers that are none: {load.statuses}")
