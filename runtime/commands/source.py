"""`emdata source`: list the sources, start a new one, keep the contracts' schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emdata.errors import ContractError

app = typer.Typer(help="List sources, or start a new one.", no_args_is_help=True)


@app.command("list")
def list_sources() -> None:
    """List every stream with its interval, rate, hosts and datasets."""
    from scrapers.base import find_scrapers

    for name, scraper in find_scrapers().items():
        datasets = ", ".join(record.dataset.name for record in scraper.emits)
        hosts = ", ".join(scraper.hosts)
        print(f"{name}\tevery {scraper.every}\t{scraper.rate}\t{hosts}\t{datasets}")


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Short name of the source, such as usgs_quakes.")],
    folder: Annotated[
        Path | None, typer.Option(help="Repository to write to; default: this one.")
    ] = None,
) -> None:
    """Write the contract, the scraper, a fixture and a test of a new source; overwrites nothing."""
    from emdata.settings import REPOSITORY
    from scrapers.skeleton import write_source

    try:
        written = write_source(folder or REPOSITORY, name)
    except ContractError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    for path in written:
        print(f"wrote {path}")
    print("next: docs/add-a-source.md")


@app.command("schemas")
def schemas(
    folder: Annotated[
        Path, typer.Argument(help="Where the schemas lie, as tests/contracts/schemas.")
    ],
    write: Annotated[bool, typer.Option(help="Write what differs.")] = False,
) -> None:
    """Compare the JSON Schemas of all contracts with the kept ones; exit code 1 if they differ."""
    from emdata.contracts import contracts
    from scrapers.schemas import schema_file, schema_text

    differing = 0
    for record in contracts().values():
        file, text = schema_file(folder, record), schema_text(record)
        kept = file.read_text(encoding="utf-8") if file.exists() else None
        if kept == text:
            continue
        differing += 1
        if write:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        print(f"{'wrote' if write else 'differs:'} {file}")
    raise typer.Exit(1 if differing and not write else 0)
