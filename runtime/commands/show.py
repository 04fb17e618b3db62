"""`emdata show`: what is derived from a contract, without any server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emdata.contracts import Record

app = typer.Typer(help="Show what is derived from a contract.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Dataset, such as fema_disaster_declarations.")]


@app.command()
def ddl(dataset: Name) -> None:
    """Print the StarRocks DDL of a dataset's raw table."""
    from emdata.derive.starrocks import raw_table_ddl

    print(raw_table_ddl(_contract(dataset)) + ";")


@app.command()
def flink(dataset: Name) -> None:
    """Print the Flink SQL that lands a dataset."""
    from flink_jobs.plan import landing_sql
    from runtime.context import load

    print(landing_sql(_contract(dataset), load()))


@app.command()
def dbt(dataset: Name) -> None:
    """Print a dataset's staging model and its YAML."""
    from emdata.derive.dbt import staging_sql, staging_yaml

    record = _contract(dataset)
    print(staging_sql(record))
    print(f"-- {record.dataset.staging}.yml")
    print("\n".join(f"-- {line}" for line in staging_yaml([record]).splitlines()))


@app.command()
def datasets() -> None:
    """List the datasets with their topics and keys."""
    from emdata.contracts import contracts

    for name, record in contracts().items():
        print(f"{name}\t{record.dataset.topic}\t{', '.join(record.dataset.key)}")


def _contract(name: str) -> type[Record]:
    from emdata.contracts import contract
    from emdata.errors import ContractError

    try:
        return contract(name)
    except ContractError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
