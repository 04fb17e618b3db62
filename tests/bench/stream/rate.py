"""Sustained rate and CPU a record over the whole path, against a plain producer."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from tests.bench.figures import Figure
from tests.bench.stream.control import control_rate
from tests.bench.stream.manager import running_manager
from tests.bench.stream.options import Options
from tests.bench.stream.servers import Servers
from tests.bench.stream.topics import count, new_dataset, remove_dataset

FLOOR, C_FOR_FLOOR = 30_000.0, 60_000.0


@dataclass(frozen=True)
class Run:
    """One run of the whole path: records a second, CPU in us a record, what was lost."""

    rate: float
    cpu_us: float
    lost: int
    peak_mb: float


def rate(servers: Servers, options: Options) -> list[Figure]:
    """Interleaved pairs of control and manager; medians."""
    runs, controls = [], []
    for turn in range(options.pairs):
        plain = control_rate(servers, options.seconds / 4)
        controls.append(plain.a_second)
        run = _run(servers, options)
        runs.append(run)
        print(
            f"  pair {turn + 1}: C {plain.a_second:,.0f}/s and {plain.cpu_us:.1f} us CPU a record, "
            f"manager {run.rate:,.0f}/s and {run.cpu_us:.1f} us, "
            f"{run.lost} lost, peak RSS {run.peak_mb:.0f} MB",
            flush=True,
        )
    control = median(controls)
    ratio = median(run.rate / c for run, c in zip(runs, controls, strict=True))
    figures = [
        Figure("sustained_rate_of_control", ratio, "C", 0.5, 0.8, is_floor=True),
        Figure("sustained_lost", sum(run.lost for run in runs), "records", 0, 0),
        Figure("cpu_a_record", median(run.cpu_us for run in runs), "us", 30.0, 10.0),
    ]
    found = median(run.rate for run in runs)
    if control >= C_FOR_FLOOR:
        figures.insert(
            1, Figure("sustained_rate", found, "records/s", FLOOR, 0.8 * control, is_floor=True)
        )
    else:
        print(f"  {found:,.0f} records/s; no absolute floor, for C is {control:,.0f}/s", flush=True)
    return figures


def _run(servers: Servers, options: Options) -> Run:
    dataset = new_dataset(servers)
    with running_manager(servers) as manager:
        before = manager.usage
        manager.feed("flood", "flood", dataset, batch=options.batch, seconds=options.seconds)
        manager.ask("wait", options.seconds + 60, name="flood")
        after = manager.ask("drain", 120)
        manager.ask("stop_feed", name="flood")
    feed = after["feeds"]["flood"]
    counted = count(servers, dataset)
    remove_dataset(servers, dataset)
    given = feed["given"]
    if after["accepted"].get(dataset, 0) != given or counted.repeated:
        raise SystemExit(f"{given} rows given, {after['accepted']} accepted, {counted}")
    if after["unapplied"]:
        print(f"  {after['unapplied']} polls not yet in PostgreSQL at the end", flush=True)
    return Run(
        rate=counted.distinct / (after["at"] - feed["began_at"]),
        cpu_us=(after["cpu"] - before["cpu"]) / given * 1e6,
        lost=given - counted.distinct,
        peak_mb=after["peak_mb"],
    )
