"""Dagster's configuration, held against Dagster's own schema."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

from emergency_pipeline import instance
from emergency_pipeline.site import Site


@pytest.fixture
def config(site: Site) -> dict[str, object]:
    return dict(yaml.safe_load(instance.render_dagster_yaml(site.settings, site.paths)))


def test_dagster_accepts_the_configuration(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(instance.POSTGRES_VARIABLE, "secret")
    (tmp_path / "dagster.yaml").write_text(
        instance.render_dagster_yaml(site.settings, site.paths), encoding="utf-8"
    )
    accepted, _ = dagster_instance_config(str(tmp_path))
    assert accepted["telemetry"] == {"enabled": False}
    assert accepted["concurrency"]["runs"]["max_concurrent_runs"] == 1


def test_the_password_comes_from_the_environment_only(site: Site) -> None:
    password = site.credentials().postgres_password
    texts = [
        instance.render_dagster_yaml(site.settings, site.paths),
        instance.render_workspace_yaml(site.settings),
        *instance.code_server_command(Path("python"), site.settings),
    ]
    assert not [text for text in texts if password in text]
    assert instance.environment(site.paths, password)[instance.POSTGRES_VARIABLE] == password


def test_storage_names_its_driver(config: dict[str, dict[str, dict[str, dict[str, str]]]]) -> None:
    database = config["storage"]["postgres"]["postgres_db"]
    assert database["scheme"] == "postgresql+psycopg2"
    assert database["db_name"] == "dagster"


def test_servers_listen_on_loopback_only(site: Site) -> None:
    workspace = Path("workspace.yaml")
    for command in (
        instance.code_server_command(Path("python"), site.settings),
        instance.webserver_command(Path("python"), site.settings, workspace),
    ):
        assert command[command.index("--host") + 1] == "127.0.0.1"
    server = yaml.safe_load(instance.render_workspace_yaml(site.settings))
    assert server["load_from"][0]["grpc_server"]["host"] == "127.0.0.1"


def test_everything_dagster_writes_lies_in_the_data_directory(
    site: Site, config: dict[str, dict[str, dict[str, str]]]
) -> None:
    for part in ("compute_logs", "local_artifact_storage"):
        assert Path(config[part]["config"]["base_dir"]).is_relative_to(site.paths.dagster)
