"""What every request needs, made once when the application starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from sqlalchemy import Engine
from starlette.requests import HTTPConnection

from api.access.access import Access
from api.access.caller import Caller, anonymous
from api.caching.answers import Answers
from api.catalog.catalog import Catalog
from api.fairness.fairness import Fairness
from api.query.extents import Extents
from api.reading.reader import Reader
from api.streams.hub import Hub
from api.submitting.door import Door
from api.usage.usage import Usage
from api.web.assets import Assets
from emdata.bulk.shelf import Shelf
from emdata.clock import Clock
from emdata.settings import Settings


@dataclass(frozen=True)
class Api:
    """The application's parts; the rooms hang theirs here."""

    settings: Settings
    catalog: Catalog
    reader: Reader
    answers: Answers
    engine: Engine
    clock: Clock
    is_simulated: bool
    hub: Hub
    access: Access
    fairness: Fairness
    usage: Usage
    door: Door
    shelf: Shelf
    assets: Assets
    extents: Extents = field(default_factory=Extents)


def _api(request: HTTPConnection) -> Api:
    api: Api = request.app.state.api
    return api


def _caller(request: HTTPConnection) -> Caller:
    caller: Caller | None = getattr(request.state, "caller", None)
    return anonymous() if caller is None else caller


TheApi = Annotated[Api, Depends(_api)]
TheCaller = Annotated[Caller, Depends(_caller)]
