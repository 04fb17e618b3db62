"""The open API with a certificate of the local authority: TLS 1.3 and nothing else."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
import uvicorn
from cryptography.hazmat.primitives.serialization import Encoding

from api.server import encryption
from api.serving.protocol import GuardedProtocol
from emdata.errors import SettingError
from emdata.settings import load_settings
from runtime.containers.authority import Authority
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration


async def answer(scope: dict[str, object], receive: object, send: object) -> None:
    assert scope["type"] == "http"
    assert callable(send)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(scope["scheme"]).encode()})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority = Authority(tmp_path / "ca", datetime.now(UTC))
    identity = authority.identity_of("api")
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "api.crt").write_text(identity.certificate_pem)
    (tmp_path / "api.key").write_text(identity.key_pem)
    return tmp_path


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    (found,) = free_ports(1)
    settings = load_settings(
        {
            "EMDATA_API_CERTIFICATE_FILE": str(folder / "api.crt"),
            "EMDATA_API_KEY_FILE": str(folder / "api.key"),
        },
        env_file=None,
    )
    config = uvicorn.Config(
        answer, port=found, log_config=None, lifespan="off", http=GuardedProtocol,
        **encryption(settings),
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    wait_for(lambda: server.started, 10, "the server")
    yield found
    server.should_exit = True
    thread.join(10)


def test_it_answers_who_trusts_the_authority_and_refuses_older_protocols(
    folder: Path, port: int
) -> None:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    with httpx2.Client(verify=context, trust_env=False) as client:
        assert client.get(f"https://localhost:{port}/").text == "https"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", port), 10) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_who_does_not_know_the_authority_does_not_trust_it(port: int) -> None:
    with httpx2.Client(trust_env=False) as client, pytest.raises(httpx2.ConnectError):
        client.get(f"https://localhost:{port}/")


def test_without_a_certificate_it_speaks_plain_http() -> None:
    assert encryption(load_settings({}, env_file=None)) == {}


def test_a_certificate_without_its_key_is_refused() -> None:
    settings = load_settings({"EMDATA_API_CERTIFICATE_FILE": "/a.crt"}, env_file=None)
    with pytest.raises(SettingError, match="EMDATA_API_KEY_FILE"):
        encryption(settings)
