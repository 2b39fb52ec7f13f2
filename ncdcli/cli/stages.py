"""The commands that run stages: `run`, `pretrain`, `discover`, `eval` and one for each single stage."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ncdcli.cli import options
from ncdcli.cli.bring import bring_data
from ncdcli.cli.requirements import EXPECTED, Requirement, parse_requirement
from ncdcli.cli.session import Session, session_of
from ncdcli.cli.tensorboard import FOLDER, TensorBoardProgress, check_tensorboard
from ncdcli.errors import MissingError, UsageError
from ncdcli.pipeline.spec import BY_NAME, ORACLE

if TYPE_CHECKING:
    from ncdcli.pipeline.context import Resources
    from ncdcli.pipeline.plan import Plan
    from ncdcli.pipeline.runner import StageResult
    from ncdcli.recipe.resolve import ResolvedRecipe
    from ncdcli.run.folder import RunFolder

ALL = tuple(BY_NAME)


@dataclass(frozen=True)
class StageCommand:
    """One command: the stages it runs. Those before them must be done."""

    name: str
    stages: tuple[str, ...]
    help: str


COMMANDS = (
    StageCommand("run", ALL, "Run all stages: from data to scores and a page that shows them."),
    StageCommand("pretrain", ("split", "pretrain"), "Split the data and train the backbone."),
    StageCommand("embed", ("embed",), "Write the embeddings of all samples."),
    StageCommand("estimate-k", ("estimate_k",), "Estimate the number of classes."),
    StageCommand("joint-training", ("joint_training",), "Train embedding and classifier together (some recipes)."),
    StageCommand("cluster", ("cluster",), "Assign every sample to a known or novel class."),
    StageCommand(
        "discover",
        ("embed", "estimate_k", "joint_training", "cluster"),
        "Embed, estimate the number of classes, train jointly where the recipe does, cluster.",
    ),
    StageCommand("eval", ("evaluate", "report"), "Score the clusters, and write the page that shows them."),
)
COMMAND_STAGES = {command.name: command.stages for command in COMMANDS}


@dataclass(frozen=True)
class Request:
    """A stage command with its flags, as typed."""

    command: StageCommand
    target: str
    run: Path | None
    overrides: tuple[str, ...]
    stages: tuple[str, ...]
    force: tuple[str, ...]
    restart: bool
    dry_run: bool
    resources: "Resources"
    requirements: tuple[Requirement, ...]
    tensorboard: bool
    require_expected: bool


def add_stage_commands(app: typer.Typer) -> None:
    """Register every command of `COMMANDS`."""
    for command in COMMANDS:
        app.command(command.name, help=command.help, rich_help_panel="Stages")(_function(command))


def _function(command: StageCommand) -> Callable[..., None]:
    """The function that Typer calls: all stage commands share its signature."""
    until, require = _until_option(command), _require_option(command)

    def function(
        context: typer.Context,
        target: options.Target,
        run: options.RunFolderOption = None,
        overrides: options.SetOption = None,
        until: str | None = until,
        force: options.ForceOption = None,
        restart: options.RestartOption = False,
        dry_run: options.DryRunOption = False,
        require: list[str] | None = require,
        device: options.DeviceOption = "auto",
        devices: options.DevicesOption = 1,
        workers: options.WorkersOption = 0,
        deterministic: options.DeterministicOption = False,
        download: options.DownloadOption = False,
        tensorboard: options.TensorBoardOption = False,
        json: options.JsonOption = False,
        quiet: options.QuietOption = False,
    ) -> None:
        from ncdcli.pipeline.context import Resources

        session = session_of(context, json=json, quiet=quiet)
        stages = _stages(command, until)
        request = Request(
            command=command,
            target=target,
            run=run,
            overrides=tuple(overrides or ()),
            stages=stages,
            force=_forced(force or (), stages, command),
            restart=restart,
            dry_run=dry_run,
            resources=Resources(options.check_device(device), devices, workers, download, deterministic),
            requirements=_requirements(require or (), stages, command),
            tensorboard=tensorboard,
            require_expected=EXPECTED in (require or ()),
        )
        run_stages(request, session)

    return function


def _until_option(command: StageCommand) -> Any:
    """Shown where there is a stage to stop after."""
    hidden = len(command.stages) < 2
    return typer.Option(None, "--until", metavar="STAGE", help="Stop after this stage.", hidden=hidden)


def _require_option(command: StageCommand) -> Any:
    """Shown where there are scores."""
    return typer.Option(
        None,
        "--require",
        metavar="SCORE>=NUMBER",
        help="Exit with 6 unless the score meets the bound, e.g. 'gcd_v2.unlabelled.novel>=0.75'; or unless all are "
        "near what the recipe expects: 'expected'. Repeatable.",
        hidden="evaluate" not in command.stages,
    )


def _stages(command: StageCommand, until: str | None) -> tuple[str, ...]:
    if until is None:
        return command.stages
    last = options.stage_name(until)
    if last not in command.stages:
        raise UsageError(
            f"`ncd {command.name}` does not reach `{last}`", hint=f"its stages are: {', '.join(command.stages)}"
        )
    return command.stages[: command.stages.index(last) + 1]


def _forced(names: "list[str] | tuple[()]", stages: tuple[str, ...], command: StageCommand) -> tuple[str, ...]:
    forced = tuple(options.stage_name(name) for name in names)
    for name in forced:
        if name not in stages:
            raise UsageError(
                f"`--force {name}`: this command does not run `{name}`", hint=f"it runs: {', '.join(stages)}"
            )
    return forced


def _requirements(
    texts: "list[str] | tuple[()]", stages: tuple[str, ...], command: StageCommand
) -> tuple[Requirement, ...]:
    if texts and "evaluate" not in stages:
        raise UsageError(
            "`--require` needs scores, and this command does not run `evaluate`",
            hint="use it with `ncd run` or `ncd eval`",
        )
    return tuple(parse_requirement(text) for text in texts if text != EXPECTED)


def run_stages(request: Request, session: Session) -> None:
    """Check, plan, run, and print the result of a stage command."""
    from ncdcli.cli.status import answer_plan
    from ncdcli.cli.summary import answer_run
    from ncdcli.cli.target import resolve_target
    from ncdcli.pipeline.distributed import is_worker
    from ncdcli.pipeline.plan import make_plan

    resolved, folder = resolve_target(request.target, overrides=request.overrides, run=request.run)
    if is_worker():  # of `torchrun`: process 0 checks, plans and answers
        _execute(request, resolved, folder, session)
        return
    folder.check_writable()
    expected = resolved.recipe.expected
    if request.require_expected and not expected:
        raise _nothing_expected(resolved)
    if request.resources.download and not request.dry_run:
        bring_data([resolved.recipe.data], session)
    plan = make_plan(resolved.recipe, folder, only=request.stages, force=request.force, restart=request.restart)
    _note_oracle(session, resolved)
    if request.resources.deterministic:
        _note_kept(session, folder, plan)
    if request.dry_run:
        answer_plan(session, folder, plan)
        return
    check_ready(request.command.name, request.target, resolved, folder, plan, request.resources)
    if request.tensorboard:
        check_tensorboard()
    if plan.nothing_to_do and not folder.can_be_written:  # somebody else's, or an archive: it can still be shown
        results = _kept(plan)
    else:
        results = _execute(request, resolved, folder, session)
    answer_run(
        session,
        folder,
        results,
        requirements=request.requirements,
        expected=expected,
        require_expected=request.require_expected,
    )


def _nothing_expected(resolved: "ResolvedRecipe") -> UsageError:
    hint = "add `expected: [{metric: …, mean: …, sd: …, source: …}]` to the recipe"
    return UsageError(f"`--require expected`: recipe `{resolved.recipe.name}` names no published figure", hint=hint)


def _note_oracle(session: Session, resolved: "ResolvedRecipe") -> None:
    """Say which trainings look at what they are scored on."""
    for name in ("pretrain", "joint_training"):
        if getattr(getattr(resolved.recipe, name), "selection", None) == ORACLE:
            session.note(f"note: `{name}.selection: {ORACLE}` chooses by the labels that are scored: not comparable")


def _note_kept(session: Session, folder: "RunFolder", plan: "Plan") -> None:
    """Say which results of a GPU, made without `--deterministic`, are to be kept."""
    from ncdcli.run.manifest import Manifest

    for decision in plan.decisions:
        made = folder.stage_dir(decision.stage) if decision.action == "keep" else decision.source
        manifest = None if made is None else Manifest.read(made)
        if manifest is not None and manifest.device.startswith("cuda") and not manifest.deterministic:
            again = f"`--force {decision.stage}` does it again"
            session.note(f"note: {decision.stage} was made without `--deterministic` and is kept: {again}")


def _kept(plan: "Plan") -> "list[StageResult]":
    """The results of a plan that has nothing to do."""
    from ncdcli.pipeline.runner import StageResult

    return [
        StageResult(decision.stage, decision.action, 0.0, decision.fingerprint or "", decision.reason)
        for decision in plan.decisions
    ]


def check_ready(
    command: str, target: str, resolved: "ResolvedRecipe", folder: "RunFolder", plan: "Plan", resources: "Resources"
) -> None:
    """MissingError for an earlier stage, data, weights, package or disk space that is not there."""
    from ncdcli.pipeline.preflight import check_prerequisites

    if plan.blockers:
        blocker = plan.blockers[0]
        first = next(name for name in ("pretrain", "discover", "eval") if blocker.stage in COMMAND_STAGES[name])
        raise MissingError(
            f"`ncd {command}` stands on stage `{blocker.stage}`, which is to be done first: {blocker.reason}",
            hint=f"ncd {first} {folder.path if folder.exists else target}",
        )
    for decision in plan.decisions:
        if decision.problem is not None:
            raise decision.problem
    check_prerequisites(resolved.recipe, folder.path, stages=plan.to_do, resources=resources)


def _execute(
    request: Request, resolved: "ResolvedRecipe", folder: "RunFolder", session: Session
) -> "list[StageResult]":
    from ncdcli.cli.progress import open_progress
    from ncdcli.pipeline.runner import execute

    session.run = folder.path
    progress = open_progress(quiet=session.quiet)
    if request.tensorboard:
        progress = TensorBoardProgress(progress, folder.path / FOLDER)
    return execute(
        resolved,
        folder,
        stages=request.stages,
        force=request.force,
        restart=request.restart,
        resources=request.resources,
        progress=progress,
        command=session.command,
    )
