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
    """Write docs/data-dictionary.md from the contracts and the models' descriptions."""
    from emdata.settings import REPOSITORY

    page = REPOSITORY / "docs" / "data-dictionary.md"
    text = dictionary_of(REPOSITORY / "dbt_project")
    current = page.read_text(encoding="utf-8") if page.exists() else ""
    if current == text:
        print(f"{page.relative_to(REPOSITORY)} is up to date")
        return
    if check:
        print(f"{page.relative_to(REPOSITORY)} is out of date: run `emdata docs`")
        raise typer.Exit(1)
    page.write_text(text, encoding="utf-8")
    print(f"{page.relative_to(REPOSITORY)} written")


def dictionary_of(project: Path) -> str:
    """Return the data dictionary of the contracts and of a dbt project's written models."""
    import yaml

    from emdata.contracts import contracts
    from emdata.dbt_project import GENERATED
    from emdata.derive.dictionary import dictionary

    files = sorted(
        file
        for file in (project / "models").rglob("*.yml")
        if project / GENERATED not in file.parents
    )
    documents = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    return dictionary(contracts().values(), documents)
