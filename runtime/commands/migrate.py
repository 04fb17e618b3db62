"""`emdata migrate`: bring the warehouse's tables to the contracts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command(name="migrate")(migrate)


def migrate(
    yes: Annotated[bool, typer.Option("--yes", help="Apply without asking.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the statements only.")] = False,
) -> None:
    """Compare the contracts with StarRocks, print what must change, apply it."""
    from emdata.contracts import contracts
    from emdata.derive.starrocks import RAW_DATABASE
    from emdata.migrate import database_statements, plan_changes, read_tables
    from runtime.context import load_context
    from runtime.warehouse import warehouse_of

    context = load_context()
    warehouse = warehouse_of(context)
    databases = (RAW_DATABASE, context.settings.starrocks_database)
    if not show:
        warehouse.execute(*database_statements(databases))
    changes = plan_changes(contracts().values(), read_tables(warehouse))
    for change in changes:
        print(f"-- {change.table}: {change.why}\n{change.statement};")
    if show or not changes:
        print(f"{len(changes)} changes to make" if changes else "the tables match the contracts")
        return
    if not yes:
        if not sys.stdin.isatty():
            print("error: --yes is needed where nobody can be asked", file=sys.stderr)
            raise SystemExit(2)
        typer.confirm(f"Apply {len(changes)} changes?", abort=True)
    warehouse.execute(*(change.statement for change in changes))
    print(f"{len(changes)} changes applied")
