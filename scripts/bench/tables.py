"""Tables beside the figures of the PBN paper (Troisemaine et al., DMKD 2024, Tables 3 to 7): accuracy on novel rows.

    OMP_NUM_THREADS=1 python scripts/bench/tables.py --data FOLDER --runs FOLDER --seeds 10
    python scripts/bench/tables.py --data FOLDER --runs FOLDER --sets optdigits --methods pbn tabular_ncd --k known

`FOLDER` of the data holds `tables/`. A cell that is finished, one seed of a method on a data set, lies in a JSON file
of `--runs` and is not computed again, unless its recipe or the code of a stage changed; one that is interrupted goes on
where it was. For every data set and method, with k given and with k estimated, the table has

* `ours`: mean ± sd over seeds, as the released code scores the method, which is one of the next two;
* `itself`: novel rows of the test part clustered by themselves; `test`: clusters are those of the pool, and test rows
  go to the nearest novel centroid, or where the novel classifier puts them;
* `pool`: the pool's own rows; then the novel classes that were found.

Hyper-parameters are the published ones where there are some, and those of the recipes. `--sets har census1990 mfeat
cnae9` are the paper's other sets. NCD spectral clustering counts classes in the columns here, and in its own embedding
in the paper. The paper's figures for TabularNCD are by other code with other hyper-parameters, which `tabular_ncd_2024`
has; those of the paper of 2022, whose `tabular_ncd` has, stand beside them. `tabular_ncd_one` is what the released code
of 2024 makes of its `top_k`: one positive for each sample, in place of 5 (Letter) and 14.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ncdcli.cli.main import main as ncd
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import KINDS, ClusterConfig
from ncdcli.data.samples import Samples
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.matching import match_clusters
from ncdcli.pipeline.context import SilentProgress
from ncdcli.pipeline.fingerprint import canonical_json
from ncdcli.pipeline.spec import STAGES
from ncdcli.recipe.base import fields_that_matter, import_kind
from ncdcli.recipe.resolve import load_recipe
from ncdcli.shipped import shipped_recipes

KNOWN = {"optdigits": 5, "pendigits": 5, "letter": 19, "har": 3, "census1990": 12, "mfeat": 5, "cnae9": 4}
SILHOUETTE = "estimate_k={{kind: silhouette, normalize: {unit}, low: {low}, high: {high}}}"
# PBN's released spectral clustering; the similarity and the number of components are published for NCD spectral.
RELEASED = "sigma_convention: released, scaling: none, restarts_rule: lowest_objective, restart_criterion: unsquared"
SPECTRAL = f"cluster={{kind: spectral, affinity: gaussian, similarity: 0.6, {RELEASED}}}"
PAIRS = {
    "known": {
        "optdigits": (0.1160, 37), "pendigits": (0.3784, 15), "letter": (0.9855, 63), "har": (0.6222, 41),
        "census1990": (0.02456, 17), "mfeat": (0.4757, 14), "cnae9": (0.4023, 16),
    },
    "estimated": {
        "optdigits": (0.2041, 26), "pendigits": (0.8615, 18), "letter": (0.9814, 14), "har": (0.2940, 144),
        "census1990": (0.6353, 53), "mfeat": (0.7001, 16), "cnae9": (0.8313, 14),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Method:
    """A row of the table."""

    title: str
    recipe: str  # what follows the name of the data set
    settings: tuple[str, ...]
    column: str  # of the scores, that the published figure is of
    published: dict[str, tuple[str, ...]]  # k known | estimated -> on each of KNOWN
    counts: str | None = None  # whether the silhouette is of unit-length rows; None: the recipe NAME-k says


NONE = ("–",) * len(KNOWN)
TABULAR_NCD = {
    "known": ("73.0 ± 8.4", "57.0 ± 6.0", "62.1", "72.2", "45.2", "90.2", "51.3"),
    "estimated": ("96.9", "57.0", "41.8", "71.1", "35.7", "41.1", "39.3"),
}
METHODS = {
    "kmeans": Method(
        "k-means", "raw", ("cluster.seeding=random",), "test",
        {"known": ("79.1 ± 4.5", "81.7", "50.7", "75.7", "49.9", "89.1", "60.6"), "estimated": NONE}, "false",
    ),
    "ncd_kmeans": Method(
        "NCD k-means", "raw", ("cluster={kind: ncd_kmeans}",), "test",
        {"known": ("94.2 ± 0.0", "81.7", "51.9", "75.9", "50.4", "89.7", "61.2"), "estimated": NONE}, "false",
    ),
    "spectral": Method(
        "spectral", "raw", (SPECTRAL,), "itself",
        {"known": ("89.7", "83.0", "55.9", "76.3", "48.5", "89.6", "53.8"), "estimated": NONE}, "false",
    ),
    "ncd_spectral": Method(
        "NCD spectral", "raw", (), "itself",
        {
            "known": ("95.4 ± 5.3", "81.7", "57.4 ± 5.8", "93.1 ± 9.7", "48.0", "89.2", "69.0"),
            "estimated": ("79.5", "74.1", "34.8", "30.2", "29.0", "73.2", "44.6"),
        }, "false",
    ),
    "baseline": Method(
        "baseline", "baseline", (), "itself",
        {
            "known": ("40.7", "53.4", "64.9 ± 2.6", "71.6", "59.1", "66.7", "40.2"),
            "estimated": ("42.1", "46.7", "64.0", "70.8", "56.6", "59.5", "33.8"),
        },
    ),
    "tabular_ncd": Method(
        "TabularNCD", "tabular-ncd", (), "test",
        {
            "known": ("73.0 ± 8.4", "57.0 ± 6.0; 2022: 85.6", "62.1; 2022: 71.8", "72.2; 2022: 99.0", "45.2", "–", "–"),
            "estimated": TABULAR_NCD["estimated"],
        },
    ),
    "tabular_ncd_one": Method(
        "TabularNCD, one positive", "tabular-ncd", ("joint_training.method.top_k=0.01",), "test", TABULAR_NCD
    ),
    "tabular_ncd_2024": Method("TabularNCD, settings of 2024", "tabular-ncd-2024", (), "test", TABULAR_NCD),
    "pbn": Method(
        "PBN", "pbn", (), "itself",
        {
            "known": ("92.6 ± 2.3", "82.8 ± 0.6", "62.4 ± 2.0", "76.7 ± 1.8", "62.4 ± 0.9", "91.7 ± 0.8", "72.6 ± 4.6"),
            "estimated": ("90.5", "83.0", "61.3", "71.1", "49.8", "90.6", "50.8"),
        },
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """Scores of one run, in %, and the novel classes that it found."""

    itself: float
    test: float
    pool: float
    novel: int


def main() -> None:
    """Run what has not been run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder that holds tables/")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0")
    parser.add_argument("--sets", nargs="*", default=list(KNOWN)[:3], choices=list(KNOWN))
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--k", nargs="*", default=list(PAIRS), choices=list(PAIRS))
    options = parser.parse_args()
    print("| data | k | method | ours | published | itself | test | pool | novel classes |")
    print("|---|---|---|---|---|---|---|---|---|")
    for data, k, name in rows(options):
        results = [cell(data, name, k, seed, options) for seed in range(options.seeds)]
        scores = {key: spread([getattr(r, key) for r in results]) for key in ("itself", "test", "pool")}
        published = METHODS[name].published[k][list(KNOWN).index(data)]
        found = ", ".join(str(result.novel) for result in results)
        first = f"| {data} | {k} | {METHODS[name].title} | {scores[METHODS[name].column]} | {published}"
        print(f"{first} | {' | '.join(scores.values())} | {found} |", flush=True)


