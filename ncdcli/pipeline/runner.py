"""Runs stages: decides, links or runs, publishes, and says what happened."""

from __future__ import annotations

import logging
import os
import shlex
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ncdcli.errors import Interrupted, MissingError, NcdError
from ncdcli.pipeline.context import Progress, Resources, SilentProgress, StageContext, stage_stream
from ncdcli.pipeline.distributed import Crew, is_worker
from ncdcli.pipeline.failure import explain, interruption, resume_command, told_about_full_disk
from ncdcli.pipeline.fingerprint import visible_config
from ncdcli.pipeline.plan import Action, Decision, Identity, Plan, Planner, make_plan, needed, select
from ncdcli.pipeline.publish import check_inputs_unchanged, link_outputs, make_manifest, publish, record_outputs
from ncdcli.pipeline.signals import StopSignals
from ncdcli.pipeline.spec import STAGES, StageSpec, name_of, stages_of
from ncdcli.pipeline.work import read_work
from ncdcli.run import files, provenance
from ncdcli.run.folder import NOT_DONE, RunFolder
from ncdcli.run.journal import now
from ncdcli.run.log import log_to
from ncdcli.run.manifest import MANIFEST, FileRecord, Manifest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageResult:
    """What happened to one stage."""

    stage: str
    action: Action  # run | resume | reuse | keep
    seconds: float  # spent now; 0 for what was kept
    fingerprint: str
    reason: str


def execute(
    resolved: Any,
    run: RunFolder,
    *,
    stages: Sequence[str] | None = None,
    force: Collection[str] = (),
    restart: bool = False,
    resources: Resources | None = None,
    progress: Progress | None = None,
    command: str | Sequence[str] = "",
    table: Sequence[StageSpec] = STAGES,
    identity: Identity | None = None,
) -> list[StageResult]:
    """Bring the named `stages` (default: all) of a run up to date; one result for each, and for each that was linked.

    `resolved` has `recipe`, `source_text` and `to_yaml()`. `command` is the command line, for the record and for
    errors, which say how to go on. In a worker process of `torchrun` nothing is planned and the list is empty.

    Raises MissingError if a stage before the named ones has to be done first, or the data are not here; RunBusyError;
    Interrupted after Ctrl-C or SIGTERM; NcdError if a stage fails.
    """
    progress = progress or SilentProgress()
    line = command if isinstance(command, str) else shlex.join(command)
    stop = StopSignals(
        lambda name: progress.note(f"{name}: stopping at the next safe point; Ctrl-C again stops at once")
    )
    if is_worker():
        with Crew() as crew, stop:
            crew.join_in(stop.requested)
        return []
    _check_possible(make_plan(resolved.recipe, run, only=stages, force=force, table=table, identity=identity), run)
    with told_about_full_disk(run, resume=resume_command(line)), run.lock(line):
        run.create(resolved, line)
        with log_to(run.log_path), Crew() as crew, stop:
            logger.info("command: %s", line)
            planner = Planner(resolved.recipe, run, force=force, restart=restart, identity=identity)
            runner = Runner(planner, resources or Resources(), progress, line, crew, stop)
            selected = select(table, only=stages)
            table = stages_of(resolved.recipe, table)
            results = [runner.advance(spec, spec.name in selected) for spec in needed(table, selected)]
    return [result for result in results if result is not None]


def _check_possible(plan: Plan, run: RunFolder) -> None:
    """Nothing, or MissingError: found out before anything is written."""
    if plan.blockers:
        first = plan.blockers[0]
        raise MissingError(
            f"stage `{first.stage}` of run `{run.path}` has to be done first: {first.reason}",
            hint=f"`ncd run {run.path if run.exists else 'RECIPE'} --until {plan.blockers[-1].stage}`",
        )
    for decision in plan.decisions:
        if decision.problem is not None:
            raise decision.problem


