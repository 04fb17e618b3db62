"""`emdata dlq`: dead letters listed, shown, driven again, dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.refusal import refuse

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from emdata.state.dead_letters import Filter

app = typer.Typer(help="Dead letters: what could not be accepted or delivered.",
                  no_args_is_help=True)  # fmt: skip

Ids = Annotated[list[str] | None, typer.Argument(help="Letters, by id or its beginning.")]
Cause = Annotated[str | None, typer.Option(help="Only this cause, such as row or kafka_refused.")]
ErrorClass = Annotated[str | None, typer.Option("--class", help="transient or permanent.")]
Stream = Annotated[str | None, typer.Option(help="Only letters of this stream.")]
DatasetName = Annotated[str | None, typer.Option("--dataset", help="Only letters of a dataset.")]
States = Annotated[
    list[str] | None, typer.Option("--state", help="open, redriving, redriven, dropped; repeat.")
]
Older = Annotated[str | None, typer.Option(help="Last seen longer ago, such as 30min, 2h, 7d.")]
Newer = Annotated[str | None, typer.Option(help="Last seen since, such as 30min, 2h, 7d.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
By = Annotated[str, typer.Option(help="Who does it; default: the account that runs this.")]
MAX_LETTERS = 10_000


@app.command("ls")
def list_letters(  # noqa: PLR0913, PLR0917 (an argument an option)
    cause: Cause = None,
    error_class: ErrorClass = None,
    stream: Stream = None,
    dataset: DatasetName = None,
    state: States = None,
    older: Older = None,
    newer: Newer = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LETTERS, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first; those that wait when no state is named."""
    from emdata.state.dead_letters import find_letters
    from runtime import letters

    wanted = _filter(
        (), cause, error_class, stream, dataset, state or ["open", "redriving"], older, newer
    )
    with _state() as engine:
        found = find_letters(engine, wanted, limit=limit)
    if as_json:
        print(json.dumps([letters.as_json(one) for one in found], ensure_ascii=False))
        return
    for one in found:
        print(letters.table_line(one))
    print(f"{len(found)} letters" + (", there may be more: --limit" if len(found) == limit else ""))


@app.command("causes")
def causes(as_json: AsJson = False) -> None:
    """Count the waiting letters by stream, dataset and cause."""
    from emdata.state.dead_letters import count_letters
    from runtime import letters

    with _state() as engine:
        found = count_letters(engine)
    if as_json:
        print(json.dumps([letters.as_json(one) for one in found], ensure_ascii=False))
        return
    for one in found:
        place = f"{one['stream']} {one['dataset'] or '(row)'}"
        print(f"{one['letters']:>7}  {one['class']:9}  {letters.one_line(place)}  {one['cause']}")
    if not found:
        print("no letter waits")


