"""The front page as a person sees it: in Chromium, over real servers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from emdata.contracts.nws import Alert, AlertZone
from emdata.settings import REPOSITORY
from tests.api.world import World, running_world
from tests.support.programs import find_program

pytestmark = [
    pytest.mark.integration,
    pytest.mark.system("chromium"),
    pytest.mark.timeout(600),
]
EVENT = "Flood <b>Watch</b>"
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world(only="postgres,kafka,starrocks,api") as made:
        now = datetime.now(UTC)
        said = {
            "alert_id": "a-1", "event_key": "e-1", "event": EVENT, "severity": "Severe",
            "status": "Actual", "message_type": "Alert", "sent_at": now - timedelta(hours=1),
            "expires_at": now + timedelta(hours=5), "hazard_ends_at": now + timedelta(hours=5),
        }  # fmt: skip
        made.land(Alert(**said, headline="Water rises", instruction="Move to higher ground."))
        made.land(AlertZone(**said, zone_code="COC013", code_type="ugc", state="CO"))
        made.platform.emdata("dbt", "prepare", timeout=400)
        made.platform.emdata("dbt", "build", "--exclude", "resource_type:test", timeout=400)
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's sandbox needs rights that a container's root does not have.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch(
            executable_path=find_program("chromium"), args=arguments
        )
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, world: World) -> Iterator[Page]:
    """The loaded front page; anything that the browser complains about fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(WAIT_MS)
    complaints: list[str] = []
    foreign: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console", lambda line: complaints.append(line.text) if line.type == "error" else None
    )
    opened.on(
        "request",
        lambda one: foreign.append(one.url) if not one.url.startswith(world.url) else None,
    )
    opened.goto(world.url + "/")
    expect(opened.locator("body[data-ready]")).to_be_attached(timeout=WAIT_MS)
    yield opened
    context.close()
    assert complaints == []
    assert foreign == []


def test_the_page_shows_what_is_in_force_and_that_it_is_simulated(page: Page) -> None:
    row = page.locator("#alerts tr")
    expect(row).to_have_count(1)
    # Text of a source is text, whatever it looks like.
    expect(row.locator("td").first).to_have_text(EVENT)
    expect(row).to_contain_text("Boulder, CO")
    expect(page.locator("#simulated")).to_be_visible()
    expect(page.locator("#disasters")).to_contain_text("None among")


def test_a_county_is_chosen_by_keyboard(page: Page) -> None:
    page.locator("#place-county").focus()
    page.keyboard.type("Boulder, CO")
    page.keyboard.press("Enter")
    answer = page.locator("#place-answer")
    expect(answer.locator("h4")).to_have_text(EVENT)
    expect(answer).to_contain_text("Move to higher ground.")
    page.locator("#place-county").fill("Nowhere")
    page.keyboard.press("Enter")
    expect(answer).to_contain_text("Choose a county from the list")


def test_the_query_builder_shows_the_request_in_four_languages_and_runs_it(page: Page) -> None:
    page.locator("#q-collection").select_option("nws_alerts")
    expect(page.locator("#q-property option[value=severity]")).to_be_attached()
    page.locator("#q-property").select_option("severity")
    page.locator("#q-value").fill("Severe")
    code = page.locator("#code")
    expect(code).to_contain_text("/collections/nws_alerts/items?severity=Severe&limit=20")
    page.locator("#tab-url").focus()
    for text in ("curl --fail", "geopandas.read_file", "sf::st_read"):
        page.keyboard.press("ArrowRight")
        expect(code).to_contain_text(text)
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#result tbody tr")).to_have_count(1)
    page.locator("#q-value").fill("Nothing like it")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#result")).to_have_text("Nothing matches.")


def test_an_answer_that_another_request_overtook_is_not_shown(page: Page) -> None:
    held: list[Route] = []
    slow = re.compile(r"/items\?severity=Severe|nws_alerts/queryables")
    # Playwright cannot hold on to a method that is built in.
    page.route(slow, lambda route: held.append(route))  # noqa: PLW0108
    page.locator("#q-property").select_option("severity")
    page.locator("#q-value").fill("Severe")
    run = page.get_by_role("button", name="Run")
    with page.expect_request(slow):
        run.click()
    page.locator("#q-value").fill("Nothing like it")
    run.click()
    expect(page.locator("#result")).to_have_text("Nothing matches.")
    page.locator("#q-collection").select_option("fema_disaster_declarations")
    expect(page.locator("#q-property option[value=disaster_number]")).to_be_attached()
    with page.expect_request(slow):
        page.locator("#q-collection").select_option("nws_alerts")
    # What the former collection has cannot be chosen for this one.
    expect(page.locator("#q-property")).to_be_disabled()
    page.locator("#q-collection").select_option("fema_disaster_declarations")
    expect(page.locator("#q-property option[value=disaster_number]")).to_be_attached()
    assert len(held) == 2
    for one in held:
        one.continue_()
    # Asked behind them, and answered behind them.
    page.evaluate("fetch('/sources').then((answer) => answer.text())")
    expect(page.locator("#result")).to_have_text("Nothing matches.")
    expect(page.locator("#q-property option[value=disaster_number]")).to_be_attached()


def test_anybody_makes_a_key_and_uses_it(page: Page, world: World) -> None:
    page.locator("#key-label").fill("a class")
    page.get_by_role("button", name="Make a key").click()
    key = page.locator("#key-answer pre").inner_text()
    answer = world.get("/me", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    assert answer.json()["organizationClass"] == "public"


def test_nothing_is_cut_off_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_reference_lists_the_routes(browser: Browser, world: World) -> None:
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(world.url + "/docs")
    summary = opened.get_by_text("Weather zones and their counties", exact=True).last
    expect(summary).to_be_visible(timeout=WAIT_MS)
    context.close()


def addresses() -> Iterator[str]:
    """Yield every address that the guides name, but for those with a placeholder."""
    for page in sorted((REPOSITORY / "docs" / "api").glob("*.md")):
        for found in re.findall(r"/(?:summaries|collections|sources|ledger|bulk)/?[^\s'\"`)|]*",
                                page.read_text(encoding="utf-8")):  # fmt: skip
            address = found.rstrip(".,:;")
            is_whole = not re.search(r"[{<$]|\.\.\.", address) and "/bulk/" not in address
            if is_whole and address.strip("/") not in ("summaries", "collections"):
                yield address


@pytest.mark.parametrize("address", sorted(set(addresses())))
def test_what_the_guides_ask_is_answered(world: World, address: str) -> None:
    if address.partition("?")[0].endswith("/stream"):
        address += f"{'&' if '?' in address else '?'}limit=0"
    answer = world.get(address)
    assert answer.status_code == 200, answer.text
