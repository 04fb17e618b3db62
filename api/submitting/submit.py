"""From a request to records that are durable: read, check, ask the manager, answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import Request

from api.access.caller import ADMIN, Caller
from api.access.visibility import tenants_of
from api.context import Api
from api.problems import Problem, bad_parameter
from api.submitting.body import rows_of
from api.submitting.model import Form, Item
from emdata.contracts.identity import utc_text
from emdata.errors import ServiceError, SourceUnavailable
from emdata.telemetry import get_logger

log = get_logger(__name__)
FAULTS_SHOWN = 100
RETRY_SECONDS = "5"


async def submitted(
    request: Request, api: Api, caller: Caller, form: Form, retry: str | None
) -> dict[str, Any]:
    """Take a request's records and return the answer, once all of them are fsynced.

    retry: the sender's name for the request; ids that it leaves out are made of it.
    Raises Problem: ``bad-body`` with every item that cannot be taken, when nothing was taken;
    ``forbidden`` for items in the name of others; ``unavailable`` with the items' ids when the
    manager is away or has no room, so that they can be sent again as the same.
    """
    for name, value in request.query_params.items():
        raise bad_parameter(name, value, "no parameter; what is submitted stands in the body")
    rows, is_single = await rows_of(request)
    received_at = api.clock.now()
    items, faults = form.read(
        rows, received_at, None if retry is None else f"{caller.organization}\n{retry}"
    )
    if faults:
        first = faults[0]
        where = f"item {first.index}" + (f", {first.field}" if first.field else "")
        raise Problem(
            "bad-body",
            f"{where}: {first.reason}; nothing was taken",
            errors=[fault.shown() for fault in faults[:FAULTS_SHOWN]],
            faults=len(faults),
        )
    _must_be_theirs(items, caller, form)
    await _make_durable(items, api, form)
    name = form.shown(form.declared.made)
    answer: dict[str, Any] = {
        "accepted": len(items),
        f"{name}s": [item.id for item in items],
        "keys": [item.key for item in items],
        "receivedAt": f"{utc_text(received_at)}Z",
        "isSimulated": api.is_simulated,
    }
    return {name: items[0].id, **answer} if is_single else answer


def _must_be_theirs(items: list[Item], caller: Caller, form: Form) -> None:
    """Nobody reports in the name of others, or puts a row among those of another tenant."""
    if ADMIN in caller.scopes:
        return
    reporters, tenants = {caller.organization, *caller.tenants}, tenants_of(caller)
    for index, item in enumerate(items):
        if item.reporter not in reporters:
            raise _not_theirs(form, index, form.declared.reporter, item.reporter, reporters)
        column = form.record.dataset.tenant_column
        if column is not None and item.tenant not in tenants:
            raise _not_theirs(form, index, column, item.tenant, tenants)


def _not_theirs(
    form: Form, index: int, field: str, value: object, allowed: Iterable[str]
) -> Problem:
    name = form.shown(field)
    return Problem(
        "forbidden",
        f"item {index}, {name}: {value!r} is not yours; nothing was taken; "
        f"allowed: {', '.join(sorted(allowed))}",
        errors=[{"index": index, "field": name, "reason": "not yours"}],
    )


async def _make_durable(items: list[Item], api: Api, form: Form) -> None:
    dataset = form.record.dataset.name
    try:
        answer = await api.door.post(dataset, [item.payload for item in items])
    except (SourceUnavailable, ServiceError) as error:
        log.warning("submission_not_taken", dataset=dataset, error=str(error)[:300])
        name = form.shown(form.declared.made)
        raise Problem(
            "unavailable",
            "the stream manager cannot say that everything is safe; send it again with these ids "
            "and nothing counts twice",
            headers={"Retry-After": RETRY_SECONDS},
            **{f"{name}s": [item.id for item in items]},
        ) from None
    if answer.rejected:
        # Checked with the same contract before: only a manager of another release gets here.
        log.error("submission_rejected", dataset=dataset, rejected=len(answer.rejected))
        taken = {one.index for one in answer.rejected}
        raise Problem(
            "bad-body",
            "the stream manager refused some items; the others were taken",
            errors=[{"index": one.index, "field": None, "reason": one.reason}
                    for one in answer.rejected[:FAULTS_SHOWN]],
            taken=[item.id for index, item in enumerate(items) if index not in taken],
        )  # fmt: skip
