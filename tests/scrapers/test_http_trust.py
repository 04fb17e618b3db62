"""Faults 34 and 35: whom the client believes, and where it lets itself be sent."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx2
import pytest

from emdata.clock import SystemClock
from emdata.errors import SettingError, SourceRefused, SourceUnavailable, UnsafeAddress
from emdata.settings import load_settings
from scrapers.addresses import is_public
from scrapers.http import HttpClient, trusting_the_system, user_agent
from tests.scrapers.raw_server import Exchange, client, raw_server
from tests.support.certificate import make_certificate


def _certificate(
    folder: Path, *, host: str = "localhost", address: str | None = "127.0.0.1", days: int = 1
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own, and a client's that trusts it."""
    certificate, key = make_certificate(folder, host=host, address=address, days=days)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    return server, trusting


async def _well(exchange: Exchange) -> None:
    await exchange.answer(200, b"well")


async def test_a_trusted_certificate_of_the_right_host_is_accepted(tmp_path: Path) -> None:
    server_tls, trusting = _certificate(tmp_path)
    async with raw_server(_well, server_tls) as server, client(server.port, tls=trusting) as http:
        assert (await http.get(f"https://127.0.0.1:{server.port}/")).body == b"well"


async def test_fault_34_a_self_signed_certificate_is_refused(tmp_path: Path) -> None:
    server_tls, _ = _certificate(tmp_path)
    async with raw_server(_well, server_tls) as server:
        http = HttpClient(
            user_agent="t", clock=SystemClock(), allowed=[("127.0.0.1", server.port)], attempts=1
        )
        async with http:
            with pytest.raises(SourceUnavailable, match=r"TLS refused.*self-signed"):
                await http.get(f"https://127.0.0.1:{server.port}/")
        assert not server.seen, "no request may go over a connection that is not trusted"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"host": "example.org", "address": None}, "not valid for"),
        ({"days": -1}, "expired"),
    ],
)
async def test_fault_34_a_wrong_or_expired_certificate_is_refused(
    tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    server_tls, trusting = _certificate(tmp_path, **options)  # type: ignore[arg-type]
    async with raw_server(_well, server_tls) as server:
        async with client(server.port, tls=trusting) as http:
            with pytest.raises(SourceUnavailable, match=f"TLS refused.*{reason}"):
                await http.get(f"https://127.0.0.1:{server.port}/")
        assert not server.seen


def test_fault_34_old_protocols_are_off() -> None:
    assert trusting_the_system().minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_fault_35_a_redirect_loop_ends_after_five_hops() -> None:
    async def loop(exchange: Exchange) -> None:
        await exchange.answer(302, headers=(("Location", "/again"),))

    async with raw_server(loop) as server, client(server.port) as http:
        with pytest.raises(SourceRefused, match="more than 5 redirects"):
            await http.get(server.base)
        assert len(server.seen) == 6


async def test_fault_35_a_redirect_from_https_to_http_is_refused(tmp_path: Path) -> None:
    server_tls, trusting = _certificate(tmp_path)
    async with raw_server(_well) as plain:

        async def downgrade(exchange: Exchange) -> None:
            await exchange.answer(301, headers=(("Location", plain.base),))

        async with (
            raw_server(downgrade, server_tls) as server,
            client(server.port, plain.port, tls=trusting) as http,
        ):
            with pytest.raises(UnsafeAddress, match="from https to http"):
                await http.get(f"https://127.0.0.1:{server.port}/")
        assert not plain.seen


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/",
        "http://[::1]:1/",
        "http://[::ffff:169.254.169.254]/latest",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://localhost:1/",
        "http://0.0.0.0:1/",
    ],
)
async def test_fault_35_a_redirect_to_a_private_address_is_refused(location: str) -> None:
    async def inward(exchange: Exchange) -> None:
        await exchange.answer(302, headers=(("Location", location),))

    async with raw_server(inward) as server, client(server.port) as http:
        with pytest.raises(UnsafeAddress, match="public address"):
            await http.get(server.base)


