"""Scores of runs on blobs that are easy to cluster."""

import csv
import json

import numpy as np
import pytest

from ncdcli.clustering.kinds import KMeans, SemiKMeans
from ncdcli.metrics import stability
from ncdcli.recipe.schema import EvaluateConfig
from ncdcli.stages import evaluate

CLASSES = ("ant", "bee", "cat", "dog")  # the first two are known


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


def test_reclusterings_that_would_take_too_long_are_left_out_and_named(make_run, monkeypatch):
    monkeypatch.setattr(stability, "MOST_PRODUCTS", 79 * 4 * 205)  # 79 rows of 150, and 4 clusters
    metrics = make_run().go()
    assert metrics["stability"] is None
    (missing,) = metrics["not_available"]
    assert missing["what"] == "stability"
    assert missing["why"].startswith("4 clusters take long to find again")


def test_reclusterings_of_a_sample_tell_its_size(make_run, monkeypatch):
    monkeypatch.setattr(stability, "MOST_PRODUCTS", 100 * 4 * 205)
    assert make_run().go()["stability"]["rows"] == 81  # 130 of the 160 rows are unlabelled


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


def test_the_rule_that_chose_the_epoch_is_stamped(make_run):
    run = make_run()
    (run.folder / "pretrain").mkdir()
    (run.folder / "pretrain" / "model.json").write_text('{"dim": 5, "training": {"selection": "known-val"}}')
    assert run.go()["selection"] == "known-val"


@pytest.mark.parametrize(("first", "second"), [("oracle", "last"), ("last", "oracle"), ("oracle", "known-val")])
def test_what_an_oracle_has_touched_is_stamped_whatever_came_after_it(make_run, first, second):
    run = make_run()
    (run.folder / "joint_training").mkdir()
    for stage, rule in (("pretrain", first), ("joint_training", second)):
        (run.folder / stage).mkdir(exist_ok=True)
        (run.folder / stage / "model.json").write_text(json.dumps({"dim": 5, "training": {"selection": rule}}))
    np.save(run.folder / "joint_training" / "embeddings.npy", run.embeddings)
    assert run.go()["selection"] == "oracle"