def rows(options: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """(data set, k known or estimated, method) of every row that is asked for, and that there is a recipe for."""
    for data, k, name in product(options.sets, options.k, options.methods):
        if recipe_of(data, name, k)[0] in shipped_recipes():
            yield data, k, name


def spread(values: list[float]) -> str:
    """Mean ± standard deviation, in %."""
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=min(1, len(values) - 1)):.1f}"


def cell(data: str, name: str, k: str, seed: int, options: argparse.Namespace) -> Result:
    """The scores of one seed: as they are kept, or after `ncd run` did what is missing."""
    recipe, settings = recipe_of(data, name, k)
    every = [*settings, f"data.root={options.data}", f"seed={seed}", "evaluate.stability_seeds=0"]
    content = canonical_json(fields_that_matter(load_recipe(recipe, every).recipe))
    file = options.runs / f"{data}-{name}-{k}-{seed}.json"
    key = hashlib.sha256(content).hexdigest()
    kept = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    versions = {spec.name: spec.version for spec in STAGES}
    if kept.get("recipe") != key or kept.get("stages", versions) != versions:
        kept = {"recipe": key, "stages": versions, "result": asdict(run(recipe, every, file.with_suffix("")))}
        file.write_text(json.dumps(kept), "utf-8")
    return Result(**kept["result"])


