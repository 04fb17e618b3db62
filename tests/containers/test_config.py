"""`docker compose config` on every combination of profiles and overlays."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from emdata.settings import REPOSITORY, load_settings
from emdata.settings.containers import PROFILES
from runtime.containers.engine import HA, Compose
from runtime.containers.secrets import write_secrets
from tests.containers.compose_platform import STANDINS

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("engine")]

OPTIONAL = tuple(name for name in PROFILES if name not in ("starrocks", "lite"))
OVERLAYS = [*sorted(file.name for file in REPOSITORY.glob("docker-compose.*.yml")), STANDINS]
COMBINATIONS = [
    (warehouse, *extra)
    for warehouse in ("starrocks", "lite")
    for count in range(len(OPTIONAL) + 1)
    for extra in itertools.combinations(OPTIONAL, count)
]


def config(
    home: Path, profiles: tuple[str, ...], *files: str, tls: bool = False
) -> tuple[dict[str, Any], str]:
    """The filled-in configuration, and what Compose warned of."""
    environ = {
        "EMDATA_TLS": str(tls),
        "EMDATA_HOME": str(home),
        "COMPOSE_PROFILES": ",".join(profiles),
        "EMDATA_COMPOSE_FILES": ",".join(files),
    }
    settings = load_settings(environ, env_file=None)
    compose = Compose(settings, "simulator", write_secrets(settings))
    done = subprocess.run(
        compose.command("config", "--format", "json"),
        env=compose.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found, done.stderr


@pytest.mark.parametrize("profiles", COMBINATIONS, ids="+".join)
def test_a_combination_of_profiles_is_clean(tmp_path: Path, profiles: tuple[str, ...]) -> None:
    found, warnings = config(tmp_path, profiles)
    assert warnings == ""
    services = found["services"]
    assert ("starrocks-be" in services) == ("starrocks" in profiles)
    assert ("starrocks-lite" in services) == ("lite" in profiles)
    assert ("prometheus" in services) == ("monitoring" in profiles)
    published = [
        (port["host_ip"], port["published"])
        for service in services.values()
        for port in service.get("ports", [])
    ]
    assert {host for host, _ in published} == {"127.0.0.1"}
    assert len(set(published)) == len(published)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("warehouse", ["starrocks", "lite"])
def test_an_overlay_is_clean(tmp_path: Path, overlay: str, warehouse: str) -> None:
    _, warnings = config(tmp_path, (warehouse, *OPTIONAL), overlay)
    assert warnings == ""


@pytest.mark.parametrize("files", [(), (HA,)], ids=["one", "three"])
@pytest.mark.parametrize("warehouse", ["starrocks", "lite"])
def test_the_switch_for_tls_is_clean(
    tmp_path: Path, warehouse: str, files: tuple[str, ...]
) -> None:
    found, warnings = config(tmp_path, (warehouse, *OPTIONAL), *files, tls=True)
    assert warnings == ""
    brokers = [
        one for name, one in found["services"].items() if re.fullmatch("kafka(-[23])?", name)
    ]
    assert len(brokers) == (3 if files else 1)
    for broker in brokers:
        assert "PEER:SSL" in broker["environment"]["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]
        assert {"tls_ca", "tls_kafka"} <= {one["source"] for one in broker["secrets"]}
    published = found["services"]["starrocks-fe"] if warehouse == "starrocks" else None
    if published is not None:
        targets = [one["target"] for one in published["volumes"]]
        assert targets.count("/opt/starrocks/fe/conf/fe.conf") == 1
