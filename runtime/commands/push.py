"""`emdata push`: who may push records, each with a key of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from emdata.push_keys import PushKeys

app = typer.Typer(help="Senders that push records, and their keys.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the sender, such as county-sensors.")]


@app.command("ls")
def list_senders() -> None:
    """List the senders; keys are not shown, only their hashes are kept."""
    for key in _keys().all():
        datasets = ", ".join(key.datasets) or "all datasets"
        changed = f"rotated {key.rotated_at}" if key.rotated_at else "never rotated"
        print(f"{key.name}\t{key.kind}\t{key.tenant}\t{datasets}\tmade {key.made_at}\t{changed}")


@app.command("add")
def add(
    name: Name,
    dataset: Annotated[
        list[str] | None, typer.Option(help="A dataset it may push; repeat; default: all.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="The tenant whose quota it uses.")] = "public",
    mqtt: Annotated[
        bool, typer.Option("--mqtt", help="Our own credential at the MQTT broker.")
    ] = False,
) -> None:
    """Register a sender and print its key, once."""
    from emdata.contracts import contract
    from emdata.errors import ContractError

    try:
        datasets = tuple(contract(one).dataset.name for one in dataset or ())
    except ContractError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    kind: Literal["mqtt", "http"] = "mqtt" if mqtt else "http"
    _note("push.add", name, datasets=datasets, tenant=tenant)
    secret = _keys().add(name, kind, datasets=datasets, tenant=tenant)
    _show(name, secret, is_mqtt=mqtt)


@app.command("rotate")
def rotate(name: Name) -> None:
    """Give a sender a new key; the old one ends at once."""
    keys = _keys()
    _note("push.rotate", name)
    secret = keys.rotate(name)
    _show(name, secret, is_mqtt=any(k.name == name and k.kind == "mqtt" for k in keys.all()))


@app.command("rm")
def remove(name: Name) -> None:
    """End a sender's key."""
    _note("push.remove", name)
    _keys().remove(name)
    print(f"removed {name}")


def _show(name: str, secret: str, *, is_mqtt: bool) -> None:
    from emdata.push_keys import mosquitto_line

    if is_mqtt:
        print(f"user {name}, password {secret}")
        print(f"for Mosquitto's password_file: {mosquitto_line(name, secret)}")
    else:
        print(secret)
        print(f"send it as: Authorization: Bearer {secret}", "(it is not shown again)")


def _note(act: str, name: str, **details: object) -> None:
    from runtime.audited import note_act
    from runtime.context import load

    note_act(load(), act, f"push sender:{name}", **details)


def _keys() -> PushKeys:
    from emdata.clock import SystemClock
    from emdata.push_keys import PushKeys
    from runtime.context import load

    return PushKeys(load().push_keys_file, SystemClock())
