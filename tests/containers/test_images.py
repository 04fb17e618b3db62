"""The images of ours: small enough to say how large, without root, without secrets."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.containers.images import BUILT, ensure_images
from tests.containers.compose_platform import ComposePlatform

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.timeout(2400)]
SUSPECT = re.compile(r"password=|token=|secret=|-----BEGIN [A-Z ]*PRIVATE KEY-----", re.IGNORECASE)
# Sockets and keys of the base distribution are nobody's secret; ours lie below these.
OURS = ("/opt/emdata/app", "/opt/flink", "/var/lib/emdata")


@pytest.fixture(scope="module")
def images(engine: None) -> Iterator[list[str]]:
    """Names of the images, built of this code."""
    with tempfile.TemporaryDirectory(prefix="emdata-images-") as home:
        platform = ComposePlatform(Path(home))
        for name, value in platform.environment.items():
            platform.compose.set_variable(name, value)
        ensure_images(platform.compose, print)
        yield platform.compose.built_images(BUILT)


def inspect(image: str) -> dict[str, Any]:
    text = docker("image", "inspect", image)
    found: dict[str, Any] = json.loads(text)[0]
    return found


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_every_image_is_labelled_and_runs_without_root(images: list[str]) -> None:
    for image in images:
        found = inspect(image)
        print(f"{image}: {found['Size'] / 1e6:.0f} MB")
        assert found["Config"]["User"] == "10001:10001"
        labels = found["Config"]["Labels"]
        assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
        assert labels["org.opencontainers.image.version"]


def test_no_layer_and_no_variable_holds_a_secret(images: list[str]) -> None:
    for image in images:
        assert not SUSPECT.search(
            docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
        )
        for variable in inspect(image)["Config"]["Env"]:
            assert not re.search(r"PASSWORD|TOKEN|SECRET|_KEY", variable), variable


def test_no_file_of_ours_in_an_image_is_a_secret(images: list[str]) -> None:
    for image in images:
        names = " -o ".join(f"-name '{name}'" for name in (".env", "credentials", "*.pem", "*.key"))
        places = " ".join(OURS)
        shell = (
            f"find {places} -type f \\( {names} \\) 2>/dev/null; "
            f"grep -rlE -- '-----BEGIN [A-Z ]*PRIVATE KEY-----$' {places} 2>/dev/null; true"
        )
        found = docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", shell)
        assert found == "", image


def test_nobody_may_write_what_an_image_runs(images: list[str]) -> None:
    for image in images:
        shell = "find /opt/emdata /opt/flink -writable ! -type l 2>/dev/null | head -3"
        found = docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", shell)
        assert found == "", image
