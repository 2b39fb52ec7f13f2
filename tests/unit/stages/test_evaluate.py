"""The stages from embeddings to scores, on blobs that are easy to cluster."""

import csv
import json
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from ncdcli.clustering.kinds import KMeans, SemiKMeans
from ncdcli.counting.kinds import Fixed, MaxAcc
from ncdcli.data.samples import Samples
from ncdcli.errors import DataError
from ncdcli.pipeline.context import Resources, StageContext, stage_stream
from ncdcli.recipe.schema import EvaluateConfig
from ncdcli.stages import cluster, estimate_k, evaluate

CLASSES = ("ant", "bee", "cat", "dog")  # the first two are known


class Silent:
    @contextmanager
    def track(self, title, total):
        yield lambda advance=1, /, **values: None

    def note(self, message):
        pass


class Run:
    """A run folder with `split` and `embed` done: four blobs in five dimensions, 40 train and 10 test rows each."""

    def __init__(self, folder, *, setting="gcd", truth="all", test=True, seed=0):
        rng = np.random.default_rng(seed)
        self.folder = folder
        middles = np.eye(4, 5) * 6
        classes = np.repeat(np.arange(4), 50)
        roles = np.tile(["labelled"] * 15 + ["validation"] * 5 + ["unlabelled"] * 20 + ["test"] * 10, 4)
        novel = classes >= 2
        roles[novel & (roles != "test")] = "unlabelled"
        if setting == "ncd":
            roles[~novel & (roles == "unlabelled")] = "labelled"
        keep = roles != "test" if not test else np.ones(len(roles), bool)
        classes, roles = classes[keep], roles[keep]
        self.classes, self.roles = classes, roles
        self.embeddings = (middles[classes] + rng.normal(size=(len(classes), 5))).astype(np.float32)
        labels = np.where(np.isin(roles, ["labelled", "validation"]), classes, -1)
        keys = tuple(f"sample/{row}" for row in range(len(classes)))
        for name in ("split", "embed", "estimate_k", "cluster", "evaluate"):
            (folder / name).mkdir(parents=True)
        Samples(keys, roles, labels, CLASSES[:2], setting).write(folder / "split")
        np.save(folder / "embed" / "embeddings.npy", self.embeddings)
        self.write_truth(truth if not isinstance(truth, str) else None if truth == "none" else classes >= 0)

    def write_truth(self, known):
        path = self.folder / "split" / "truth.csv"
        path.unlink(missing_ok=True)
        if known is not None:
            lines = [f"{row},{CLASSES[c] if known[row] else ''}" for row, c in enumerate(self.classes)]
            path.write_text("\n".join(["row,class", *lines]) + "\n")

    def context(self, stage):
        inputs = {
            str(path.relative_to(self.folder)): path
            for path in self.folder.rglob("*.*")
            if path.parent.name != "evaluate" and (stage == "evaluate" or path.name != "truth.csv")
        }
        return StageContext(inputs, self.folder / stage, stage_stream(0, stage), Resources(), Silent())

    def stage(self, module, name, **config):
        module.run(self.context(name), SimpleNamespace(**config))

    def go(self, *, k=4, kind=None, **options):
        self.stage(estimate_k, "estimate_k", estimate_k=k if not isinstance(k, int) else Fixed(k=k))
        self.stage(cluster, "cluster", cluster=kind or SemiKMeans(restarts=3))
        self.stage(evaluate, "evaluate", evaluate=EvaluateConfig(**options))
        return self.json("evaluate/metrics.json")

    def json(self, name):
        return json.loads((self.folder / name).read_text())

    def rows(self, name):
        with open(self.folder / name, newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def make_run(tmp_path):
    return lambda **options: Run(tmp_path / "run", **options)


@pytest.mark.parametrize("kind", [SemiKMeans(restarts=3), SemiKMeans(init="gcd", restarts=3), KMeans(restarts=3)])
def test_separated_blobs_are_scored_perfect(make_run, kind):
    metrics = make_run().go(kind=kind)
    assert metrics["headline"] == {"protocol": "gcd_v2", "split": "unlabelled", "all": 1.0, "known": 1.0, "novel": 1.0}
    for protocol in ("gcd_v1", "gcd_v2_balanced", "balanced_accuracy", "nmi", "ari"):
        assert metrics[protocol]["test"] == pytest.approx({"all": 1.0, "known": 1.0, "novel": 1.0})
    assert metrics["gcd_v2"]["validation"] == {"all": 1.0, "known": 1.0, "novel": None}
    assert metrics["k"] == {"estimated": 4, "true": 4, "error": 0}
    assert metrics["selection"] == "last"
    assert metrics["rows"]["unlabelled"] == {"scored": 120, "total": 120}
    assert metrics["stability"]["ari"] == 1.0
    assert metrics["not_available"] == []


def test_assignments_name_known_classes_and_keep_labelled_rows_in_them(make_run):
    run = make_run()
    run.go()
    rows = run.rows("cluster/assignments.csv")
    assert [row["key"] for row in rows] == [f"sample/{row}" for row in range(200)]
    for row, c in zip(rows, run.classes, strict=True):
        assert row["match"] == (CLASSES[c] if c < 2 else "novel")
        assert int(row["cluster"]) == c if c < 2 else int(row["cluster"]) in (2, 3)
        assert 0 <= float(row["margin"]) <= 1
    document = run.json("cluster/clustering.json")
    assert document["matched"] == [0, 1, -1, -1]
    assert sorted(document["sizes"]) == [50, 50, 50, 50]
    assert np.load(run.folder / "cluster" / "centroids.npy").shape == (4, 5)


def test_scores_are_those_of_a_hand_made_clustering(make_run):
    run = make_run(test=False)
    run.go()
    # Move 4 of the 20 unlabelled ants into the cluster of the bees, and all dogs into the cluster of the cats.
    path = run.folder / "cluster" / "assignments.csv"
    rows = run.rows("cluster/assignments.csv")
    ants = [row for row in rows if run.classes[int(row["row"])] == 0 and row["role"] == "unlabelled"]
    cat = next(row["cluster"] for row in rows if run.classes[int(row["row"])] == 2)
    for row in ants[:4]:
        row["cluster"] = "1"
    for row in rows:
        if run.classes[int(row["row"])] == 3:
            row["cluster"] = cat
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    run.stage(evaluate, "evaluate", evaluate=EvaluateConfig(stability_seeds=0))
    metrics = run.json("evaluate/metrics.json")
    # unlabelled: 20 ants (16 right), 20 bees, 40 cats, 40 dogs (no cluster left for them)
    assert metrics["gcd_v2"]["unlabelled"] == pytest.approx({"all": 76 / 120, "known": 36 / 40, "novel": 40 / 80})
    assert metrics["gcd_v2_balanced"]["unlabelled"] == pytest.approx({"all": 2.8 / 4, "known": 0.9, "novel": 0.5})
    assert metrics["known_accuracy"]["unlabelled"] == pytest.approx({"all": 0.9, "known": 0.9, "novel": None})
    per_class = {row["class"]: row for row in run.rows("evaluate/per_class.csv") if row["split"] == "unlabelled"}
    assert float(per_class["ant"]["recall"]) == pytest.approx(0.8)
    assert float(per_class["bee"]["precision"]) == pytest.approx(20 / 24)
    lost = "dog" if per_class["dog"]["cluster"] == "" else "cat"
    assert per_class[lost]["recall"] == "0.0"
    assert per_class[lost]["precision"] == ""
    confusion = np.load(run.folder / "evaluate" / "confusion.npy")
    assert confusion[:, 0].tolist() == [16, 4, 0, 0]
    assert confusion.sum(axis=0).tolist() == [20, 20, 40, 40]
    assert run.json("evaluate/matching.json")["splits"]["unlabelled"]["0"] == "ant"


def test_without_truth_it_gives_what_can_be_known_and_names_what_cannot(make_run):
    run = make_run(truth="none")
    metrics = run.go()
    assert metrics["headline"] == {
        "protocol": "gcd_v2",
        "split": "unlabelled",
        "all": None,
        "known": None,
        "novel": None,
    }
    assert metrics["known_accuracy"] == {"validation": {"all": 1.0, "known": 1.0, "novel": None}}
    assert metrics["k"] == {"estimated": 4, "true": None, "error": None}
    assert metrics["silhouette"]["value"] > 0.5
    assert metrics["stability"] == {"ari": 1.0, "ari_to_run": 1.0, "seeds": 3, "rows": 130}
    assert metrics["sizes"]["labelled"] == [15, 15, 0, 0]
    assert {entry["what"] for entry in metrics["not_available"]} == {"unlabelled", "test", "k.true"}


def test_rows_without_truth_are_left_out_and_counted(make_run):
    run = make_run(truth=np.arange(200) % 2 == 0)
    metrics = run.go()
    assert metrics["rows"]["unlabelled"] == {"scored": 60, "total": 120}
    assert metrics["gcd_v2"]["unlabelled"]["all"] == 1.0
    assert metrics["k"]["true"] is None


def test_no_truth_and_no_validation_gives_no_tables(make_run, tmp_path):
    run = make_run(truth="none", setting="ncd")
    samples = run.folder / "split" / "samples.csv"
    text = samples.read_text().replace("validation", "labelled")
    samples.write_text(text)
    metrics = run.go()
    assert metrics["headline"]["protocol"] == "ncd_task_aware"
    assert not (run.folder / "evaluate" / "per_class.csv").exists()
    assert not (run.folder / "evaluate" / "matching.json").exists()
    assert metrics["silhouette"]["value"] > 0.5


@pytest.mark.parametrize("kind", [SemiKMeans(restarts=3), SemiKMeans(init="gcd", restarts=3), KMeans(restarts=3)])
def test_ncd_puts_the_pool_in_novel_clusters_only(make_run, kind):
    run = make_run(setting="ncd")
    metrics = run.go(kind=kind)
    rows = run.rows("cluster/assignments.csv")
    assert {row["cluster"] for row in rows if row["role"] == "unlabelled"} == {"2", "3"}
    assert {row["cluster"] for row in rows if row["role"] == "labelled"} == {"0", "1"}
    assert {row["task_aware"] for row in rows if row["role"] == "test"} == {"2", "3"}
    assert {row["task_aware"] for row in rows if row["role"] == "validation"} == {"0", "1"}
    assert metrics["headline"] == {
        "protocol": "ncd_task_aware", "split": "unlabelled", "all": 1.0, "known": None, "novel": 1.0,
    }  # fmt: skip
    assert metrics["ncd_task_agnostic"]["test"] == {"all": 1.0, "known": 1.0, "novel": 1.0}
    assert metrics["ncd_task_agnostic_strict"]["test"] == {"all": 1.0, "known": 1.0, "novel": 1.0}
    assert metrics["gcd_v2"]["unlabelled"] == {"all": 1.0, "known": None, "novel": 1.0}


def test_an_absent_split_makes_the_headline_null(make_run):
    metrics = make_run(test=False).go(split="test")
    assert metrics["headline"]["all"] is None
    assert {"what": "test", "why": "there are no test samples"} in metrics["not_available"]


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    found = []
    for name in ("one", "two"):
        run = Run(tmp_path / name, setting="gcd")
        run.go(k=MaxAcc(restarts=2))
        files = sorted(path for path in run.folder.rglob("*.*"))
        found.append([(path.name, path.read_bytes()) for path in files])
    assert found[0] == found[1]


def test_nothing_before_evaluate_depends_on_novel_truth(tmp_path):
    for name, truth in (("one", "all"), ("two", "none")):
        Run(tmp_path / name, truth=truth).go(k=MaxAcc(restarts=2))
    for file in ("estimate_k/k.json", "estimate_k/scores.csv", "cluster/assignments.csv", "cluster/centroids.npy"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_embeddings_that_are_not_finite_are_refused_with_their_rows(make_run):
    run = make_run()
    run.embeddings[[7, 31]] = np.nan, np.inf
    np.save(run.folder / "embed" / "embeddings.npy", run.embeddings)
    with pytest.raises(DataError, match=r"2 samples have .* row 7, 31 of 200"):
        run.go()
