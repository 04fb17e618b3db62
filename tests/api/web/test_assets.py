"""Files of the pages."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from api.web.assets import LIBRARIES, STATIC, Assets
from emdata.errors import ServiceError

PAGES = sorted(STATIC.glob("*.html"))


def jars(folder: Path) -> Path:
    for name, place in (("leaflet", "/dist/leaflet"), ("swagger-ui", "/swagger-ui-bundle")):
        with zipfile.ZipFile(folder / f"{name}-1.2.3.jar", "w") as archive:
            archive.writestr(f"META-INF/resources/webjars/{name}/1.2.3{place}.js", name)
            # A file of the same name somewhere deeper is another one.
            archive.writestr(f"META-INF/resources/webjars/{name}/1.2.3/src{place}.js", "wrong")
    return folder


def test_a_library_comes_out_of_its_package(tmp_path: Path) -> None:
    found = Assets(jars(tmp_path)).get("leaflet.js")
    assert found is not None
    assert (found.content, found.media_type) == (b"leaflet", "text/javascript")
    assert re.fullmatch(r'"[0-9a-f]{32}"', found.etag)


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"leaflet-\*\.jar.*make start"):
        Assets(tmp_path).get("leaflet.js")


@pytest.mark.parametrize(
    "name", ["../assets.py", "..", "", ".", "/etc/passwd", "static/app.css", "app.css\0", "%2e%2e"]
)
def test_fault_43_a_name_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    assert Assets(tmp_path).get(name) is None


def test_a_made_file_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []
    assets = Assets(tmp_path)
    assets.add("data.json", lambda: bytes(str(made.append(1) or len(made)), "ascii"))
    first, second = assets.get("data.json"), assets.get("data.json")
    assert first is second
    assert made == [1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_need_no_host_of_somebody_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert loaded
    assert [one for one in loaded if not one.startswith(("/", "#"))] == []
    files = {one.removeprefix("/assets/") for one in loaded if one.startswith("/assets/")}
    assert files - set(LIBRARIES) <= {path.name for path in STATIC.iterdir()}
    # The security policy of pages allows neither inline scripts nor inline styles.
    assert not re.search(r"<script(?![^>]*src=)|<style| style=| on[a-z]+=", text)
