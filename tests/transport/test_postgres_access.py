"""How clients of PostgreSQL are told whom to trust: the same words on every way to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster_postgres.utils import pg_url_from_config
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from emdata.credentials import ensure_credentials
from emdata.paths import Paths
from emdata.settings import Settings, load_settings
from emdata.state.database import dsn_of
from emergency_pipeline.instance import render_dagster_yaml
from runtime.context import Context
from runtime.services.postgres import dsn

WANTED = {"sslmode": "verify-full", "sslrootcert": "/run/secrets/tls_ca"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {
        "EMDATA_HOME": str(tmp_path),
        "SOURCES": "simulator",
        "PGSSLMODE": WANTED["sslmode"],
        "PGSSLROOTCERT": WANTED["sslrootcert"],
    }
    return load_settings(environ, env_file=None)


def test_the_state_is_reached_as_the_settings_say(settings: Settings) -> None:
    assert dict(make_url(dsn_of(settings, "secret")).query) == WANTED
    plain = load_settings({}, env_file=None)
    assert dict(make_url(dsn_of(plain, "secret")).query) == {}


def test_libpqs_own_text_says_the_same(settings: Settings) -> None:
    context = Context(settings, Paths(settings, "simulator"), ensure_credentials(settings))
    told = conninfo_to_dict(dsn(context))
    assert {name: told[name] for name in WANTED} == WANTED


def test_dagsters_storage_says_the_same(settings: Settings) -> None:
    import yaml

    text = render_dagster_yaml(settings, Paths(settings, "simulator"))
    database = yaml.safe_load(text)["storage"]["postgres"]["postgres_db"]
    url = pg_url_from_config({"postgres_db": {**database, "password": "secret"}})
    assert dict(make_url(url).query) == WANTED
