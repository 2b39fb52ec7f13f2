"""What is to be done and why: read from the recipe and the run folder, writing nothing.

`--dry-run`, `ncd status` and the runner take the same decisions from here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from ncdcli.errors import MissingError, NcdError, UsageError
from ncdcli.pipeline.fingerprint import DATA, IDENTITY, Ingredients, canonical_json, changes, stage_config
from ncdcli.pipeline.spec import STAGES, StageSpec, is_of_a_stage, name_of, stages_of
from ncdcli.pipeline.work import find_reusable, interrupted_at, read_work
from ncdcli.run.folder import NOT_DONE, RunFolder
from ncdcli.run.lock import Owner
from ncdcli.run.manifest import FileRecord, Manifest

Action = Literal["run", "resume", "reuse", "keep", "depends"]
Identity = Callable[[Any], dict[str, Any]]  # data section -> JSON-able identity of the samples outside the run


@dataclass(frozen=True)
class Decision:
    """What happens to one stage, and why in plain words.

    run: from the start; resume: from its checkpoint; reuse: linked from elsewhere; keep: done; depends: kept if the
    stages before it, which have to be done, turn out to write the same.
    """

    stage: str
    action: Action
    reason: str
    fingerprint: str | None = None  # None while a stage before it is still to be done
    source: Path | None = None  # reuse: the stage folder to link from
    problem: NcdError | None = None  # why the stage cannot be run now


@dataclass(frozen=True)
class Plan:
    """Decisions in the order of the stages."""

    decisions: tuple[Decision, ...]
    blockers: tuple[Decision, ...] = ()  # stages that were not asked for, have to be done first, and are not done
    owner: Owner | None = None  # the process that writes to the run at this moment

    @property
    def nothing_to_do(self) -> bool:
        """Whether every stage asked for is done."""
        return all(decision.action == "keep" for decision in self.decisions)

    @property
    def to_do(self) -> tuple[str, ...]:
        """Names of the stages whose code may run."""
        return tuple(decision.stage for decision in self.decisions if decision.action in ("run", "resume", "depends"))

    def __getitem__(self, stage: str) -> Decision:
        return next(decision for decision in self.decisions if decision.stage == stage)


def make_plan(
    recipe: Any,
    run: RunFolder,
    *,
    until: str | None = None,
    only: Sequence[str] | None = None,
    force: Collection[str] = (),
    restart: bool = False,
    verify: bool = False,
    table: Sequence[StageSpec] = STAGES,
    identity: Identity | None = None,
) -> Plan:
    """Decisions for the stages up to `until`, or for `only` those named; all of them by default.

    Stages that `only` leaves out and that the named ones stand on are in the plan where another run's result serves
    for them, and among `blockers` where they would have to run. `force` names stages that are run even if done;
    `restart` says that checkpoints are not used; `verify` reads every output again. UsageError for unknown names and
    for a folder that is not a run.
    """
    run.check_writable()
    selected = select(table, until=until, only=only)
    table = stages_of(recipe, table)
    if not any(spec.name in selected for spec in table):
        raise UsageError(f"this recipe has no stage `{selected[-1]}`", hint=f"add a section `{selected[-1]}` to it")
    unknown = [name for name in force if name not in {spec.name for spec in table}]
    if unknown:
        raise UsageError(f"no stage is named `{unknown[0]}`", hint=_names(table))
    planner = Planner(recipe, run, force=force, restart=restart, verify=verify, identity=identity)
    decisions, blockers = [], []
    for spec in needed(table, selected):
        decision = planner.decide(spec)
        planner.settle(decision)
        if spec.name in selected or decision.action == "reuse":
            decisions.append(decision)
        elif decision.action != "keep":
            blockers.append(decision)
    return Plan(tuple(decisions), tuple(blockers), run.owner())


def select(table: Sequence[StageSpec], *, until: str | None = None, only: Sequence[str] | None = None) -> list[str]:
    """Names of the stages asked for, in the table's order. UsageError for a name that the table does not have."""
    names = [spec.name for spec in table]
    for name in [*(only or ()), *([until] if until else [])]:
        if name not in names:
            raise UsageError(f"no stage is named `{name}`", hint=_names(table))
    last = names.index(until) if until else len(names) - 1
    return [name for name in names[: last + 1] if only is None or name in only]


