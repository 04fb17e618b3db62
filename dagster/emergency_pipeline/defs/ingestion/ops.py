"""Steps of the ingestion job. They ask and wait; the stream manager does the ingesting."""

import time
from collections.abc import Iterator

from dagster import Config, Failure, In, OpExecutionContext, Output, ResourceParam, op
from pydantic import Field

from emdata.state.reads import streams_switched_off
from emdata.state.requests import Request, ask_polls, wait_for
from emergency_pipeline import ledger
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.defs.ingestion.plan import (
    backfill_arguments,
    chosen_streams,
    failures,
    unanswered,
    wait_until_settled,
)
from emergency_pipeline.handing import handed
from emergency_pipeline.site import Site

Rows = dict[str, int]
"""Landed rows by dataset."""


class PollConfig(Config):
    """What to poll and how long to wait for it."""

    streams: list[str] = Field(default=[], description="streams to poll; empty: all of them")
    deadline_seconds: float = Field(
        default=180.0, gt=0, description="wait at most this long for the manager's answers"
    )


class LandingConfig(Config):
    """How long to wait until accepted records are in StarRocks."""

    deadline_seconds: float = Field(
        default=120.0, gt=0, description="wait at most this long until the ledger is settled"
    )


class BackfillConfig(Config):
    """Which stretch of time to fetch again, by event day; both ends count."""

    streams: list[str] = Field(description="streams to fetch")
    since: str = Field(description="first day, YYYY-MM-DD")
    until: str = Field(description="last day, YYYY-MM-DD")
    deadline_seconds: float = Field(
        default=3600.0, gt=0, description="wait at most this long for the manager's answers"
    )


ASKED = {
    "polls": handed(list, "ids of the polls that the manager ran"),
    "silent": handed(list, "streams whose requests were not answered in time"),
}


@op(out=ASKED)
def poll_what_is_due(
    context: OpExecutionContext,
    config: PollConfig,
    site: ResourceParam[Site],
    catalog: ResourceParam[Catalog],
) -> Iterator[Output[list[str]]]:
    """Ask the stream manager for one poll a stream and wait for its answers.

    Polls that fail or stay unanswered do not stop the run: what other sources landed is built.
    """
    streams = chosen_streams(config.streams, catalog, streams_switched_off(site.state))
    ids = ask_polls(site.state, streams, f"dagster run {context.run_id}")
    context.log.info("asked the stream manager for polls of %s", ", ".join(streams))
    yield from _outputs(context, wait_for(site.state, ids, config.deadline_seconds))


@op(out=ASKED)
def ask_for_backfill(
    context: OpExecutionContext,
    config: BackfillConfig,
    site: ResourceParam[Site],
    catalog: ResourceParam[Catalog],
) -> Iterator[Output[list[str]]]:
    """Ask the stream manager to fetch a stretch of time again and wait for its answers."""
    streams = chosen_streams(config.streams, catalog, streams_switched_off(site.state))
    ids = ask_polls(
        site.state,
        streams,
        f"dagster run {context.run_id}",
        kind="backfill",
        arguments=backfill_arguments(config.since, config.until),
    )
    names = ", ".join(streams)
    context.log.info("asked for %s from %s to %s", names, config.since, config.until)
    yield from _outputs(context, wait_for(site.state, ids, config.deadline_seconds))


def _outputs(context: OpExecutionContext, answered: list[Request]) -> Iterator[Output[list[str]]]:
    for stream, reason in failures(answered).items():
        context.log.warning("%s: poll failed: %s", stream, reason)
    outcomes = {request.stream: request.outcome or "unanswered" for request in answered}
    polls = [request.poll_id for request in answered if request.poll_id]
    yield Output(polls, "polls", metadata={"outcomes": outcomes})
    yield Output(unanswered(answered), "silent")


@op(ins={"polls": In(list)}, out=handed(dict, "landed rows per dataset"))
def wait_for_landing(
    context: OpExecutionContext,
    config: LandingConfig,
    site: ResourceParam[Site],
    polls: list[str],
) -> Output[Rows]:
    """Wait until what the polls accepted has landed in StarRocks (the ledger says so)."""
    accepted = ledger.read_accepted(site.state, polls)
    late = wait_until_settled(
        accepted,
        lambda: ledger.read_positions(site.state),
        config.deadline_seconds,
        monotonic=time.monotonic,
        sleep=time.sleep,
    )
    for item in late:
        context.log.warning(
            "%s: not all of %d accepted records (writer %d, up to seq %d) landed within %.0f s",
            item.dataset, item.records, item.writer, item.last_seq, config.deadline_seconds,
        )  # fmt: skip
    rows = ledger.rows_landed(ledger.read_positions(site.state))
    return Output(
        rows,
        metadata={
            "records accepted": sum(item.records for item in accepted),
            "not landed in time": ", ".join(item.dataset for item in late) or "nothing",
            "rows landed": rows,
        },
    )


@op(ins={"silent": In(list), "built": In(list)})
def require_answers(context: OpExecutionContext, silent: list[str], built: list[str]) -> None:
    """Fail the run when the manager left requests unanswered, after all else was done."""
    if silent:
        raise Failure(
            f"the stream manager did not answer in time for {', '.join(silent)}; "
            "see `emdata status` and its log",
            allow_retries=False,
        )
    context.log.info("every request answered; models built of: %s", ", ".join(built) or "nothing")