def recipe_of(data: str, name: str, k: str) -> tuple[str, list[str]]:
    """The shipped recipe, and what is set in it."""
    method, known = METHODS[name], KNOWN[data]
    settings = list(method.settings)
    if name == "ncd_spectral":
        similarity, components = PAIRS[k][data]
        settings.append(f"cluster={{kind: {name}, similarity: {similarity}, components: {components}, {RELEASED}}}")
    if k == "known":
        return f"{data}-{method.recipe}", settings
    if method.counts is None:
        return f"{data}-{method.recipe}-k", settings
    settings.append(SILHOUETTE.format(unit=method.counts, low=known + 2, high=known + 29))
    return f"{data}-{method.recipe}", settings


def run(recipe: str, settings: list[str], folder: Path) -> Result:
    """The scores of a run; `ncd` does what is missing."""
    words = ["run", recipe, "--run", str(folder), "--quiet", "--until", "evaluate"]
    with contextlib.redirect_stdout(io.StringIO()):  # in this process: imports would take longer than most cells
        try:
            ncd([*words, *(part for setting in settings for part in ("--set", setting))])
        except SystemExit as end:
            if end.code:
                raise
    metrics = json.loads((folder / "evaluate" / "metrics.json").read_text("utf-8"))
    scores = metrics["ncd_task_aware"]
    test = 100 * scores["test"]["novel"]
    itself = test_by_itself(folder)
    return Result(
        itself=test if itself is None else 100 * itself,
        test=test,
        pool=100 * scores["unlabelled"]["novel"],
        novel=json.loads((folder / "estimate_k" / "k.json").read_text("utf-8"))["n_novel"],
    )


def test_by_itself(folder: Path) -> float | None:
    """Accuracy where the method of the run clusters the novel rows of the test part, and no pool.

    None where a classifier answers: it does the same whatever is beside a row.
    """
    written: dict[str, Any] = json.loads((folder / "cluster" / "clustering.json").read_text("utf-8"))
    config = TypeAdapter(ClusterConfig).validate_json(json.dumps(written["config"]))
    if config.needs_logits:
        return None
    samples = Samples.read(folder / "split" / "samples.csv", folder / "split" / "classes.json")
    with (folder / "split" / "truth.csv").open(newline="") as file:
        truth = np.array([row["class"] for row in csv.DictReader(file)])
    known = np.isin(truth, samples.known)
    novel = np.flatnonzero((samples.roles == "test") & ~known)
    labelled, labels = rows_beside(samples, truth, config.kind)
    embeddings = np.load(folder / "embed" / "embeddings.npy")
    problem = Problem(
        embeddings[np.concatenate([labelled, novel])],
        np.concatenate([labels, np.full(len(novel), -1)]),
        len(samples.known), written["k"], novel_only=True,
    )  # fmt: skip
    rng = np.random.default_rng(json.loads((folder / "cluster" / "manifest.json").read_text("utf-8"))["seed"])
    clustering = import_kind(KINDS, config.kind)(problem, config, rng, SilentProgress())
    table = contingency(clustering.assignments[len(labelled) :], truth[novel])
    match = match_clusters(table.counts)
    return float(table.counts[match >= 0, match[match >= 0]].sum() / table.counts.sum())


def rows_beside(samples: Samples, truth: NDArray[Any], kind: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The labelled rows, and their labels; for NCD spectral clustering those of the test part, as the paper has it."""
    if kind != "ncd_spectral":
        labelled = samples.rows("labelled")
        return labelled, samples.labels[labelled]
    numbers = {name: number for number, name in enumerate(samples.known)}
    chosen = np.flatnonzero((samples.roles == "test") & np.isin(truth, samples.known))
    return chosen, np.array([numbers[name] for name in truth[chosen]], np.int64)


if __name__ == "__main__":
    main()
