"""`emdata db-connect`: the mysql client where there is one, else a small prompt of our own."""

from __future__ import annotations

import os
import shutil

from rich.console import Console
from rich.table import Table

from emdata.errors import EmdataError
from runtime.context import Context
from runtime.warehouse import warehouse_of


def connect(context: Context, command: str) -> None:
    """Run one statement, or hand the terminal to a client."""
    if command:
        print_result(context, command)
        return
    client = shutil.which("mysql") or shutil.which("mariadb")
    settings = context.settings
    if client is None:
        _prompt(context)
        return
    arguments = [
        *(client, "-h", settings.starrocks_host, "-P", str(settings.starrocks_mysql_port)),
        *("-u", settings.starrocks_user, "--protocol=TCP", settings.starrocks_database),
    ]
    environment = {**os.environ, "MYSQL_PWD": context.credentials.starrocks_password}
    os.execve(client, arguments, environment)  # noqa: S606 (the user's own client)


def print_result(context: Context, statement: str) -> None:
    """Run a statement and print its rows as a table."""
    rows = warehouse_of(context).query(statement)
    console = Console()
    if not rows:
        console.print("no rows")
        return
    table = Table(*rows[0].keys())
    for row in rows:
        table.add_row(*("NULL" if value is None else str(value) for value in row.values()))
    console.print(table)


def _prompt(context: Context) -> None:
    print("no mysql client found; statements end with ; and an empty line leaves")
    parts: list[str] = []
    while True:
        try:
            line = input("... " if parts else "starrocks> ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not line and not parts:
            return
        parts.append(line)
        if line.endswith(";"):
            try:
                print_result(context, " ".join(parts).rstrip(";"))
            except EmdataError as error:
                print(f"error: {error}")
            parts = []
