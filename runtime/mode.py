"""Decides once, at the first start, whether a platform reads live sources or the simulator."""

from __future__ import annotations

import http.client
import ssl
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emdata.errors import SettingError
from emdata.files import replace_file
from emdata.paths import Mode, read_mode
from emdata.settings import Settings

SOURCE_HOSTS = (
    "www.fema.gov",
    "api.weather.gov",
    "coagmet.colostate.edu",
    "usdmdataservices.unl.edu",
)
_DEADLINE_S = 3.0

Say = Callable[[str], None]
Reachable = Callable[[Sequence[str]], list[str]]


def reachable_hosts(hosts: Sequence[str] = SOURCE_HOSTS) -> list[str]:
    """Hosts that answer HTTPS within three seconds; any status counts."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        answers = list(pool.map(_answers, hosts))
    return [host for host, answered in zip(hosts, answers, strict=True) if answered]


def decide(settings: Settings, say: Say, reachable: Reachable = reachable_hosts) -> Mode:
    """The mode of this start: an explicit setting, an earlier decision, or a decision now.

    What is decided or stated is kept in ``<home>/sources``. Raises SettingError for live sources
    without a contact.
    """
    mode = read_mode(settings)
    if mode is None:
        mode = _choose(settings, say, reachable)
    if mode == "live" and not settings.contact:
        raise SettingError(
            "EMDATA_CONTACT",
            value="",
            allowed="an e-mail address or URL, which live sources ask for",
            fix="set it in .env, or set SOURCES=simulator",
        )
    remember(settings.home, mode)
    return mode


def remember(home: Path, mode: Mode) -> None:
    """Write the mode to ``<home>/sources`` in one step."""
    file = home / "sources"
    if file.exists() and file.read_text(encoding="utf-8").strip() == mode:
        return
    replace_file(file, f"{mode}\n")


def ask_contact(settings: Settings) -> Settings:
    """Ask for the contact on a terminal when live sources were chosen without one."""
    if settings.sources != "live" or settings.contact or not sys.stdin.isatty():
        return settings
    print("Live sources ask for a contact in the User-Agent (an e-mail address or a URL).")
    contact = input("Contact: ").strip()
    return settings.model_copy(update={"contact": contact}) if contact else settings


def _choose(settings: Settings, say: Say, reachable: Reachable) -> Mode:
    if not settings.contact:
        say("sources: SIMULATED data, because EMDATA_CONTACT is not set (live sources need it)")
        return "simulator"
    found = reachable(SOURCE_HOSTS)
    if not found:
        say(f"sources: SIMULATED data, because none of {', '.join(SOURCE_HOSTS)} answers")
        return "simulator"
    say(f"sources: live ({len(found)} of {len(SOURCE_HOSTS)} hosts answer)")
    return "live"


def _answers(host: str) -> bool:
    connection = http.client.HTTPSConnection(
        host, timeout=_DEADLINE_S, context=ssl.create_default_context()
    )
    try:
        connection.request("HEAD", "/", headers={"User-Agent": "emdata-preflight"})
        connection.getresponse().read(0)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
