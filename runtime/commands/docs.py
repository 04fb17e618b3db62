"""`emdata docs`: the pages that are generated from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(root: typer.Typer) -> None:
    """Add the command ``docs``."""
    root.command("docs")(docs)


def docs(
    check: Annotated[
        bool, typer.Option("--check", help="change nothing; exit 1 when a page is out of date")
    ] = False,
) -> None:
    """Write the data dictionary and docs/reference from the code."""
    from emdata.settings import REPOSITORY
    from runtime.reference.commands import commands_page
    from runtime.reference.datasets import datasets_page
    from runtime.reference.metrics import metrics_page
    from runtime.reference.pages import write_pages
    from runtime.reference.settings import settings_page
    from runtime.reference.starrocks import starrocks_functions_page

    reference = REPOSITORY / "docs" / "reference"
    pages = {
        REPOSITORY / "docs" / "data-dictionary.md": dictionary_of(REPOSITORY / "dbt_project"),
        reference / "settings.md": settings_page(),
        reference / "cli.md": commands_page(),
        reference / "metrics.md": metrics_page(),
        reference / "datasets.md": datasets_page(),
        reference / "starrocks-functions.md": starrocks_functions_page(),
    }
    if not write_pages(pages, check=check):
        raise typer.Exit(1)


def dictionary_of(project: Path) -> str:
    """Return the data dictionary of the contracts and of a dbt project's written models."""
    from emdata.contracts import contracts
    from emdata.dbt_project import GENERATED
    from emdata.derive.dictionary import dictionary
    from emdata.yamls import read_yaml

    files = sorted(
        file
        for file in (project / "models").rglob("*.yml")
        if project / GENERATED not in file.parents
    )
    documents = [read_yaml(file.read_text(encoding="utf-8")) for file in files]
    return dictionary(contracts().values(), documents)
