"""Dagster: code server, web server and daemon, with their storage in PostgreSQL."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from emergency_pipeline import instance
from runtime.context import Context
from runtime.services.base import LOOPBACK, NotReady, Service, require_port
from runtime.services.rest import get, post_json

_PING = "/api.DagsterApi/Ping"
_LOCATIONS = """{ workspaceOrError { __typename ... on PythonError { message }
  ... on Workspace { locationEntries { name loadStatus
    locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


def services(context: Context) -> list[Service]:
    """The three processes of Dagster."""
    settings, home = context.settings, context.paths.dagster
    python, workspace = Path(sys.executable), home / "workspace.yaml"
    environment = dict(instance.environment(context.paths, context.credentials.postgres_password))
    code = Service(
        name="dagster-code",
        title="Dagster code server",
        command=tuple(instance.code_server_command(python, settings)),
        prepare=lambda: _prepare(context),
        probe=lambda: probe_code(context),
        needs=("models", "databases"),
        ports={"EMDATA_DAGSTER_CODE_PORT": settings.dagster_code_port},
        environment=environment,
        stop_stage=4,
        stop_within=5,
    )
    web = Service(
        name="dagster-web",
        title="Dagster web UI",
        command=tuple(instance.webserver_command(python, settings, workspace)),
        prepare=lambda: _prepare(context),
        probe=lambda: probe_web(context),
        needs=("databases", "dagster-code"),
        ports={"EMDATA_DAGSTER_PORT": settings.dagster_port},
        environment=environment,
        stop_stage=4,
        stop_within=5,
        url=f"http://{LOOPBACK}:{settings.dagster_port}",
    )
    daemon = Service(
        name="dagster-daemon",
        title="Dagster daemon",
        command=tuple(instance.daemon_command(python, workspace)),
        prepare=lambda: _prepare(context),
        probe=lambda: probe_daemon(context),
        needs=("databases", "dagster-code"),
        environment=environment,
        stop_stage=4,
        stop_within=6,  # its own clean stop takes 12 s and has nothing to save
    )
    return [code, web, daemon]


def probe_code(context: Context) -> str:
    """Ping the code server over gRPC."""
    import grpc  # type: ignore[import-untyped]

    port = context.settings.dagster_code_port
    require_port(port)
    with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        ping = channel.unary_unary(_PING)
        try:
            ping(b"\x0a\x02up", timeout=5.0)  # PingRequest(echo="up")
        except grpc.RpcError as error:
            raise NotReady(f"gRPC ping: {error.code().name}") from error
    return ""


def probe_web(context: Context) -> str:
    """Ready when the web server answers and has loaded our definitions."""
    port = context.settings.dagster_port
    get(port, "/server_info")
    workspace = graphql(context, _LOCATIONS)["workspaceOrError"]
    if workspace["__typename"] != "Workspace":
        raise NotReady(f"workspace: {workspace.get('message', workspace['__typename'])}"[:500])
    for entry in workspace["locationEntries"]:
        location = entry["locationOrLoadError"] or {}
        if location.get("__typename") == "PythonError":
            raise NotReady(f"definitions do not load: {location['message']}"[:500])
        if entry["loadStatus"] != "LOADED":
            raise NotReady(f"definitions: {entry['loadStatus'].lower()}")
    return ""


def probe_daemon(context: Context, host: str = LOOPBACK) -> str:
    """Ready when every required daemon has a heartbeat, as the web server on ``host`` says."""
    health = graphql(context, _DAEMONS, host)["instance"]["daemonHealth"]["allDaemonStatuses"]
    sick = [item["daemonType"] for item in health if item["required"] and not item["healthy"]]
    if sick or not health:
        raise NotReady(f"no heartbeat: {', '.join(sick).lower() or 'none yet'}")
    return ""


def graphql(context: Context, query: str, host: str = LOOPBACK) -> Any:
    """Ask Dagster's GraphQL; raises NotReady."""
    port = context.settings.dagster_port
    answer = post_json(port, "/graphql", {"query": query}, host=host)
    if answer.get("errors"):
        raise NotReady(f"GraphQL: {answer['errors'][0].get('message')}")
    return answer["data"]


def _prepare(context: Context) -> None:
    """Write dagster.yaml and workspace.yaml."""
    home = context.paths.dagster
    home.mkdir(parents=True, exist_ok=True)
    texts = {
        "dagster.yaml": instance.render_dagster_yaml(context.settings, context.paths),
        "workspace.yaml": instance.render_workspace_yaml(context.settings),
    }
    for name, text in texts.items():
        file = home / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            scratch = home / f".{name}.new"
            scratch.write_text(text, encoding="utf-8")
            scratch.replace(file)