async def test_the_simulator_may_have_a_name_as_in_a_container() -> None:
    async with raw_server(_well) as server:
        port = str(server.port)
        environ = {"EMDATA_SIMULATOR_HOST": "localhost", "EMDATA_SIMULATOR_PORT": port}
        settings = load_settings(environ, env_file=None)
        async with HttpClient.from_settings(settings, "simulator", SystemClock()) as http:
            assert (await http.get("https://api.example.org/x")).body == b"well"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://example.org/", "ftp://x/"])
async def test_fault_35_a_redirect_to_another_scheme_is_refused(location: str) -> None:
    async def sideways(exchange: Exchange) -> None:
        await exchange.answer(302, headers=(("Location", location),))

    async with raw_server(sideways) as server, client(server.port) as http:
        with pytest.raises(UnsafeAddress, match="not to http or https"):
            await http.get(server.base)


async def test_fault_35_secrets_do_not_follow_to_another_host() -> None:
    async with raw_server(_well) as second:

        async def away(exchange: Exchange) -> None:
            await exchange.answer(302, headers=(("Location", f"http://localhost:{second.port}/"),))

        async with raw_server(away) as first, client(first.port, second.port) as http:
            answer = await http.get(
                first.base,
                headers={"Authorization": "Bearer s", "token": "s", "Accept": "text/csv"},
            )
        assert answer.body == b"well"
        assert first.seen[0].headers["authorization"] == "Bearer s"
        sent = second.seen[0].headers
        assert "authorization" not in sent
        assert "token" not in sent
        assert sent["accept"] == "text/csv"


async def test_fault_35_a_redirect_within_the_host_keeps_the_query_and_headers() -> None:
    async def move(exchange: Exchange) -> None:
        if exchange.target.startswith("/old"):
            await exchange.answer(301, headers=(("Location", "/new?a=1"),))
        else:
            await exchange.answer(200, exchange.target.encode())

    async with raw_server(move) as server, client(server.port) as http:
        answer = await http.get(f"{server.base}/old", headers={"token": "s"})
        assert answer.body == b"/new?a=1"
        assert answer.url.endswith("/new?a=1")
        assert server.seen[1].headers["token"] == "s"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("2002:7f00:1::", False),
    ],
)
def test_fault_36_only_public_addresses_are_public(address: str, expected: bool) -> None:
    assert is_public(address) is expected


async def test_the_simulator_gets_every_host_under_its_own_path() -> None:
    async def echo(exchange: Exchange) -> None:
        if exchange.target.endswith("/old"):
            await exchange.answer(302, headers=(("Location", "/new"),))
        else:
            await exchange.answer(200, exchange.target.encode())

    async with raw_server(echo) as server, client(simulator_base=server.base) as http:
        answer = await http.get("https://example.org/a b/c", params={"$filter": "x eq 'ü'"})
        moved = await http.get("https://example.org/old")
    path, _, query = answer.body.decode().partition("?")
    assert path == "/example.org/a%20b/c"
    assert httpx2.QueryParams(query)["$filter"] == "x eq 'ü'"
    assert answer.url.startswith("https://example.org/"), "nobody but the client knows of it"
    assert moved.body == b"/example.org/new"


async def test_the_user_agent_names_a_contact_and_carries_no_control_characters() -> None:
    async with raw_server(_well) as server, client(server.port) as http:
        await http.get(server.base)
        assert "tests@example.org" in server.seen[0].headers["user-agent"]
    assert "\r" not in user_agent("a@b.c\r\nX-Evil: 1")


def test_live_sources_need_a_contact() -> None:
    settings = load_settings({}, env_file=None)
    with pytest.raises(SettingError, match="EMDATA_CONTACT"):
        HttpClient.from_settings(settings, "live", SystemClock())
    assert HttpClient.from_settings(settings, "simulator", SystemClock()).rests_for("x") == 0.0
