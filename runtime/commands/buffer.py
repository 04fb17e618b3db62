"""`emdata buffer`: segments listed, verified, replayed; nothing here writes to a buffer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.refusal import refuse

if TYPE_CHECKING:
    from stream_manager.buffer.inspect import SegmentReport

app = typer.Typer(help="The stream manager's buffer on disk.", no_args_is_help=True)
Folder = Annotated[
    Path | None, typer.Argument(help="Directory with segments; default: this platform's buffers.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


@app.command("ls")
def list_segments(directory: Folder = None, as_json: AsJson = False) -> None:
    """List the segments: records, undelivered ones, COMMITs, epoch, size, damage."""
    found = [report for folder in _folders(directory) for report in _reports(folder)]
    if as_json:
        print(json.dumps([_as_json(one) for one in found]))
        return
    for one in found:
        print(_line(one))
    waiting = sum(one.undelivered for one in found)
    size = sum(one.size for one in found)
    print(f"{len(found)} segments, {size} bytes, {waiting} records not delivered")


@app.command("verify")
def verify(directory: Folder = None, as_json: AsJson = False) -> None:
    """Check every frame's CRC and decode its records, also while a manager runs.

    Exit code 1 when a stretch is damaged. A torn tail of the newest segment is a write under way,
    or one that nobody was promised.
    """
    found = [report for folder in _folders(directory) for report in _reports(folder)]
    damaged = [one for one in found if one.damage or one.writer is None]
    if as_json:
        print(json.dumps([_as_json(one) for one in found]))
    else:
        for one in damaged:
            for stretch in one.damage:
                print(f"{one.path}: bytes {stretch.start} to {stretch.end}: {stretch.why}")
            if one.writer is None:
                print(f"{one.path}: no intact header")
        records = sum(one.records for one in found)
        print(f"{len(found)} segments, {records} records, {len(damaged)} segments damaged")
    if damaged:
        raise typer.Exit(1)


@app.command("replay")
def replay(
    directory: Annotated[
        Path | None, typer.Argument(help="A copied buffer directory (a writer's, or of several).")
    ] = None,
    source: Annotated[
        str, typer.Option("--from", help="Object storage with copies, such as s3://bucket/buffer.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was delivered at the first site.")
    ] = False,
    own: Annotated[
        bool, typer.Option("--own", help="These are this platform's own records.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send the undelivered records of a copied buffer to this platform's Kafka.

    They keep their writer and numbers, so that sending them twice changes no table.
    """
    from runtime.context import load_context
    from stream_manager.second_site.replay import Into, Replay

    if (directory is None) == (not source):
        refuse("name a directory, or --from and the address of the copies")
    context = load_context()
    into = Into(
        kafka=context.settings.kafka,
        is_simulated=context.paths.mode == "simulator",
        own_writers=frozenset() if own else _own_writers(context.settings.writer),
        states=context.settings.states,
    )
    with _copies(directory, source) as folders:
        counts = Replay(into, everything=everything).run(folders)
    if as_json:
        print(json.dumps(counts))
    else:
        print(", ".join(f"{name} {count}" for name, count in counts.items()))


def _own_writers(writer: int) -> frozenset[int]:
    """Return the writers of this platform: its own number, and those that have a buffer here."""
    from runtime.context import load_context

    buffers = load_context().paths.buffer
    found = {int(one.name) for one in _subfolders(buffers) if one.name.isdecimal()}
    return frozenset(found | {writer})


@contextmanager
def _copies(directory: Path | None, source: str) -> Iterator[list[Path]]:
    """Yield the directories that hold segments, fetched from object storage where that is named."""
    import tempfile

    from emdata.objects import open_store
    from stream_manager.second_site.copies import fetch

    if directory is not None:
        yield _folders(directory)
        return
    with tempfile.TemporaryDirectory(prefix="emdata-replay-") as name:
        segments = fetch(open_store(source), Path(name))
        if not segments:
            refuse(f"{source}: holds no copies of segments")
        yield sorted({path.parent for path in segments}, key=lambda path: int(path.name))


def _folders(directory: Path | None) -> list[Path]:
    """Return the directories that hold segments: the named one, or one a writer below it."""
    from runtime.context import load_context
    from stream_manager.availability.fence import log_directory
    from stream_manager.buffer.inspect import segment_files

    base = directory or load_context().paths.buffer
    if not base.is_dir():
        refuse(f"{base} is no directory")
    candidates = [log_directory(one) for one in (base, *_subfolders(base))]
    found = [one for one in dict.fromkeys(candidates) if segment_files(one)]
    if not found and directory is not None:
        refuse(f"{base} holds no segments")
    return found


def _subfolders(base: Path) -> list[Path]:
    return sorted(one for one in base.iterdir() if one.is_dir()) if base.is_dir() else []


def _reports(folder: Path) -> list[SegmentReport]:
    from stream_manager.buffer.inspect import SegmentFiles, segment_files

    return [report for report, _ in SegmentFiles(segment_files(folder))]


def _line(one: SegmentReport) -> str:
    damage = f", {len(one.damage)} stretches damaged" if one.damage else ""
    torn = f", {one.torn} bytes unfinished" if one.torn else ""
    return (
        f"writer {one.writer}  {one.path.name}  epoch {one.epoch}  {one.size:>10} bytes  "
        f"{one.records:>8} records  {one.undelivered:>8} undelivered  {one.commits:>5} commits  "
        f"{len(one.deads):>3} dead{damage}{torn}"
    )


def _as_json(one: SegmentReport) -> dict[str, Any]:
    return {
        "path": str(one.path),
        "number": one.number,
        "writer": one.writer,
        "epoch": one.epoch,
        "bytes": one.size,
        "batches": one.batches,
        "records": one.records,
        "undelivered": one.undelivered,
        "commits": one.commits,
        "dead": len(one.deads),
        "torn_bytes": one.torn,
        "damage": [
            {"start": stretch.start, "end": stretch.end, "why": stretch.why}
            for stretch in one.damage
        ],
    }
