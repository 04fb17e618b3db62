"""``emdata ca``: the authority and the certificates of the containers with EMDATA_TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from runtime.containers.authority import Authority

app = typer.Typer(
    name="ca", help="Certificates of the containers (EMDATA_TLS).", no_args_is_help=True
)


@app.command()
def show() -> None:
    """Show the authority's certificate and what it issued, with their last days."""
    from runtime.containers.authority import NAMES

    authority = _authority()
    certificate = authority.certificate
    typer.echo(f"{authority.folder / 'ca.crt'}\tuntil {certificate.not_valid_after_utc:%Y-%m-%d}")
    for name in NAMES:
        identity = authority.identity_of(name)
        typer.echo(f"{name}\tuntil {identity.certificate.not_valid_after_utc:%Y-%m-%d}")


@app.command()
def renew(
    authority: Annotated[
        bool, typer.Option("--authority", help="Also a new authority, which clients must learn.")
    ] = False,
) -> None:
    """Make new keys and certificates; `emdata restart` brings them to the containers."""
    from runtime.containers.authority import NAMES, remove_authority
    from runtime.containers.identities import authority_folder

    if authority:
        from runtime.context import load

        remove_authority(authority_folder(load()))
    known = _authority()
    for name in NAMES:
        known.issue(name)
    typer.echo(f"{len(NAMES)} certificates made; `emdata restart` uses them")


def _authority() -> Authority:
    from emdata.clock import SystemClock
    from emdata.errors import SettingError
    from runtime.containers.authority import Authority
    from runtime.containers.identities import authority_folder
    from runtime.context import fail, load

    try:
        return Authority(authority_folder(load()), SystemClock().now())
    except SettingError as error:
        fail(error)
