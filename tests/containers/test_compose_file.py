"""docker-compose.yml: what every container promises, without an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from emdata.settings import REPOSITORY, load_settings
from emdata.settings.containers import PROFILES
from runtime.containers.preflight import published_ports
from runtime.context import Context
from runtime.install import read_jar_lock
from runtime.services import flink
from tests.containers.compose_platform import STANDINS
from tests.monitoring.expressions import OF_SERVERS

FILE = REPOSITORY / "docker-compose.yml"
ONE_SHOT = {"migrations"}
# Published images whose start scripts write beside their programs.
WRITES_BESIDE_ITSELF = {"kafka", "starrocks-fe", "starrocks-be", "kafka-ui", "grafana"}
# Their images have no program to ask with, or they are only looked at by people.
WITHOUT_HEALTH = {"kafka-ui", "alertmanager", "mosquitto", "grafana"}
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY", re.IGNORECASE)


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def host_ports() -> set[str]:
    """Variables of published ports."""
    lines = [line for service in services().values() for line in service.get("ports", [])]
    assert all(line.startswith("127.0.0.1:") for line in lines)
    return {re.findall(r"\$\{(\w+):-", line)[0] for line in lines}


@pytest.mark.parametrize("name", sorted(services()))
def test_a_service_is_bounded_restarted_and_asked_for_its_health(name: str) -> None:
    service = services()[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["restart"].startswith("on-failure" if name in ONE_SHOT else "unless-stopped")
    assert "no-new-privileges:true" in service["security_opt"]
    if name not in ONE_SHOT | WITHOUT_HEALTH:
        assert {"test", "interval", "timeout", "start_period"} <= set(service["healthcheck"])
    if name not in WRITES_BESIDE_ITSELF | {"alertmanager", "prometheus"}:
        assert service["read_only"] is True


@pytest.mark.parametrize("name", sorted(services()))
def test_a_service_gets_secrets_as_files_only(name: str) -> None:
    environment = services()[name].get("environment", {})
    for variable, value in environment.items():
        if SECRET.search(variable):
            assert str(value).startswith("/run/secrets/"), variable


@pytest.mark.parametrize("name", sorted(services()))
def test_an_image_has_a_version(name: str) -> None:
    image = services()[name]["image"]
    name_, _, version = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", image).partition(":")
    assert name_
    assert re.fullmatch(r"v?\d+\.\d+[\w.-]*", version), image


def test_named_volumes_and_secrets_are_declared_and_used() -> None:
    declared = compose()
    text = FILE.read_text(encoding="utf-8")
    for volume in declared["volumes"]:
        assert f"[{volume}:" in text or f"- {volume}:" in text, volume
    assert {name for one in services().values() for name in one.get("secrets", [])} == set(
        declared["secrets"]
    )


def test_preflight_knows_every_published_port() -> None:
    names = set()
    for warehouse in ("starrocks", "lite"):
        profiles = ",".join([warehouse, *(set(PROFILES) - {"starrocks", "lite"})])
        settings = load_settings({"COMPOSE_PROFILES": profiles}, env_file=None)
        names |= set(published_ports(settings, is_simulated=True))
    assert names == host_ports()


def test_flink_in_containers_is_set_as_the_embedded_one(context: Context) -> None:
    conf = yaml.safe_load((REPOSITORY / "deploy/flink/config.yaml").read_text(encoding="utf-8"))
    embedded = flink.config(context)
    of_the_place = re.compile(
        r"host|address|\.dir|\.dirs$|savepoint-dir|rpc\.port|^rest|blob|data\.port|prom\.port|scheduler"
    )
    for name in {*conf, *embedded}:
        if not of_the_place.search(name):
            assert str(conf[name]).lower() == str(embedded[name]).lower(), name


def test_containers_log_as_the_embedded_flink() -> None:
    text = (REPOSITORY / "deploy/flink/log4j-console.properties").read_text(encoding="utf-8")
    assert text == flink._LOG4J


def test_versions_of_published_images_stand_in_the_compose_file_only() -> None:
    published = {
        one["image"].partition(":")[0]
        for one in services().values()
        if not one["image"].startswith("emdata/")
    }
    others = [*REPOSITORY.glob("docker-compose.*.yml"), REPOSITORY / STANDINS]
    for file in others:
        text = file.read_text(encoding="utf-8")
        assert [image for image in published if f"image: {image}:" in text] == []


def test_the_brokers_agent_is_of_the_locked_jars() -> None:
    jars = read_jar_lock(REPOSITORY / "requirements" / "jars.lock")
    (agent,) = [jar for jar in jars if jar.folder == "agents"]
    assert compose()["configs"]["kafka_agent"]["file"].endswith(f"/jars/agents/{agent.filename}")


def test_the_brokers_agent_shows_only_what_is_asked_for() -> None:
    text = (REPOSITORY / "monitoring/kafka/agent.yml").read_text(encoding="utf-8")
    shown = re.findall(r"name=(\w+)", "\n".join(yaml.safe_load(text)["includeObjectNames"]))
    asked = {name for name in OF_SERVERS if name.startswith("kafka_")}
    assert len(shown) == len(asked)
    for name in shown:
        word = {"Size": "size_bytes", "TotalTimeMs": "request_milliseconds"}.get(name, name)
        assert any(word.lower().removesuffix("persec") in one for one in asked), name


def test_every_file_that_a_service_mounts_is_there() -> None:
    for config in compose()["configs"].values():
        if config["file"].startswith("./"):
            assert (REPOSITORY / config["file"]).is_file()
    for service in services().values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (REPOSITORY / source).exists(), source
    assert Path(REPOSITORY / "deploy/starrocks/be-start.sh").stat().st_mode & 0o100
