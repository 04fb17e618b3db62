"""The user's own pip configuration, in the words of the other installers.

pip reads ``PIP_*`` variables and its configuration files; uv and requests read other names. A user
who told pip about a mirror, a proxy's certificate or a folder of wheels should not have to say it
again, and this repository names no host.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from pathlib import Path

# Would make an installer write elsewhere than into the environment it is told.
_REDIRECTS = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
)


def clean_environ(environ: Mapping[str, str], cache: Path) -> dict[str, str]:
    """The environment for installers: without redirections, caches in ``cache`` unless set."""
    clean = {name: value for name, value in environ.items() if name not in _REDIRECTS}
    clean.setdefault("UV_CACHE_DIR", str(cache / "uv"))
    clean.setdefault("PIP_CACHE_DIR", str(cache / "pip"))
    clean["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    clean["UV_PYTHON_DOWNLOADS"] = "never"
    clean["PYTHONDONTWRITEBYTECODE"] = "1"
    return clean


def read_pip_config(listing: str) -> dict[str, str]:
    """Settings from ``pip config list``, such as ``{"cert": "/etc/ca.pem"}``.

    Its lines are ``section.name='value'``; ``:env:`` wins over ``install``, that over ``global``.
    """
    ranks = {"global": 0, "install": 1, ":env:": 2}
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        place, equals, quoted = line.partition("=")
        section, _dot, name = place.strip().rpartition(".")
        if not equals or section not in ranks:
            continue
        try:
            value = str(ast.literal_eval(quoted.strip()))
        except (SyntaxError, ValueError):
            continue
        if name not in found or ranks[section] >= found[name][0]:
            found[name] = (ranks[section], value)
    return {name: value for name, (_rank, value) in found.items()}


def for_uv(environ: Mapping[str, str], pip_config_listing: str) -> dict[str, str]:
    """``environ`` with pip's settings in uv's and requests' names; those already set stay."""
    pip = read_pip_config(pip_config_listing)
    result = dict(environ)

    def offer(name: str, value: str | None) -> None:
        if value:
            result.setdefault(name, value)

    offer("UV_DEFAULT_INDEX", pip.get("index-url"))
    offer("UV_INDEX", pip.get("extra-index-url"))
    if "extra-index-url" in pip:
        # pip takes the best version over all indexes; the locks' hashes make that safe.
        offer("UV_INDEX_STRATEGY", "unsafe-best-match")
    offer("UV_FIND_LINKS", _existing_links(pip.get("find-links", "")))
    offer(
        "UV_NO_INDEX",
        "1" if pip.get("no-index", "").lower() in {"1", "true", "yes", "on"} else None,
    )
    offer("UV_HTTP_TIMEOUT", pip.get("timeout") or pip.get("default-timeout"))
    offer("UV_INSECURE_HOST", pip.get("trusted-host"))
    offer("ALL_PROXY", pip.get("proxy"))
    offer("SSL_CERT_FILE", pip.get("cert"))
    if "CURL_CA_BUNDLE" not in result:
        offer("REQUESTS_CA_BUNDLE", result.get("SSL_CERT_FILE"))
    return result


def _existing_links(links: str) -> str:
    """pip passes over a folder of wheels that does not exist; uv stops."""
    kept = [link for link in links.split() if "://" in link or Path(link).expanduser().is_dir()]
    return ",".join(kept)


def read_dotenv(path: Path) -> dict[str, str]:
    """``EMDATA_HOME`` and ``EMDATA_TOOLS`` from a dotenv file; empty when there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    values: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() in {"EMDATA_HOME", "EMDATA_TOOLS"}:
            values[name.strip()] = os.path.expandvars(value.strip().strip("'\""))
    return values
