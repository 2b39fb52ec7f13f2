"""What the `cluster` stage writes."""

import numpy as np
import pytest

from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.counting.kinds import MaxAcc
from ncdcli.errors import DataError

CLASSES = ("ant", "bee", "cat", "dog")  # the first two are known


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


def test_the_same_inputs_give_the_same_bytes(make_run):
    found = []
    for name in ("one", "two"):
        run = make_run(name)
        run.go(k=MaxAcc(restarts=2))
        found.append([(path.name, path.read_bytes()) for path in sorted(run.folder.rglob("*.*"))])
    assert found[0] == found[1]


def test_nothing_before_evaluate_depends_on_novel_truth(make_run):
    runs = [make_run("one", truth="all"), make_run("two", truth="none")]
    for run in runs:
        run.go(k=MaxAcc(restarts=2))
    for file in ("estimate_k/k.json", "estimate_k/scores.csv", "cluster/assignments.csv", "cluster/centroids.npy"):
        assert (runs[0].folder / file).read_bytes() == (runs[1].folder / file).read_bytes()


def test_rows_that_were_not_clustered_go_to_the_nearest_centroid(make_run):
    run = make_run()
    run.go(kind=SemiKMeans(restarts=1))
    centroids = np.load(run.folder / "cluster" / "centroids.npy")
    for row in run.rows("cluster/assignments.csv"):
        if row["role"] == "test":
            distances = np.linalg.norm(run.embeddings[int(row["row"])] - centroids, axis=1)
            assert int(row["cluster"]) == distances.argmin()
            first, second = sorted(distances)[:2]
            assert float(row["margin"]) == pytest.approx((second - first) / second, rel=1e-4)


def test_test_rows_change_nothing_but_their_own_assignment(make_run):
    run, other = make_run("one"), make_run("two")
    other.embeddings[other.roles == "test"] += 3
    np.save(other.folder / "embed" / "embeddings.npy", other.embeddings)
    for each in (run, other):
        each.go(k=MaxAcc(restarts=2))
    for file in ("estimate_k/k.json", "cluster/centroids.npy"):
        assert (run.folder / file).read_bytes() == (other.folder / file).read_bytes()


def test_embeddings_that_are_not_finite_are_refused_with_their_rows(make_run):
    run = make_run()
    run.embeddings[7, 0], run.embeddings[31] = np.nan, np.inf
    np.save(run.folder / "embed" / "embeddings.npy", run.embeddings)
    with pytest.raises(DataError, match=r"2 samples have .* row 7, 31 of 200"):
        run.go()


def test_embeddings_of_other_samples_are_refused(make_run):
    run = make_run()
    np.save(run.folder / "embed" / "embeddings.npy", run.embeddings[:-1])
    with pytest.raises(DataError, match="199 embeddings for 200 samples"):
        run.go()