@app.command("show")
def show(
    letter: Annotated[str, typer.Argument(help="A letter's id, or its beginning.")],
    limit: Annotated[int, typer.Option("--bytes", min=0, help="Print so many bytes.")] = 4096,
    output: Annotated[str, typer.Option(help="Write the bytes, verbatim, to this file.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show a letter: why it died, what was tried, and its bytes, escaped for a terminal."""
    from emdata.state.dead_letters import show_letter
    from runtime import letters

    with _state() as engine:
        found = show_letter(engine, letter)
    if not found:
        refuse(f"no dead letter begins with {letter!r}; see: emdata dlq ls")
    if len(found) > 1:
        refuse(f"{letter!r} begins more than one id, such as {found[0]['id']}, {found[1]['id']}")
    if output:
        from pathlib import Path

        Path(output).write_bytes(found[0]["payload"])
        print(f"{len(found[0]['payload'])} bytes written to {output}")
        return
    if as_json:
        print(json.dumps(letters.as_json(found[0]), ensure_ascii=False))
        return
    for line in letters.letter_lines(found[0], limit=limit):
        print(line)


@app.command("redrive")
def redrive(  # noqa: PLR0913, PLR0917 (an argument an option)
    ids: Ids = None,
    cause: Cause = None,
    error_class: ErrorClass = None,
    stream: Stream = None,
    dataset: DatasetName = None,
    older: Older = None,
    newer: Newer = None,
    every: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    by: By = "",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the outcome.")] = 120,
    as_json: AsJson = False,
) -> None:
    """Ask the stream manager to drive waiting letters again, now.

    Exit code 1 when a letter was rejected again or the manager did not answer in time; the request
    stays then.
    """
    from emdata.state.requests import ask_polls, wait_for

    states = ["open", "redriving"]
    wanted = _filter(ids or (), cause, error_class, stream, dataset, states, older, newer)
    who = by or _account()
    with _state() as engine:
        chosen = _choose(engine, wanted, is_all=every)
        _note("letters.redrive", [one["id"] for one in chosen])
        asked = []
        for writer, own in _by_manager(chosen).items():
            to, arguments = [f"writer-{writer}"], {"ids": own, "by": who}
            asked += ask_polls(engine, to, who, kind="redrive", arguments=arguments)
        answered = wait_for(engine, asked, timeout) if asked else []
    total = {"letters": len(chosen)}
    for one in answered:
        for name, count in (one.result or {}).items():
            total[name] = total.get(name, 0) + int(count)
    late = sum(not one.is_done for one in answered)
    if as_json:
        print(json.dumps({**total, "unanswered": late}))
    else:
        print(", ".join(f"{name} {count}" for name, count in total.items()))
    if late:
        typer.echo("error: the stream manager has not answered yet; is it running?", err=True)
    if late or total.get("rejected", 0) or total.get("failed", 0):
        raise typer.Exit(1)


@app.command("drop")
def drop(  # noqa: PLR0913, PLR0917 (an argument an option)
    why: Annotated[str, typer.Option(help="Why they may be given up; kept with each letter.")],
    ids: Ids = None,
    cause: Cause = None,
    error_class: ErrorClass = None,
    stream: Stream = None,
    dataset: DatasetName = None,
    older: Older = None,
    newer: Newer = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    by: By = "",
    yes: Yes = False,
) -> None:
    """Give open letters up: they are tried no more; bytes and history stay."""
    from emdata.clock import SystemClock
    from emdata.state.dead_letters import drop_letters

    if not why.strip():
        refuse("--why must say something")
    wanted = _filter(ids or (), cause, error_class, stream, dataset, ["open"], older, newer)
    with _state() as engine:
        chosen = [one["id"] for one in _choose(engine, wanted, is_all=every)]
        if chosen and not yes:
            _confirm(f"Give up {len(chosen)} letters?")
        _note("letters.drop", chosen, why=why)
        now = SystemClock().now()
        dropped = drop_letters(engine, chosen, by=by or _account(), why=why, now=now)
    print(f"dropped {dropped}")


def _note(act: str, letters: list[str], **details: object) -> None:
    """Write the act into the audit log; of many letters the first ones are named."""
    from runtime.audited import note_act
    from runtime.context import load

    if letters:
        named = {"letters": len(letters), "first": letters[:20], **details}
        note_act(load(), act, "dead letters", **named)


def _by_manager(letters: list[dict[str, Any]]) -> dict[int, list[str]]:
    """Return ids by the manager that drives them: clients' letters are this platform's one's."""
    from emdata.state.clients import FIRST_CLIENT
    from runtime.context import load_context

    ours = load_context().settings.writer
    found: dict[int, list[str]] = {}
    for one in letters:
        manager = one["writer"] if one["writer"] < FIRST_CLIENT else ours
        found.setdefault(manager, []).append(one["id"])
    return dict(sorted(found.items()))


def _choose(engine: Engine, wanted: Filter, *, is_all: bool) -> list[dict[str, Any]]:
    """Return the letters that a command means; everything only when that is said."""
    from emdata.state.dead_letters import Filter, find_letters

    if wanted == Filter(states=wanted.states) and not is_all:
        refuse("name letters, or a filter such as --cause, or --all")
    found = find_letters(engine, wanted, limit=MAX_LETTERS)
    unknown = [one for one in wanted.ids if not any(f["id"].startswith(one) for f in found)]
    if unknown:
        refuse(f"no waiting dead letter begins with {unknown[0]!r}; see: emdata dlq ls")
    return found


def _filter(
    ids: list[str] | tuple[()],
    cause: str | None,
    error_class: str | None,
    stream: str | None,
    dataset: str | None,
    states: list[str],
    older: str | None,
    newer: str | None,
) -> Filter:
    from emdata.clock import SystemClock
    from emdata.contracts.base import duration
    from emdata.errors import ContractError
    from emdata.state.dead_letters import CLASSES, STATES, Filter

    for value, allowed in ((error_class, CLASSES), *((state, STATES) for state in states)):
        if value is not None and value not in allowed:
            refuse(f"{value!r} is not known; known: {', '.join(allowed)}")
    now = SystemClock().now()
    try:
        before = None if older is None else now - duration(older)
        since = None if newer is None else now - duration(newer)
    except (ContractError, OverflowError) as error:
        refuse(f"age: {error}")
    return Filter(
        ids=tuple(ids),
        cause=cause,
        error_class=error_class,
        stream=stream,
        dataset=dataset,
        states=tuple(states),
        before=before,
        since=since,
    )


def _confirm(question: str) -> None:
    import sys

    if not sys.stdin.isatty():
        refuse("--yes is needed where nobody can be asked")
    typer.confirm(question, abort=True)


def _account() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@contextmanager
def _state() -> Iterator[Engine]:
    from emdata.state import connect
    from runtime.context import load_context
    from runtime.tasks import state_dsn

    engine = connect(state_dsn(load_context()))
    try:
        yield engine
    finally:
        engine.dispose()
