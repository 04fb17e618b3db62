"""`emdata parse SOURCE FILE`: what the platform would make of a payload, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emdata.errors import ContractError, EmdataError

if TYPE_CHECKING:
    from scrapers.offline import RowOutcome

_SHOWN_REASON = 300


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command("parse")(parse)


def parse(
    source: Annotated[
        str, typer.Argument(help="Source, stream or dataset: fema, nws, coagmet_hourly, ...")
    ],
    file: Annotated[Path, typer.Argument(help="A payload of that source, in any of its formats.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    query: Annotated[
        str,
        typer.Option(
            help="Query that the payload was asked for with, as fields=t,rh&units=m&tz=utc; "
            "it says what a CSV without labels one can trust does not."
        ),
    ] = "",
) -> None:
    """Parse a stored payload and print the outcome of each row and the totals.

    Exit code 0 when the file was taken apart, rejected rows included (they are its outcome), 1 when
    it is no document of this source, 2 for an unknown source or a file that cannot be read.
    """
    from runtime import context
    from scrapers.offline import document_of, idle, parse_with_any, scrapers_for, totals

    settings = context.load()
    try:
        scrapers = [idle(found, settings) for found in scrapers_for(source).values()]
        body = file.read_bytes()
    except ContractError as error:
        _stop(str(error), 2)
    except OSError as error:
        _stop(f"cannot read {file}: {error.strerror}", 2)
    document = document_of(body, f"{file.name}?{query}" if query else file.name)
    try:
        scraper, outcomes = parse_with_any(scrapers, document)
        unknown = sorted(scraper.fields_unknown(document))
        warnings = scraper.warnings(document)
    except EmdataError as error:
        if as_json:
            print(json.dumps({"source": source, "file": file.name, "error": str(error)}))
            raise typer.Exit(1) from None
        _stop(str(error), 1)
    counts = totals(outcomes)
    if as_json:
        found = {
            "source": scraper.name,
            "file": file.name,
            "totals": counts,
            "fields_unknown": unknown,
            "warnings": list(warnings),
            "rows": [_as_json(row) for row in outcomes],
        }
        print(json.dumps(found, ensure_ascii=False))
    else:
        for number, row in enumerate(outcomes, start=1):
            print(f"row {number}: {_line(row)}")
        for name in unknown:
            print(f"note: unknown field {name}")
        for warning in warnings:
            print(f"warning: {warning}")
        print(f"{scraper.name}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def _line(row: RowOutcome) -> str:
    if row.rejected is not None:
        return f"rejected: {str(row.rejected)[:_SHOWN_REASON]}"
    if row.ignored is not None:
        return f"ignored: {row.ignored}"
    first = row.records[0]
    more = f" and {len(row.records) - 1} more" if len(row.records) > 1 else ""
    return f"parsed: {first.dataset.name} {first.record_key()} {first.priority().name}{more}"


def _as_json(row: RowOutcome) -> dict[str, object]:
    found: dict[str, object] = {"outcome": row.outcome}
    if row.rejected is not None:
        found["error"], found["reason"] = row.rejected.code, str(row.rejected)
    if row.ignored is not None:
        found["reason"] = row.ignored
    found["records"] = [
        {
            "dataset": record.dataset.name,
            "key": record.record_key(),
            "version": record.version_text(),
            "priority": record.priority().name,
            "content_hash": record.content_hash().hex(),
            "fields": json.loads(record.payload()),
        }
        for record in row.records
    ]
    return found


def _stop(text: str, code: int) -> None:
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(code)