class Runner:
    """Takes the stages of one run one after the other."""

    def __init__(
        self,
        planner: Planner,
        resources: Resources,
        progress: Progress,
        command: str,
        crew: Crew,
        stop: StopSignals,
    ) -> None:
        self._planner = planner
        self._run_folder = planner.run
        self._resources = resources
        self._progress = progress
        self._command = command
        self._crew = crew
        self._stop = stop
        self._done: list[str] = []

    def advance(self, spec: StageSpec, asked_for: bool) -> StageResult | None:
        """Bring one stage up to date; None if it is up to date and was not asked for."""
        try:
            return self._advance(spec, asked_for)
        except KeyboardInterrupt as error:
            raise self._interruption(spec.name, None) from error

    def _advance(self, spec: StageSpec, asked_for: bool) -> StageResult | None:
        with self._stop.at_once():  # this may take a while: samples are looked at, changed files are read
            decision = self._planner.decide(spec)
        if decision.problem is not None:
            raise decision.problem
        started = time.monotonic()
        if decision.action == "reuse":
            decision = self._reuse(spec, decision)
        if decision.action == "keep":
            self._refresh_times(spec.name)
        elif decision.action != "reuse":
            self._attempt(spec, decision)
        self._planner.settle(replace(decision, action="keep"))
        self._done.append(spec.name)
        if decision.action == "keep" and not asked_for:
            return None
        assert decision.fingerprint is not None
        seconds = 0.0 if decision.action == "keep" else time.monotonic() - started
        return StageResult(spec.name, decision.action, seconds, decision.fingerprint, decision.reason)

    def _reuse(self, spec: StageSpec, decision: Decision) -> Decision:
        """The decision, carried out by linking; or another one, where the files to link have gone meanwhile."""
        run = self._run_folder
        while decision.source is not None:
            assert decision.fingerprint is not None
            work = run.work_dir(spec.name, decision.fingerprint)
            with self._stop.at_once():
                manifest = self._link(decision, work)
            if manifest is not None:
                publish(run, manifest)
                origin = manifest.reused_from
                run.events.append("reused", spec.name, fingerprint=decision.fingerprint, source=origin)
                self._say(decision)
                return decision
            files.remove(work)
            self._planner.unusable.add(decision.source)
            decision = self._planner.decide(spec)
        return decision

    def _link(self, decision: Decision, work: Path) -> Manifest | None:
        """The manifest for the files linked into `work`; None if the source is no longer what it was."""
        assert decision.source is not None
        try:
            found = Manifest.read(decision.source)
        except (OSError, ValueError):
            return None
        if found.fingerprint != decision.fingerprint or not link_outputs(decision.source, work, found):
            return None
        origin = Path(os.path.relpath(decision.source, self._run_folder.path)).as_posix()
        return found.with_times_of(work).model_copy(update={"reused_from": origin, "command": self._command})

    def _refresh_times(self, stage: str) -> None:
        """After a copy that did not keep times, record the new ones, so that files are not read at each plan."""
        folder = self._run_folder.stage_dir(stage)
        manifest = Manifest.read(folder)
        if any(not record.looks_like(folder / name) for name, record in manifest.outputs.items()):
            manifest.with_times_of(folder).write(folder)

    def _attempt(self, spec: StageSpec, decision: Decision) -> None:
        """Run a stage and publish it; journal, log and explain what goes wrong."""
        events, fingerprint = self._run_folder.events, decision.fingerprint
        assert fingerprint is not None
        work = self._run_folder.work_dir(spec.name, fingerprint)
        try:
            self._say(decision)
            self._run_and_publish(spec, decision, work)
        except (Interrupted, KeyboardInterrupt) as error:
            with suppress(OSError):  # the disk may be full
                events.append("interrupted", spec.name, fingerprint=fingerprint)
            raise self._interruption(spec.name, work, error) from error
        except Exception as error:
            if self._stop.requested() and not isinstance(error, NcdError):  # a loader process got the signal as well
                with suppress(OSError):
                    events.append("interrupted", spec.name, fingerprint=fingerprint, error=repr(error))
                raise self._interruption(spec.name, work) from error
            explained = explain(error, stage=spec.name, run=self._run_folder, resume=self._resume())
            with suppress(OSError):  # the disk may be full
                events.append("failed", spec.name, fingerprint=fingerprint, error=explained.message)
            raise explained from (None if explained is error else error)

    def _run_and_publish(self, spec: StageSpec, decision: Decision, work: Path) -> None:
        run, began = self._run_folder, time.monotonic()
        assert decision.fingerprint is not None
        resumed = self._prepare(work, spec.name, decision)
        started = now()
        event = "resumed" if resumed else "started"
        run.events.append(event, spec.name, fingerprint=decision.fingerprint, reason=decision.reason)
        if resumed and read_work(work, spec.name, decision.fingerprint) == "finished":
            publish(run, Manifest.read(work))
        else:
            (work / MANIFEST).unlink(missing_ok=True)
            manifest = self._run_stage(spec, work)
            update = {"started": started, "seconds": round(time.monotonic() - began, 3), "resumed": resumed}
            publish(run, manifest.model_copy(update=update))
        seconds = round(time.monotonic() - began, 3)
        run.events.append("finished", spec.name, fingerprint=decision.fingerprint, seconds=seconds)
        logger.info("%s finished after %.3f s", spec.name, seconds)

    @staticmethod
    def _prepare(work: Path, stage: str, decision: Decision) -> bool:
        """Make the work folder; whether there is something in it to resume from. Otherwise it is empty."""
        if decision.action == "resume":
            return True
        files.remove(work)
        work.mkdir(parents=True)
        return False

    def _run_stage(self, spec: StageSpec, work: Path) -> Manifest:
        """Run the stage's code in `work` and check what went in and came out; the manifest to publish with."""
        planner = self._planner
        inputs = planner.input_records(spec)
        provenance.forget_peak_memory()
        self._call(spec, self._context(spec, work, inputs))
        try:
            self._check_unchanged(spec, inputs)
        except NcdError:
            files.remove(work)  # nothing may go on from a checkpoint of mixed origin
            raise
        ingredients = planner.ingredients(spec, inputs=inputs)
        return make_manifest(
            spec, ingredients, outputs=record_outputs(work, spec), resources=self._resources, command=self._command
        )

    def _check_unchanged(self, spec: StageSpec, inputs: Mapping[str, FileRecord]) -> None:
        """Nothing, or NcdError: the stage may have read something else than its fingerprint says."""
        check_inputs_unchanged(self._run_folder, inputs, stage=spec.name)
        if spec.reads_data and self._planner.fresh_identity() != self._planner.identity():
            raise NcdError(
                f"the data changed while `{spec.name}` was reading them: its result is not kept",
                hint="let nothing else write to the data while stages read them",
            )

    def _context(self, spec: StageSpec, work: Path, present: Collection[str]) -> StageContext:
        names = [name for name, _ in map(name_of, spec.inputs) if name in present]
        return StageContext(
            inputs={name: self._run_folder.path / name for name in names},
            output=work,
            stream=stage_stream(self._planner.recipe.seed, spec.name),
            resources=self._resources,
            progress=self._progress,
            data=self._planner.recipe.data if spec.reads_data else None,
            manifests=self._manifests_before(spec) if spec.reads_manifests else {},
            stop_requested=self._stop.asked,
        )

    def _manifests_before(self, spec: StageSpec) -> dict[str, Manifest]:
        """Stage -> manifest of those that the stage reads from, in the order in which they run."""
        settled = self._planner.settled
        return {stage: manifest for stage, manifest in settled.items() if stage in spec.stages_before}

    def _call(self, spec: StageSpec, context: StageContext) -> None:
        config = visible_config(self._planner.recipe, spec)
        with self._stop.at_once():
            if spec.distributed:
                self._crew.run(spec.module, context, config)
            else:
                import_module(spec.module).run(context, config)

    def _say(self, decision: Decision) -> None:
        reason = "running" if decision.reason == NOT_DONE else decision.reason
        self._progress.note(f"{decision.stage}: {reason}")
        logger.info("%s, action %s: %s", decision.stage, decision.action, decision.reason)

    def _interruption(self, stage: str, work: Path | None, error: BaseException | None = None) -> Interrupted:
        code = (
            error.exit_code if isinstance(error, Interrupted) and not self._stop.requested() else self._stop.exit_code
        )
        return interruption(stage=stage, work=work, exit_code=code, resume=self._resume())

    def _resume(self) -> str:
        return resume_command(self._command, done=self._done)
