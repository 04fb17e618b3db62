"""Bulk files: days of a dataset as GeoParquet and CSV.gz, served with ranges."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import date
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.access.caller import Caller
from api.access.visibility import visible, visible_collection
from api.catalog.model import Collection
from api.context import Api, TheApi, TheCaller
from api.formats.files import file_answer
from api.formats.model import Origin
from api.links import base_url, link
from api.problems import Problem, documented
from api.usage.notes import note
from emdata.bulk.files import MEDIA_TYPES
from emdata.bulk.manifest import DaySummary, Index, Manifest
from emdata.bulk.tables import is_public
from emdata.telemetry import get_logger

router = APIRouter(tags=["bulk"])
log = get_logger(__name__)
T = TypeVar("T")
_PROBLEMS = documented("not-found", "bad-parameter", "unavailable")
_CONTENT = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in sorted(MEDIA_TYPES.values())
}
Dataset = Annotated[str, Path(description="Id of a dataset", examples=["nws_alerts"])]
Day = Annotated[
    str, Path(description="Day of acceptance, UTC, such as 2026-11-20", examples=["2026-11-20"])
]
FileName = Annotated[
    str,
    Path(
        description="A name of the day's manifest",
        examples=["nws_alerts-2026-11-20.parquet", "nws_alerts-2026-11-20.csv.gz"],
    ),
]


@router.get("/bulk", summary="Datasets with bulk files", responses=_PROBLEMS)
async def bulk(request: Request, api: TheApi, caller: TheCaller) -> dict[str, Any]:
    """List the datasets that have daily files, with how much there is of each."""
    _no_parameters(request)
    base = base_url(request, api.settings)
    chosen = [one for one in visible(api.catalog, caller) if _is_offered(one, caller)]
    reads = [_stored(api.shelf.read_index(one.id)) for one in chosen]
    indexes = await asyncio.gather(*reads)
    return {
        "isSimulated": api.is_simulated,
        "links": [link(f"{base}/bulk", "self")],
        "datasets": [
            _dataset(collection, index, base)
            for collection, index in zip(chosen, indexes, strict=True)
            if index.days
        ],
    }


@router.get("/bulk/{dataset}", summary="Days of a dataset", responses=_PROBLEMS)
async def days(
    dataset: Dataset, request: Request, api: TheApi, caller: TheCaller
) -> dict[str, Any]:
    """List the days (of acceptance, UTC), oldest first; an unsettled one may still get rows."""
    _no_parameters(request)
    collection = _offered(api, dataset, caller)
    base = base_url(request, api.settings)
    index = await _stored(api.shelf.read_index(collection.id))
    return {
        **_dataset(collection, index, base),
        "isSimulated": api.is_simulated,
        "days": [_day(collection.id, one, base) for one in index.days],
        "links": [
            link(f"{base}/bulk/{collection.id}", "self"),
            link(f"{base}/collections/{collection.id}", "collection"),
        ],
    }


@router.get("/bulk/{dataset}/{day}", summary="Manifest of a day", responses=_PROBLEMS)
async def manifest(
    dataset: Dataset, day: Day, request: Request, api: TheApi, caller: TheCaller
) -> dict[str, Any]:
    """Return rows, files with SHA-256, columns with units, time range and terms of a day."""
    _no_parameters(request)
    found = await _manifest(api, dataset, day, caller)
    here = f"{base_url(request, api.settings)}/bulk/{found.dataset}/{found.day}"
    shown: dict[str, Any] = msgspec.to_builtins(found)
    shown["links"] = [link(here, "self")]
    for file in shown["files"]:
        del file["key"]
        file["href"] = f"{here}/{file['name']}"
        shown["links"].append(link(file["href"], "enclosure", file["media_type"]))
    return shown


@router.get(
    "/bulk/{dataset}/{day}/{file}",
    summary="A file of a day",
    response_class=Response,
    responses={
        200: {"description": "The file", "content": _CONTENT},
        206: {"description": "The range that was asked for", "content": _CONTENT},
        304: {"description": "The caller has it, by If-None-Match"},
        **documented("not-found", "bad-parameter", "bad-range", "unavailable"),
    },
)
async def file(
    dataset: Dataset, day: Day, file: FileName, request: Request, api: TheApi, caller: TheCaller
) -> Response:
    """Return a file of a day; takes ``Range``, ``If-Range`` and ``If-None-Match``.

    The ETag is the file's SHA-256. ``file`` is a name of the manifest.
    """
    _no_parameters(request)
    found = await _manifest(api, dataset, day, caller)
    # By name among those that the manifest has: no path is ever made of what a caller sends.
    chosen = next((one for one in found.files if one.name == file), None)
    if chosen is None:
        names = ", ".join(one.name for one in found.files)
        raise Problem("not-found", f"{file[:200]!r} is not there; there are: {names}")
    note(request, collection=found.dataset, format=file.partition(".")[2])
    return await _stored(file_answer(request, api.shelf, chosen, _headers(found)))


async def _manifest(api: Api, dataset: str, day: str, caller: Caller) -> Manifest:
    collection = _offered(api, dataset, caller)
    try:
        # fromisoformat alone would also take 20261121 and 2026-W47-6.
        wanted = date.fromisoformat(day) if len(day) == 10 else None
    except ValueError:
        wanted = None
    found = None
    if wanted is not None:
        found = await _stored(api.shelf.read_manifest(collection.id, wanted))
    if found is None:
        detail = f"{collection.id} has no bulk files of {day[:40]!r}; see /bulk/{collection.id}"
        raise Problem("not-found", detail)
    return found


async def _stored(reading: Coroutine[Any, Any, T]) -> T:
    """Wait for what comes from object storage. Raises Problem ``unavailable`` when it fails."""
    try:
        return await reading
    except OSError as error:
        log.warning("api_bulk_storage_failed", error=str(error)[:300])
        detail = "object storage does not answer at the moment; ask again in some seconds"
        raise Problem("unavailable", detail, headers={"Retry-After": "5"}) from None


def _offered(api: Api, dataset: str, caller: Caller) -> Collection:
    collection = visible_collection(api.catalog, dataset, caller)
    if not _is_offered(collection, caller):
        raise Problem("not-found", f"{collection.id} has no bulk files; see /bulk")
    return collection


def _is_offered(collection: Collection, caller: Caller) -> bool:
    """Datasets whose every row is everybody's; a tenant's are never in a file that all share."""
    record = collection.record
    return record is not None and is_public(record) and collection.id not in caller.owned


def _dataset(collection: Collection, index: Index, base: str) -> dict[str, Any]:
    return {
        "id": collection.id,
        "title": collection.title,
        "terms": collection.terms,
        "rows": sum(one.rows for one in index.days),
        "bytes": sum(one.bytes for one in index.days),
        "firstDay": index.days[0].day if index.days else None,
        "lastDay": index.days[-1].day if index.days else None,
        "links": [link(f"{base}/bulk/{collection.id}", "item", title="Days")],
    }


def _day(dataset: str, one: DaySummary, base: str) -> dict[str, Any]:
    here = f"{base}/bulk/{dataset}/{one.day}"
    return {**msgspec.to_builtins(one), "links": [link(here, "item", title="Manifest")]}


def _headers(found: Manifest) -> Mapping[str, str]:
    headers = Origin(found.is_simulated, found.data_version).headers()
    if found.accepted is not None:
        headers["Emdata-Newest-Accepted-At"] = found.accepted.latest
    return headers


def _no_parameters(request: Request) -> None:
    if request.query_params:
        names = ", ".join(sorted(request.query_params))
        raise Problem("bad-parameter", f"{names[:200]}: no parameters are known here")
