"""What troubleshooting reads from files."""

from __future__ import annotations

from datetime import UTC, datetime

from emdata.settings import Settings
from runtime.context import Context
from runtime.doctor import crash_loops, examine
from runtime.state_file import StartState, read_state, write_state

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def _log(context: Context, *lines: str) -> None:
    context.paths.logs.mkdir(parents=True)
    (context.paths.logs / "supervisord.log").write_text("".join(f"{line}\n" for line in lines))


def test_a_program_that_dies_again_and_again_is_a_crash_loop(context: Context) -> None:
    died = "2026-11-21 11:5{},335 WARN exited: manager (exit status 1; not expected)"
    _log(context, *(died.format(f"{minute}:00") for minute in range(5)))
    assert crash_loops(context, NOW) == {"manager": 5}


def test_deaths_of_an_hour_ago_and_orderly_stops_are_none(context: Context) -> None:
    _log(
        context,
        *["2026-11-21 11:00:00,335 WARN exited: manager (exit status 1; not expected)"] * 9,
        *["2026-11-21 11:59:00,335 INFO stopped: kafka (terminated by SIGTERM)"] * 9,
    )
    assert crash_loops(context, NOW) == {}


def test_a_home_that_was_never_started_is_told_how(settings: Settings) -> None:
    findings = examine(settings)
    assert any("never started" in f.what and "make start" in f.remedy for f in findings)


def test_a_started_platform_without_processes_is_found(context: Context) -> None:
    context.paths.run.mkdir(parents=True)
    state = StartState(("kafka",), is_ready=True, started_at=NOW.isoformat(), seconds=1.0)
    write_state(context.paths.run, state)
    assert read_state(context.paths.run) == state
    findings = examine(context.settings)
    assert any("was started and does not run" in finding.what for finding in findings)


def test_a_damaged_state_file_counts_as_none(context: Context) -> None:
    context.paths.run.mkdir(parents=True)
    (context.paths.run / "state.json").write_text('{"chosen": 3}')
    assert read_state(context.paths.run) is None
