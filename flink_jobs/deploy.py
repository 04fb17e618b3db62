"""Brings the cluster to what the plan says, and back when that does not work.

Everything is compiled before anything is stopped. A job counts as deployed when all its vertices
run and a checkpoint of its own has completed. Deploying twice changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from emdata.clock import Clock, SystemClock
from emdata.contracts import Record, contracts
from emdata.credentials import read_credentials
from emdata.errors import SettingError
from emdata.paths import Paths
from emdata.settings import Settings
from emdata.telemetry import get_logger
from emdata.warehouse import Warehouse
from flink_jobs.cluster import Cluster
from flink_jobs.decide import Action, Step, decide
from flink_jobs.errors import CompileError
from flink_jobs.offsets import Offsets
from flink_jobs.plan import Job, Plan, build_plan
from flink_jobs.rebuild import Rebuild
from flink_jobs.records import (
    Deployed,
    Records,
    deployment_lock,
    read_records,
    remove_unused_state,
    restore_point,
    write_records,
)
from flink_jobs.rest import FlinkRest
from flink_jobs.session import Session
from flink_jobs.tables import WindowTables
from flink_jobs.windows import WindowTable, window_tables

log = get_logger(__name__)
_STOPPING = frozenset({Action.REPLACE, Action.MOVE, Action.REBUILD, Action.REMOVE})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job. ``detail`` says why when it is not ``ok``."""

    name: str
    action: Action
    ok: bool
    job_id: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a deployment did; ``seconds`` is its duration."""

    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every job is as planned."""
        return all(outcome.ok for outcome in self.outcomes)

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the jobs that were touched."""
        return tuple(o.name for o in self.outcomes if o.action is not Action.KEEP)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a deployment waits, in seconds.

    stop: for a stop with a savepoint. gone: for a canceled job to end; a task that hangs in its
    sink is only ended by Flink's watchdog after 180 s. healthy: for all vertices and a first
    checkpoint. rebuilt: for a rebuilt window to reach the end of its topics.
    """

    stop: float = 30.0
    gone: float = 210.0
    healthy: float = 90.0
    rebuilt: float = 900.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a deployment is asked for.

    datasets, windows: None for every contract and every window table. rebuild: windows jobs whose
    state is given up and built anew. only_missing: leave running jobs alone and bring back the
    others as recorded.
    """

    datasets: tuple[type[Record], ...] | None = None
    windows: tuple[WindowTable, ...] | None = None
    rebuild: tuple[str, ...] = ()
    only_missing: bool = False
    limits: Limits = Limits()


def start_session(settings: Settings, paths: Paths, environ: Mapping[str, str]) -> Session:
    """Start the client that a deployment needs and return at once.

    Call it while the servers still start, and hand it to ``deploy``. ``environ`` names JAVA_HOME.
    FLINK_HOME below ``paths.flink`` must have been prepared.
    """
    password = read_credentials(settings).starrocks_loader_password
    return Session.start(settings, paths, password, environ)


def deploy(
    settings: Settings,
    paths: Paths,
    *,
    environ: Mapping[str, str],
    order: Order | None = None,
    session: Session | None = None,
    clock: Clock | None = None,
) -> Report:
    """Deploy every planned job and report.

    ``session`` is closed by the caller; without one, a client is started if any job has to be
    submitted. Raises FlinkUnavailable, WarehouseUnavailable, SettingError, and CompileError when
    a job does not compile, in which case nothing was stopped.
    """
    started = time.monotonic()
    with (
        deployment_lock(paths.flink),
        FlinkRest(settings.flink_host, settings.flink_rest_port) as rest,
    ):
        deployment = _Deployment(
            settings=settings,
            paths=paths,
            rest=rest,
            order=order or Order(),
            records=read_records(paths.flink_jobs_file),
            clock=clock or SystemClock(),
            open_session=lambda: session or start_session(settings, paths, environ),
        )
        try:
            outcomes = deployment.run()
        finally:
            if deployment.session is not None and deployment.session is not session:
                deployment.session.close()
    return Report(tuple(outcomes), time.monotonic() - started)


def ensure_running(
    settings: Settings,
    paths: Paths,
    *,
    environ: Mapping[str, str],
    session: Session | None = None,
) -> Report:
    """Bring back the jobs that the cluster lost, as they were; for a watchdog.

    Costs one REST call when nothing is missing.
    """
    order = Order(only_missing=True)
    return deploy(settings, paths, environ=environ, order=order, session=session)


@dataclass
class _Deployment:
    settings: Settings
    paths: Paths
    rest: FlinkRest
    order: Order
    records: Records
    clock: Clock
    open_session: Callable[[], Session]
    session: Session | None = None
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self) -> list[Outcome]:
        self._check_rebuild()
        for name in self.order.rebuild:
            self._give_up_state(name)
        jobs = self.rest.jobs()
        alive = {job.job_id: job.name for job in jobs if job.is_alive}
        steps = self._steps(alive)
        for step in steps:
            if step.action is Action.KEEP:
                self._note(step, "")
        todo = [step for step in steps if step.action is not Action.KEEP]
        if todo:
            self._carry_out(todo, alive)
        return self.outcomes

    def _check_rebuild(self) -> None:
        windows = [job.name for job in self._plan().jobs if job.kind == "windows"]
        for name in self.order.rebuild:
            if name not in windows:
                raise SettingError(
                    "--rebuild", value=name, allowed=", ".join(windows), searched=["options"]
                )

    def _plan(self) -> Plan:
        return build_plan(
            contracts().values() if self.order.datasets is None else self.order.datasets,
            self.settings,
            self.paths.checkpoints,
            windows=self.order.windows,
            generations=self.records.generations,
        )

    def _steps(self, alive: Mapping[str, str]) -> list[Step]:
        only_missing = self.order.only_missing
        steps = decide(self._plan(), self.records, alive, only_missing=only_missing)
        lost = [
            step.name
            for step in steps
            if step.action is Action.RESTORE
            and step.deployed is not None
            and restore_point(step.deployed) is None
        ]
        if not lost:
            return steps
        # No checkpoint is left: the counts start over in new tables, the old ones stay in view.
        for name in lost:
            log.warning("window_state_lost", job=name)
            self._give_up_state(name)
        planned = {job.name: job for job in self._plan().jobs}
        return [
            Step(step.name, Action.REBUILD, planned[step.name], step.deployed)
            if step.name in lost
            else step
            for step in steps
        ]

    def _give_up_state(self, name: str) -> None:
        self.records.generations[name] = self.records.generations.get(name, 0) + 1

    def _carry_out(self, todo: list[Step], alive: Mapping[str, str]) -> None:
        windows = window_tables() if self.order.windows is None else self.order.windows
        tables = WindowTables(self._warehouse(), windows)
        limits = self.order.limits
        self.session = self.open_session()
        self._check_places(todo, tables)
        self._compile_all(self.session, todo, tables)
        cluster = Cluster(self.rest, self.session, self.paths, limits.stop, limits.gone, self.clock)
        self._cancel_strays(cluster, alive)
        direct = [s for s in todo if s.action not in {Action.REBUILD, Action.REMOVE}]
        self._submit_all(cluster, tables, direct)
        offsets = Offsets(self.settings.kafka)
        rebuild = Rebuild(
            cluster,
            tables,
            offsets,
            self.records,
            self._save,
            self.settings,
            limits.healthy,
            limits.rebuilt,
        )
        for step in todo:
            if step.action is Action.REBUILD:
                self._note(step, rebuild.run(step.job, step.deployed))
            elif step.action is Action.REMOVE:
                cluster.stop(self.records.jobs.pop(step.name))
                self._save()
                if step.job.kind == "windows":
                    tables.retire(step.job)
                    offsets.forget(step.job.groups.values())
                self._note(step, "")
        if all(outcome.ok for outcome in self.outcomes):
            remove_unused_state(self.records, self.paths.checkpoints, self.paths.savepoints)

    def _warehouse(self) -> Warehouse:
        return Warehouse.of(self.settings, read_credentials(self.settings).starrocks_password)

    def _check_places(self, todo: list[Step], tables: WindowTables) -> None:
        """Raise CompileError for tables or topics that do not exist."""
        planned = [step.job for step in todo if step.action is not Action.REMOVE]
        raw = {table for job in planned if job.kind == "landing" for table in job.tables}
        topics = {topic for job in planned for topic in job.groups}
        problems = []
        missing = tables.missing(sorted(raw))
        if missing:
            problems.append(f"no table in raw_data: {', '.join(missing)}; run `emdata migrate`")
        missing = Offsets(self.settings.kafka).missing(sorted(topics))
        if missing:
            problems.append(f"no topic in Kafka: {', '.join(missing)}; run `emdata start`")
        if problems:
            raise CompileError("; ".join(problems))

    def _compile_all(self, session: Session, todo: list[Step], tables: WindowTables) -> None:
        """Raise CompileError before anything is stopped.

        A deployment that stops nothing leaves compiling to the submission.
        """
        planned = [step for step in todo if step.action is not Action.REMOVE]
        for step in planned:
            if step.job.kind == "windows":
                tables.create(step.job, empty=step.action is Action.START)
        if any(step.action in _STOPPING for step in todo):
            for step in planned:
                session.compile(step.job)

    def _cancel_strays(self, cluster: Cluster, alive: Mapping[str, str]) -> None:
        """End jobs of ours that no record knows: left by a deployment that was killed."""
        known = {d.job_id for d in (*self.records.jobs.values(), *self.records.candidates.values())}
        planned = {job.name for job in self._plan().jobs} | set(self.records.jobs)
        for job_id, name in alive.items():
            if name in planned and job_id not in known:
                log.warning("stray_job_canceled", job=name, job_id=job_id)
                cluster.cancel(job_id)

    def _submit_all(self, cluster: Cluster, tables: WindowTables, steps: list[Step]) -> None:
        before: dict[str, Deployed] = {}
        problems: dict[str, str] = {}
        submitted: dict[str, Deployed] = {}
        for step in steps:
            restore = None
            if step.action in {Action.REPLACE, Action.MOVE} and step.deployed is not None:
                before[step.name] = cluster.stop(step.deployed)
                self._record(before[step.name])
            if step.action in {Action.RESTORE, Action.MOVE}:
                restore = restore_point(self.records.jobs[step.name])
            if step.job.kind == "windows":
                tables.show(step.job)
            try:
                submitted[step.name] = cluster.submit(step.job, restore)
            except CompileError as error:
                problems[step.name] = str(error)
            else:
                self._record(submitted[step.name])
        problems |= cluster.wait_healthy(submitted, self.order.limits.healthy)
        for step in steps:
            problem = problems.get(step.name, "")
            if problem:
                failed = submitted.get(step.name)
                problem = self._go_back(cluster, step, before.get(step.name), failed, problem)
            self._note(step, problem)

    def _go_back(
        self,
        cluster: Cluster,
        step: Step,
        before: Deployed | None,
        failed: Deployed | None,
        problem: str,
    ) -> str:
        """Return to the job that ran before, if one did; else leave the new one to its retries."""
        is_alive = failed is not None and cluster.is_alive(failed.job_id)
        if before is None:
            if not is_alive and step.deployed is not None:
                self._record(step.deployed)
            return problem
        if failed is not None and is_alive:
            cluster.cancel(failed.job_id)
        restore = restore_point(before) if before.job.kind == "windows" else None
        self._record(cluster.submit(before.job, restore))
        again = cluster.wait_healthy(
            {step.name: self.records.jobs[step.name]}, self.order.limits.healthy
        )
        if again:
            return f"{problem}; what ran before does not run either: {again[step.name]}"
        return f"{problem}; what ran before runs again"

    def _record(self, deployed: Deployed) -> None:
        self.records.jobs[deployed.job.name] = deployed
        self._save()

    def _save(self) -> None:
        write_records(self.paths.flink_jobs_file, self.records)

    def _note(self, step: Step, problem: str) -> None:
        deployed = self.records.jobs.get(step.name)
        job_id = deployed.job_id if deployed is not None else ""
        log.info("flink_job_deployed", job=step.name, action=step.action, problem=problem)
        self.outcomes.append(Outcome(step.name, step.action, not problem, job_id, problem))


def planned_jobs(settings: Settings, paths: Paths) -> tuple[Job, ...]:
    """Return the jobs as a deployment would plan them now, generations included."""
    records = read_records(paths.flink_jobs_file)
    return build_plan(
        contracts().values(), settings, paths.checkpoints, generations=records.generations
    ).jobs
