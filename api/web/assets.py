"""Files of the pages: ours from ``static``, those of libraries out of their packages (WebJars)."""

from __future__ import annotations

import hashlib
import mimetypes
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from api.web.counties import county_outlines
from emdata.errors import ServiceError
from emdata.paths import Paths

STATIC = Path(__file__).parent / "static"
_ROOT = "META-INF/resources/webjars/"
LIBRARIES = {
    "leaflet.js": ("leaflet-*.jar", "/dist/leaflet.js"),
    "leaflet.css": ("leaflet-*.jar", "/dist/leaflet.css"),
    "swagger-ui-bundle.js": ("swagger-ui-*.jar", "/swagger-ui-bundle.js"),
    "swagger-ui.css": ("swagger-ui-*.jar", "/swagger-ui.css"),
}
"""Name -> package and where the file lies in it, below the library's version."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    content: bytes
    media_type: str
    etag: str


class Assets:
    """All files by name; each is read once. ``jars``: where the installer put the packages."""

    def __init__(self, jars: Path) -> None:
        self._jars = jars
        self._read: dict[str, Asset] = {}
        self._made: dict[str, Callable[[], bytes]] = {}

    @classmethod
    def of(cls, paths: Paths) -> Assets:
        """Return the files of a platform's pages."""
        made = cls(paths.web_jars)
        made.add("counties.json", lambda: county_outlines(paths.dbt_project / "seeds"))
        return made

    def add(self, name: str, make: Callable[[], bytes]) -> None:
        """Offer a file that is made when it is first asked for."""
        self._made[name] = make

    def get(self, name: str) -> Asset | None:
        """Return a file, or None for an unknown name. May block: reads or makes the file.

        Raises ServiceError when a library's package is not installed.
        """
        known = self._read.get(name)
        if known is None:
            content = self._content(name)
            if content is None:
                return None
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            digest = hashlib.sha256(content).hexdigest()[:32]
            known = self._read[name] = Asset(content, kind, f'"{digest}"')
        return known

    def _content(self, name: str) -> bytes | None:
        if name in self._made:
            return self._made[name]()
        if name in LIBRARIES:
            return self._of_library(*LIBRARIES[name])
        # Names are compared, never joined: a name cannot lead out of the folder.
        ours = {path.name: path for path in STATIC.iterdir() if path.is_file()}
        return ours[name].read_bytes() if name in ours else None

    def _of_library(self, pattern: str, place: str) -> bytes:
        for jar in sorted(self._jars.glob(pattern)):
            with zipfile.ZipFile(jar) as archive:
                for name in archive.namelist():
                    if name.startswith(_ROOT) and name.removeprefix(_ROOT).count("/") == (
                        place.count("/") + 1
                    ) and name.endswith(place):  # fmt: skip
                        return archive.read(name)
        raise ServiceError(
            f"{pattern}: not found in {self._jars}; `make start` installs what is missing"
        )
