"""Builds the images of ours when the code or the locks changed since they were built."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from emdata.errors import ServiceError
from emdata.settings import REPOSITORY
from runtime.containers.engine import Compose

LABEL = "org.emdata.inputs"
# In order: each is built on the one before it.
BUILT = ("migrations", "flink-jobmanager", "flink-deploy")
_TIMEOUT_S = 60.0


def ensure_images(compose: Compose, say: Callable[[str], None]) -> None:
    """Build all images unless they are of this code; raises ServiceError when a build fails."""
    digest = inputs_digest(REPOSITORY)
    images = compose.built_images(BUILT)
    if all(_label(image) == digest for image in images):
        return
    compose.set_variable("EMDATA_INPUTS", digest)
    for service in BUILT:
        say(f"building the image of {service}; the first time takes some minutes")
        if compose.run("build", service) != 0:
            raise ServiceError(f"containers: the image of {service} could not be built; see above")


def inputs_digest(repository: Path) -> str:
    """A hash over everything that the builds read, as `.dockerignore` names it."""
    digest = hashlib.sha256()
    for file in _inputs(repository):
        digest.update(str(file.relative_to(repository)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _inputs(repository: Path) -> Iterable[Path]:
    lines = (repository / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in sorted(line for line in lines if line.startswith("!")):
        root = repository / line.removeprefix("!")
        files = [root] if root.is_file() else sorted(root.rglob("*"))
        for file in files:
            parts = file.relative_to(repository).parts
            if file.is_file() and not {"__pycache__", "generated", "target", "logs"} & set(parts):
                yield file


def _label(image: str) -> str:
    form = '{{index .Config.Labels "' + LABEL + '"}}'
    done = subprocess.run(
        ["docker", "image", "inspect", "--format", form, image],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""
