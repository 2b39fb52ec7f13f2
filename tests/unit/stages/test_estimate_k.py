"""What the `estimate_k` stage writes."""

import numpy as np
import pytest

from ncdcli.counting.kinds import SECTIONS, CountingConfig, Fixed, MaxAcc, Silhouette, SncScore
from ncdcli.errors import RecipeError
from ncdcli.recipe.base import fields_that_matter
from ncdcli.recipe.shape import kinds_of
from ncdcli.stages import estimate_k


@pytest.mark.parametrize("setting", ["gcd", "ncd"])
@pytest.mark.parametrize("config", [Silhouette(restarts=3), Fixed(k=4)])
def test_k_counts_known_and_novel_classes_in_both_settings(make_run, setting, config):
    run = make_run(setting=setting)
    run.stage(estimate_k, "estimate_k", estimate_k=config)
    document = run.json("estimate_k/k.json")
    assert (document["k"], document["n_known"], document["n_novel"]) == (4, 2, 2)
    assert document["criterion"] == config.kind
    low, high = document["interval"]
    assert low <= 4 <= high


def test_scores_are_written_for_every_candidate(make_run):
    run = make_run()
    run.stage(estimate_k, "estimate_k", estimate_k=MaxAcc(search="all", restarts=2, low=2, high=6))
    scores = {int(row["k"]): float(row["score"]) for row in run.rows("estimate_k/scores.csv")}
    document = run.json("estimate_k/k.json")
    assert list(scores) == [2, 3, 4, 5, 6]
    assert document["range"] == [2, 6]
    assert scores[document["k"]] == document["statistics"]["accuracy"]
    assert max(scores.values()) == document["statistics"]["best_accuracy"]


def test_both_criteria_are_written(make_run):
    run = make_run()
    run.stage(estimate_k, "estimate_k", estimate_k=MaxAcc(restarts=2, low=2, high=6))
    rows = {int(row["k"]): row for row in run.rows("estimate_k/scores.csv")}
    document = run.json("estimate_k/k.json")
    first, last = document["interval"]
    deciding = {k: float(row["silhouette"]) for k, row in rows.items() if row["silhouette"]}
    assert set(deciding) == set(range(first, last + 1))
    assert max(deciding, key=deciding.get) == document["k"] == 4
    assert document["statistics"]["silhouette"] == deciding[4]
    assert document["statistics"]["ties"] == "silhouette"


def test_counting_on_unit_length_leaves_the_embeddings_as_they_are(make_run):
    """Classes along a ray each, spread in length: only directions tell how many there are."""
    run = make_run(setting="ncd")
    path = run.folder / "embed" / "embeddings.npy"
    given = np.load(path)
    lengths = np.random.default_rng(0).uniform(0.01, 100, (len(given), 1))
    np.save(path, (given * lengths).astype(np.float32))
    run.stage(estimate_k, "estimate_k", estimate_k=Silhouette(restarts=3, normalize=True))
    stretched = run.json("estimate_k/k.json")
    np.save(path, given / np.linalg.norm(given, axis=1, keepdims=True))
    run.stage(estimate_k, "estimate_k", estimate_k=Silhouette(restarts=3))
    assert stretched["k"] == run.json("estimate_k/k.json")["k"] == 4


@pytest.mark.parametrize("kind", sorted({*SECTIONS, "consensus"}))
def test_every_criterion_can_count_on_unit_length_and_says_nothing_where_it_does_not(kind):
    section = kinds_of(CountingConfig)[kind]
    assert section(normalize=True).normalize
    assert section().normalize is False
    assert ("normalize" in fields_that_matter(section())) == (kind != "snc_score")  # which got it later


def test_selective_neighbours_by_distance_count_on_unit_length(make_run):
    run = make_run()
    path = run.folder / "embed" / "embeddings.npy"
    given = np.load(path)
    unit = (given / np.linalg.norm(given.astype(np.float64), axis=1, keepdims=True)).astype(np.float32)
    np.save(path, given * np.random.default_rng(0).uniform(0.01, 100, (len(given), 1)).astype(np.float32))
    run.stage(estimate_k, "estimate_k", estimate_k=SncScore(spherical=False, normalize=True))
    stretched = run.json("estimate_k/k.json")
    run.stage(estimate_k, "estimate_k", estimate_k=SncScore(spherical=False))
    assert run.json("estimate_k/k.json") != stretched
    np.save(path, unit)
    run.stage(estimate_k, "estimate_k", estimate_k=SncScore(spherical=False))
    plain = run.json("estimate_k/k.json")
    assert (plain["k"], plain["interval"]) == (stretched["k"], stretched["interval"])
    assert plain["statistics"]["level_counts"] == stretched["statistics"]["level_counts"]
    assert plain["statistics"]["silhouette"] == pytest.approx(stretched["statistics"]["silhouette"], rel=1e-4)


def test_fixed_has_no_scores(make_run):
    run = make_run()
    run.stage(estimate_k, "estimate_k", estimate_k=Fixed(k=5))
    assert run.rows("estimate_k/scores.csv") == []
    assert run.json("estimate_k/k.json")["range"] == [5, 5]


def test_fixed_refuses_a_k_without_room_for_a_novel_class_in_the_ncd_setting(make_run):
    run = make_run(setting="ncd")
    with pytest.raises(RecipeError, match=r"`estimate_k.k` is 2, too few for 2 known classes and at least one novel"):
        run.stage(estimate_k, "estimate_k", estimate_k=Fixed(k=2))
