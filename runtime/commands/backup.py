"""`emdata backup` and `emdata restore`: all stores of a platform in containers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emdata.settings import Settings


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.command(name="backup")(backup)
    root.command(name="restore")(restore)


def backup(
    directory: Annotated[Path, typer.Argument(help="a new or empty directory")],
) -> None:
    """Stop the containers, save every store and the passwords, start them again."""
    from emdata.clock import SystemClock
    from runtime.containers.backup import backup as save

    settings = _settings()
    manifest = save(settings, directory.absolute(), SystemClock(), typer.echo)
    size = sum(archive.size for archive in manifest.archives) / 1e6
    typer.echo(f"{len(manifest.archives)} volumes, {size:.1f} MB in {directory}; keep it secret")


def restore(
    directory: Annotated[Path, typer.Argument(help="a directory that `emdata backup` wrote")],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Put a backup in the place of all data of this platform; then run `emdata start`."""
    from runtime.containers.backup import read_manifest
    from runtime.containers.backup import restore as put_back

    settings = _settings()
    manifest = read_manifest(directory.absolute())
    if not yes:
        typer.confirm(f"All data is replaced by that of {manifest.made_at}. Go on?", abort=True)
    put_back(settings, directory.absolute(), typer.echo)
    typer.echo(f"restored {manifest.mode} data of {manifest.made_at}; run `emdata start`")


def _settings() -> Settings:
    from emdata.errors import SettingError
    from runtime.context import load

    settings = load()
    if settings.profile != "containers":
        raise SettingError(
            "PROFILE", value=settings.profile, allowed="containers",
            fix="stop the embedded platform and copy its home with a program of yours",
        )  # fmt: skip
    return settings