def needed(table: Sequence[StageSpec], selected: Collection[str]) -> list[StageSpec]:
    """The selected stages and all that they stand on, in the table's order."""
    names = set(selected)
    for spec in reversed(table):
        if spec.name in names:
            names |= spec.stages_before
    return [spec for spec in table if spec.name in names]


class Planner:
    """Decides stage by stage. Stages that are done, or will be by linking, are `settled`: their outputs are known."""

    def __init__(
        self,
        recipe: Any,
        run: RunFolder,
        *,
        force: Collection[str] = (),
        restart: bool = False,
        verify: bool = False,
        identity: Identity | None = None,
    ) -> None:
        self.recipe = recipe
        self.run = run
        self.settled: dict[str, Manifest] = {}
        self.unusable: set[Path] = set()  # stage folders that turned out not to be reusable
        self._force = force
        self._restart = restart
        self._verify = verify
        self._identify = identity or _data_identity
        self._known_identity: dict[str, Any] | None = None

    def settle(self, decision: Decision) -> None:
        """Remember the outputs of a stage that the decision keeps or reuses."""
        folder = self.run.stage_dir(decision.stage) if decision.action == "keep" else decision.source
        if folder is not None:
            self.settled[decision.stage] = Manifest.read(folder)

    def decide(self, spec: StageSpec) -> Decision:
        """The decision for a stage. Those before it must have been decided."""
        before = [stage for stage in spec.inputs_by_stage if stage not in self.settled]
        manifest, trouble = self.run.state(spec.name)
        if DATA in spec.sections:
            try:
                self.identity()
            except NcdError as problem:
                return self._decide_without_data(spec, manifest, trouble, problem)
        if before:
            return self._decide_early(spec, manifest, trouble, before)
        return self._decide_fully(spec, manifest, trouble)

    def ingredients(self, spec: StageSpec, *, inputs: Mapping[str, FileRecord]) -> Ingredients:
        """All that the stage's result depends on, given its input files."""
        config = stage_config(self.recipe, spec)
        if DATA in spec.sections and self._known_identity is not None:
            config[IDENTITY] = self._known_identity
        digests = {name: record.sha256 for name, record in inputs.items()}
        return Ingredients(spec.name, spec.version, config, self.recipe.seed, digests)

    def input_records(self, spec: StageSpec) -> dict[str, FileRecord]:
        """Input file -> its record in the manifest of the settled stage that wrote it, without absent optional ones.

        Files that a user puts in the run folder are read.
        """
        records = {}
        for name, optional in map(name_of, spec.inputs):
            if not is_of_a_stage(name):
                if (self.run.path / name).is_file():
                    records[name] = FileRecord.of(self.run.path / name)
                continue
            stage, file = name.split("/", 1)
            record = self.settled[stage].outputs.get(file)
            if record is not None:
                records[name] = record
            elif not optional:
                raise NcdError(f"stage `{spec.name}` needs `{name}`, which `{stage}` did not write")
        return records

    def identity(self) -> dict[str, Any]:
        """Identity of the samples outside the run, found out once."""
        if self._known_identity is None:
            self._known_identity = self.fresh_identity()
        return self._known_identity

    def fresh_identity(self) -> dict[str, Any]:
        """Identity of the samples outside the run, as they are at this moment."""
        return json.loads(canonical_json(self._identify(self.recipe.data)))

    def _decide_without_data(
        self, spec: StageSpec, manifest: Manifest | None, trouble: str, problem: NcdError
    ) -> Decision:
        """Data that are not on this machine do not undo what was made from them elsewhere."""
        now = self.ingredients(spec, inputs={})
        why = self._why_stale(spec, manifest, trouble, now, inputs_known=False)
        if manifest is not None and not why and isinstance(problem, MissingError):
            reason = f"done; not compared with the data, which are not here: {problem.message}"
            return Decision(spec.name, "keep", reason, manifest.fingerprint)
        return Decision(spec.name, "run", why or problem.message, problem=problem)

    def _decide_early(
        self, spec: StageSpec, manifest: Manifest | None, trouble: str, before: Sequence[str]
    ) -> Decision:
        """While a stage before it is still to be done, only the stage's own settings can be compared."""
        why = self._why_stale(spec, manifest, trouble, self.ingredients(spec, inputs={}), inputs_known=False)
        if why:
            return Decision(spec.name, "run", why)
        stages = " and ".join(filter(None, [", ".join(f"`{stage}`" for stage in before[:-1]), f"`{before[-1]}`"]))
        whose = "its" if len(before) == 1 else "their"
        return Decision(spec.name, "depends", f"depends on {stages}: kept if {whose} output is unchanged")

    def _decide_fully(self, spec: StageSpec, manifest: Manifest | None, trouble: str) -> Decision:
        now = self.ingredients(spec, inputs=self.input_records(spec))
        fingerprint = now.fingerprint
        why = self._why_stale(spec, manifest, trouble, now, inputs_known=True)
        if not why:
            return Decision(spec.name, "keep", "done", fingerprint)
        if spec.name not in self._force:
            source = find_reusable(self.run, spec.name, fingerprint, without=self.unusable, verify=self._verify)
            if source is not None:
                return Decision(spec.name, "reuse", _joined(why, _reuse_reason(source)), fingerprint, source)
        return self._decide_work(Decision(spec.name, "run", why, fingerprint))

    def _decide_work(self, decision: Decision) -> Decision:
        """The decision to run, in the light of what an interrupted attempt at the same has left."""
        assert decision.fingerprint is not None
        folder = self.run.work_dir(decision.stage, decision.fingerprint)
        left = read_work(folder, decision.stage, decision.fingerprint)
        if left is None:
            return decision
        when = f"interrupted at {_local(interrupted_at(folder))}"
        if self._restart:
            return replace(decision, reason=_joined(decision.reason, f"{when}: starts again, as asked"))
        if left == "finished":
            return replace(
                decision, action="resume", reason=_joined(decision.reason, f"{when}, complete: put in place")
            )
        if left == "checkpoint":
            return replace(decision, action="resume", reason=_joined(decision.reason, f"{when}: resumes"))
        return replace(decision, reason=_joined(decision.reason, f"{when}, before any checkpoint: starts again"))

    def _why_stale(
        self, spec: StageSpec, manifest: Manifest | None, trouble: str, now: Ingredients, *, inputs_known: bool
    ) -> str:
        """Why the finished stage does not serve, in plain words; empty if it does, as far as can be seen."""
        if manifest is None:
            return trouble
        found = changes(manifest, now, inputs_known=inputs_known)
        if inputs_known and not found and manifest.fingerprint != now.fingerprint:
            found = ["its fingerprint is not that of its ingredients"]
        changed = manifest.changed_outputs(self.run.stage_dir(spec.name), verify=self._verify)
        if changed:
            found.append(f"an output is missing or was changed: {', '.join(changed)}")
        if not found and spec.name in self._force:
            found = ["asked for (`--force`)"]
        return "; ".join(found)


def _data_identity(data: Any) -> dict[str, Any]:
    from ncdcli.data.resolve import data_identity

    return data_identity(data)


def _joined(why: str, more: str) -> str:
    return more if why == NOT_DONE else f"{why}; {more}"


def _reuse_reason(source: Path) -> str:
    if source.parent.name == ".old":
        return "same fingerprint in an earlier result of this run: reused"
    return f"same fingerprint in run `{source.parent.name}`: reused"


def _local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def _names(table: Sequence[StageSpec]) -> str:
    return f"stages: {', '.join(spec.name for spec in table)}"
