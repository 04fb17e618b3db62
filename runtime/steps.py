"""Runs steps as soon as what they need is done, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from emdata.errors import EmdataError, ServiceError


class Interrupted(ServiceError):
    """The user pressed Ctrl-C; threads may still wait for a server."""

    code = "interrupted"


@dataclass(frozen=True)
class Step:
    """A piece of a start; ``needs`` are names of other steps. ``run`` returns a short text."""

    name: str
    run: Callable[[], str]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a step ended: its text or its error, and how many seconds after the start."""

    name: str
    text: str
    after: float
    error: EmdataError | None = None


def run_steps(steps: Iterable[Step], report: Callable[[Outcome], None]) -> list[Outcome]:
    """Run all steps; needs that are not among the steps count as met.

    After a failure what depends on it is left out and the rest goes on, so that one run names
    everything that is wrong. An interrupt does not wait for the steps that run. Raises
    ServiceError on circular needs.
    """
    chosen = list(steps)
    pool = ThreadPoolExecutor(max_workers=max(1, len(chosen)), thread_name_prefix="step")
    try:
        return _run(chosen, report, pool)
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted; what came up keeps running: `emdata start` goes on, `emdata stop` ends it"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _run(
    steps: list[Step], report: Callable[[Outcome], None], pool: ThreadPoolExecutor
) -> list[Outcome]:
    waiting = {step.name: step for step in steps}
    known = set(waiting)
    done: dict[str, Outcome] = {}
    running: dict[Future[str], str] = {}
    started = time.monotonic()
    while waiting or running:
        ready = [s for s in waiting.values() if all(n in done for n in s.needs if n in known)]
        for step in ready:
            del waiting[step.name]
            failed = next((n for n in step.needs if n in done and done[n].error), None)
            if failed is None:
                running[pool.submit(step.run)] = step.name
                continue
            error = ServiceError(f"{step.name}: not tried, because {failed} failed")
            done[step.name] = Outcome(step.name, "", time.monotonic() - started, error)
        if running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                outcome = _outcome(running.pop(future), future, time.monotonic() - started)
                done[outcome.name] = outcome
                report(outcome)
        elif not ready and waiting:
            raise ServiceError(f"start: circular needs: {', '.join(sorted(waiting))}")
    return list(done.values())


def _outcome(name: str, future: Future[str], after: float) -> Outcome:
    try:
        return Outcome(name, future.result(), after)
    except EmdataError as error:
        return Outcome(name, "", after, error)
    except OSError as error:  # a full disk, a missing directory
        return Outcome(name, "", after, ServiceError(f"{name}: {error}"))
