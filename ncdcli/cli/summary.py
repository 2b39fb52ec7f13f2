"""What `ncd run` and the other stage commands end with: scores, times, files, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncdcli.cli.output import percent, print_table, print_text, seconds
from ncdcli.cli.requirements import Requirement, check_requirements, raise_missed
from ncdcli.cli.session import Session
from ncdcli.pipeline.spec import BY_NAME
from ncdcli.reports.expected import expected_table, judge
from ncdcli.reports.scores import SUBSETS, headline, numbers_by_path, protocols, read_metrics, rule_text

if TYPE_CHECKING:
    from ncdcli.pipeline.runner import StageResult
    from ncdcli.recipe.schema import Expected
    from ncdcli.run.folder import RunFolder


DONE = {"run": "done", "resume": "resumed, done", "reuse": "reused", "keep": "up to date"}
# Stage -> the file that a person opens after it, and what is in it.
FILES = {
    "split": ("samples.csv", "samples"),
    "pretrain": ("model.json", "model"),
    "embed": ("embeddings.npy", "embeddings"),
    "estimate_k": ("k.json", "number of classes"),
    "joint_training": ("model.json", "model"),
    "cluster": ("assignments.csv", "assignments"),
    "evaluate": ("metrics.json", "scores"),
    "report": ("report.html", "report"),
}
SHOWN_FILES = ("evaluate", "cluster", "report")  # after a command that reaches one of them


def answer_run(
    session: Session,
    folder: RunFolder,
    results: Sequence[StageResult],
    *,
    requirements: Sequence[Requirement],
    expected: Sequence[Expected] = (),
    require_expected: bool = False,
) -> None:
    """Print the result of a stage command; RequirementError, after everything is out, for a missed `--require`."""
    evaluated = any(result.stage == "evaluate" for result in results)
    metrics = read_metrics(folder.path) if evaluated else {}
    published = judge(expected, numbers_by_path(metrics)) if evaluated else []
    outcomes = check_requirements(requirements, metrics)
    last = results[-1].stage
    if session.json:
        session.answer(
            {
                "run": str(folder.path),
                "stages": [_result_json(result) for result in results],
                "headline": headline(metrics) or None,
                "metrics": metrics,
                "requirements": [outcome.as_json() for outcome in outcomes],
                "expected": [item.as_json() for item in published],
                "files": {stage: str(path) for stage, path in _files(folder).items()},
            }
        )
    else:
        _print_stages(results)
        if metrics:
            print_text()
            print_scores(metrics)
        if published:
            print_text()
            print_table(*expected_table(published), right=("ours", "published", "tolerance"))
        print_text()
        reached = [result.stage for result in results]
        for stage in [stage for stage in SHOWN_FILES if stage in reached] or [last]:
            print_text(f"{FILES[stage][1]}: {_file(folder, stage)}")
        print_text(f"next: {next_command(folder, last)}")
    raise_missed(outcomes, published if require_expected else ())


def next_command(folder: RunFolder, last: str) -> str:
    """What one would do after stage `last`."""
    stages = list(BY_NAME)
    if last != stages[-1]:
        return f"ncd run {folder.path}"
    return f"ncd show {folder.path}"


def _file(folder: RunFolder, stage: str) -> Path:
    """The file that a person opens after a stage; the assignments with the user's names where there are some."""
    named = folder.stage_dir("report") / "assignments.csv"
    return named if stage == "cluster" and named.is_file() else folder.stage_dir(stage) / FILES[stage][0]


def _files(folder: RunFolder) -> dict[str, Path]:
    paths = {stage: folder.stage_dir(stage) / name for stage, (name, _) in FILES.items()}
    return {stage: path for stage, path in paths.items() if path.is_file()}


def _print_stages(results: Sequence[StageResult]) -> None:
    rows = [
        (result.stage, DONE[result.action], seconds(None if result.action == "keep" else result.seconds))
        for result in results
    ]
    rows.append(("", "total", seconds(sum(result.seconds for result in results))))
    print_table(("stage", "result", "time"), rows, right=("time",))


def _result_json(result: StageResult) -> dict[str, Any]:
    return {
        "stage": result.stage,
        "action": result.action,
        "seconds": round(result.seconds, 3),
        "reason": result.reason,
        "fingerprint": result.fingerprint,
    }


def print_scores(metrics: Mapping[str, Any], *, everything: bool = False) -> None:
    """Print scores in percent: the headline's protocol, or `everything`, in each split; then what needs no truth."""
    found = protocols(metrics)
    first = headline(metrics).get("name", "")
    protocol = first.partition(".")[0]
    shown = [name for name in found if everything or not first or name.partition(".")[0] == protocol]
    names = sorted(shown, key=lambda name: name != first)
    rows = [(name, *(percent(found[name].get(subset)) for subset in SUBSETS)) for name in names]
    if rows:
        print_table(("protocol.split", "all %", "known %", "novel %"), rows, right=("all %", "known %", "novel %"))
    print_text(classes_text(metrics["k"]))
    print_text(f"selection rule: {rule_text(metrics['selection'])}")
    if everything or not first:
        for line in without_truth(metrics):
            print_text(line)


def classes_text(k: Mapping[str, Any]) -> str:
    """ "number of classes: 11 estimated, 10 true"."""
    true = k.get("true")
    return f"number of classes: {k['estimated']} estimated" + ("" if true is None else f", {true} true")


def without_truth(metrics: Mapping[str, Any]) -> list[str]:
    """Lines on what can be known without true classes, and on what cannot."""
    lines = []
    silhouette, stability = metrics.get("silhouette") or {}, metrics.get("stability") or {}
    if silhouette.get("value") is not None:
        lines.append(f"silhouette of the pool: {silhouette['value']:.3f}")
    if stability.get("ari") is not None:
        lines.append(f"agreement of {stability['seeds']} re-clusterings (ARI): {stability['ari']:.3f}")
    lines += [f"not available: {item['what']}: {item['why']}" for item in metrics.get("not_available", ())]
    return lines
