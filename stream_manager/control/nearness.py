"""How near a point is to people: asked for each record of a CRITICAL backlog, so it is cheap."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from stream_manager.control.critical import FAR_KM, NEAR_KM
from stream_manager.derived.grid import Point
from stream_manager.derived.places import Places, us_places

KEPT = 10_000


class Nearness:
    """Calling it is safe on any thread; before the places are loaded nothing is known.

    The list of places takes a moment to read, which no record shall wait for.
    """

    def __init__(self, load: Callable[[], Places] = us_places) -> None:
        self._load = load
        self._known: dict[Point, float] = {}
        self._places: Places | None = None
        self._thread = threading.Thread(target=self._run, name="places", daemon=True)

    def start(self) -> None:
        """Load the places in the background."""
        self._thread.start()

    def __call__(self, latitude: float, longitude: float) -> float | None:
        """Return the least of NEAR_KM, FAR_KM and infinity within which a place lies."""
        places = self._places
        if places is None:
            return None
        # A hundredth of a degree is about a kilometre; alerts come in clusters.
        point = Point(round(latitude, 2), round(longitude, 2))
        known = self._known.get(point)
        if known is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            within = (km for km in (NEAR_KM, FAR_KM) if places.is_any_near(point, km))
            known = self._known[point] = next(within, math.inf)
        return known

    def _run(self) -> None:
        self._places = self._load()
