"""``emdata api``: the open API, its first key, and keys from where the platform runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from emdata.state.audit_chain import Tail
    from emdata.state.changes import Change
    from runtime.context import Context

app = typer.Typer(name="api", help="The open API.", no_args_is_help=True)
keys = typer.Typer(help="Keys of the open API.", no_args_is_help=True)
app.add_typer(keys, name="keys")
Organization = Annotated[str, typer.Argument(help="Id of an organization, such as county-lab.")]


@app.callback()
def main() -> None:
    """Keep ``serve`` a command of its own."""


@app.command()
def serve() -> None:
    """Serve the open API until stopped."""
    from api.server import serve as run
    from runtime import context

    run(context.load_context().settings)


@app.command("admin-key")
def admin_key(
    days: Annotated[int, typer.Option(min=1, max=3650, help="Its life.")] = 90,
) -> None:
    """Make a key that may do everything, of the organization `operator`; it is shown once.

    The first one comes from here; with it, others are made at POST /organizations and /keys.
    """
    from emdata.state.access import read_organization
    from emdata.state.api_keys import NewKey, make_key
    from emdata.state.organizations import NewOrganization, add_organization

    context, engine, change = _opened()
    if read_organization(engine, "operator") is None:
        new = NewOrganization("operator", "Who runs this platform", "government")
        add_organization(engine, new, change)
    scopes = frozenset({"read", "write", "keys", "admin"})
    expires = change.now + timedelta(days=days)
    made = make_key(engine, NewKey("operator", "made with emdata api admin-key", scopes, expires),
                    change)  # fmt: skip
    _anchor(context, made.tail)
    print(made.token)
    print("It is not shown again. Send it as: Authorization: Bearer ...")


@keys.command("ls")
def list_keys(organization: Organization) -> None:
    """List an organization's keys; secrets are not kept."""
    from emdata.state.api_keys import keys_of

    _, engine, change = _opened()
    for key in keys_of(engine, organization):
        is_over = key.revoked_at is not None or key.expires_at <= change.now
        print(
            f"{key.prefix}\t{'over' if is_over else 'in force'}\t{','.join(sorted(key.scopes))}\t"
            f"until {key.expires_at:%Y-%m-%d}\tlast used {key.last_used_on or 'never'}\t{key.label}"
        )


@keys.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="The part between `emdata_` and the next `_`.")],
) -> None:
    """End a key, whosever it is; every process refuses it within seconds."""
    from emdata.errors import SettingError
    from emdata.state.api_keys import revoke_key

    context, engine, change = _opened()
    try:
        tail = revoke_key(engine, key, None, change)
    except LookupError:
        raise SettingError(
            "key", value=key, allowed="one of `emdata api keys ls`", searched=["argument"]
        ) from None
    _anchor(context, tail)
    print(f"revoked {key}")


def _opened() -> tuple[Context, Engine, Change]:
    import getpass

    from emdata.clock import SystemClock
    from emdata.state.changes import Change
    from emdata.state.database import connect
    from runtime.context import load_context
    from runtime.tasks import state_dsn

    context = load_context()
    actor = f"command line/{getpass.getuser()}"
    change = Change(actor, SystemClock().now(), context.credentials.audit_key.encode())
    return context, connect(state_dsn(context)), change


def _anchor(context: Context, tail: Tail) -> None:
    import os

    from emdata.audit_anchors import Anchors
    from emdata.clock import SystemClock

    anchors = Anchors.of(context.paths)
    anchors.put(tail, at=SystemClock().now(), process=f"command-{os.getpid()}")
