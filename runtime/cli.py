"""The `emdata` command: every module of `runtime.commands` adds its own."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys

import typer

from emdata.errors import EmdataError, SettingError


def build() -> typer.Typer:
    """Compose the root command from the modules found in ``runtime/commands``."""
    import runtime.commands

    root = typer.Typer(
        name="emdata",
        help="Emergency-management data platform.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for info in sorted(pkgutil.iter_modules(runtime.commands.__path__), key=lambda i: i.name):
        module = importlib.import_module(f"runtime.commands.{info.name}")
        if hasattr(module, "register"):
            module.register(root)
        else:
            root.add_typer(module.app, name=info.name.replace("_", "-"))
    return root


def main() -> None:
    """Run the command line; our own errors are lines, not tracebacks."""
    try:
        build()()
    except EmdataError as error:
        for line in str(error).splitlines():
            print(f"error: {line}" if not line.startswith(" ") else line, file=sys.stderr)
        if error.code == "interrupted":
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(130)  # threads that wait for a server would hold the exit
        sys.exit(2 if isinstance(error, SettingError) or error.code == "preflight" else 1)
    except OSError as error:  # a full disk, a directory that may not be written
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
