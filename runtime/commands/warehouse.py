"""`emdata warehouse`: the warehouse's tables as Parquet files, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Move the warehouse's tables out and in, also to another StarRocks.", no_args_is_help=True
)
Databases = Annotated[
    list[str] | None, typer.Option("--database", help="a database; again for more; all without")
]


@app.command(name="export")
def export_(
    directory: Annotated[Path, typer.Argument(help="a new or empty directory")],
    database: Databases = None,
) -> None:
    """Write each table as DDL and Parquet, and a manifest with the counts."""
    from runtime.context import load_context
    from runtime.warehouse import warehouse_of
    from runtime.warehouse_files import export_tables

    warehouse = warehouse_of(load_context(), timeout=600.0)
    for table in export_tables(warehouse, directory, database or []):
        print(f"{table.database}.{table.name}\t{table.rows} rows")


@app.command(name="import")
def import_(
    directory: Annotated[Path, typer.Argument(help="what `export` has written")],
    database: Databases = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="empty tables that have rows already")
    ] = False,
) -> None:
    """Make the tables of an export and load their rows; every count is checked."""
    from runtime.context import load_context
    from runtime.warehouse import warehouse_of
    from runtime.warehouse_files import Loader, import_tables

    context = load_context()
    loader = Loader(
        context.settings.starrocks_host,
        context.settings.starrocks_http_port,
        context.settings.starrocks_user,
        context.credentials.starrocks_password,
    )
    warehouse = warehouse_of(context, timeout=600.0)
    for table in import_tables(warehouse, loader, directory, database or [], replace=replace):
        print(f"{table.database}.{table.name}\t{table.rows} rows")
