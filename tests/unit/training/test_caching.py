"""Training on views that are drawn once, whose way through frozen blocks is kept."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import quickstart
import torch
from toycached import VIEWS, VIT, N, cached, kept, killed_while_making_views, make_job, run
from toytraining import Watcher

from ncdcli.errors import Interrupted, MissingError, NcdError, RecipeError
from ncdcli.joint.kinds import AutoNovel, Cms, CrNcd, Dtc, Gpc, Mcl, ProtoGCD, Selex, SimGCD, Uno
from ncdcli.models.kinds import Timm
from ncdcli.objectives.kinds import Augment, CrossEntropy, SupConInfoNCE
from ncdcli.training import caching
from ncdcli.training.batches import Draw
from ncdcli.training.cached import RECORD, CachedViews, choose_views
from ncdcli.training.oracle import Oracle
from ncdcli.training.selection import epoch_scores

GCD = SupConInfoNCE(head_hidden=16, head_bottleneck=8, head_out=32)
SMALL: dict[str, Any] = {"projector_hidden": 8, "projector_out": 4, "projector_layers": 2}
JOINT = [
    SimGCD(**SMALL), ProtoGCD(**SMALL), Gpc(projector_hidden=8), Cms(projector_out=8),
    Selex(projector_out=16), Uno(hidden=8, projection=4),
    CrNcd(hidden=8, projection=4), AutoNovel(ranks="frozen"), Mcl(pair_epochs=2), Dtc(warmup_epochs=0, restarts=2),
]  # fmt: skip


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The greatest of any weight or statistic."""
    assert one.keys() == other.keys()
    return max(float((one[name].float() - other[name].float()).abs().max()) for name in one)


def moved(job: Any, after: dict[str, torch.Tensor]) -> float:
    """How far training has moved any weight of the backbone."""
    start = make_job(job.output / "start").backbone.state_dict()
    return max(float((start[name] - after[name]).abs().max()) for name in start if "running" not in name)


@pytest.mark.parametrize("blocks", [0, 1, 2])
@pytest.mark.parametrize("views", [1, 3])
def test_without_random_views_an_epoch_ends_with_the_same_weights(tmp_path: Path, blocks: int, views: int) -> None:
    """In fp32. Bit for bit where an image gets the same bits in a batch of another size; weights are of the order 1."""
    fresh = run(make_job(tmp_path / "fresh", blocks=blocks, epochs=3))
    job = make_job(tmp_path / "kept", blocks=blocks, epochs=3, cached_views=views)
    after = run(cached(job))
    assert difference(fresh, after) < 1e-6
    assert blocks == 0 or moved(job, after) > 1e-3
    told = [(folder / "metrics.jsonl").read_text() for folder in (tmp_path / "fresh", tmp_path / "kept")]
    assert [line.split("held_out")[1] for line in told] == [told[0].split("held_out")[1]] * 2


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_transformer_ends_an_epoch_with_the_same_weights(tmp_path: Path, blocks: int) -> None:
    """Although of the last block only the class token is computed."""
    fresh = run(make_job(tmp_path / "fresh", GCD, backbone=VIT, blocks=blocks))
    job = cached(make_job(tmp_path / "kept", GCD, backbone=VIT, blocks=blocks, cached_views=2))
    assert job.backbone.way == 0  # type: ignore[attr-defined]
    assert difference(fresh, run(job)) < 1e-6


@pytest.mark.parametrize("method", JOINT, ids=lambda method: method.kind)
def test_every_method_is_taught_the_same(tmp_path: Path, method: Any) -> None:
    """Also by second backbones and by what is renewed when an epoch begins."""
    fresh = run(make_job(tmp_path / "fresh", method, epochs=2))
    after = run(cached(make_job(tmp_path / "kept", method, epochs=2, cached_views=2)))
    assert difference(fresh, after) < 1e-6


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    given: dict[str, Any] = {"epochs": 3, "cached_views": 3, "augment": VIEWS}
    whole = run(cached(make_job(tmp_path / "whole", GCD, **given)))
    with pytest.raises(Interrupted):
        run(cached(make_job(tmp_path / "parts", GCD, **given)), watcher=Watcher(stop_after=4))
    before = kept(tmp_path / "parts")
    parts = run(cached(make_job(tmp_path / "parts", GCD, **given)))
    assert kept(tmp_path / "parts") == before == kept(tmp_path / "whole")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert (tmp_path / "whole/metrics.jsonl").read_bytes() == (tmp_path / "parts/metrics.jsonl").read_bytes()


@pytest.mark.parametrize("stop_after", [1, 20, N, N + 10])
def test_making_views_can_be_interrupted(tmp_path: Path, stop_after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "VIEWS", 6)
    monkeypatch.setattr(caching, "inference_batch", lambda *_: 2)
    given: dict[str, Any] = {"cached_views": 3, "augment": VIEWS}
    cached(make_job(tmp_path / "whole", GCD, **given))
    with pytest.raises(Interrupted, match="saved"):
        cached(make_job(tmp_path / "parts", GCD, **given), watcher=Watcher(stop_after=stop_after))
    assert not (tmp_path / "parts" / RECORD).exists()
    watcher = Watcher()
    cached(make_job(tmp_path / "parts", GCD, **given), watcher=watcher)
    assert kept(tmp_path / "parts") == kept(tmp_path / "whole")
    assert watcher.ticks == N + 21  # rows; labelled and held-out ones


@pytest.mark.parametrize(("after", "save"), [(4, 0.0), (4, 1e9), (6, 0.0)])
def test_a_kill_while_views_are_made_costs_no_more_than_time(
    tmp_path: Path, after: int, save: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "VIEWS", 6)
    process = quickstart.processes().Process(target=killed_while_making_views, args=(tmp_path / "killed", after, save))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    for name in ("whole", "killed"):
        cached(make_job(tmp_path / name, cached_views=3, augment=VIEWS))
    assert kept(tmp_path / "killed") == kept(tmp_path / "whole")


def test_views_of_another_form_are_made_anew(tmp_path: Path) -> None:
    """A resumed training may find itself on a processor of another precision."""
    make: Any = lambda: make_job(tmp_path / "run", cached_views=2, augment=VIEWS)  # noqa: E731
    cached(make())
    before = kept(tmp_path / "run")
    with pytest.raises(Interrupted):
        cached(make(), precision="bf16", watcher=Watcher(stop_after=1))
    assert not (tmp_path / "run" / RECORD).exists()
    cached(make())
    assert kept(tmp_path / "run") == before
    assert cached(make(), precision="bf16").source.store.dtype == "float16"  # type: ignore[attr-defined]
    assert cached(make(), precision="fp16").source.store.dtype == "float16"  # type: ignore[attr-defined]
    assert [2 * len(half) for half in kept(tmp_path / "run").values()] == [len(full) for full in before.values()]


def test_views_are_those_of_the_recipe(tmp_path: Path) -> None:
    """Each of a sample is another one, and none is the test view, which is kept beside them."""
    job = make_job(tmp_path / "run", cached_views=4, augment=VIEWS)
    source: Any = cached(job).source
    random, centres = np.asarray(source.store.random()), np.asarray(source.store.centres())
    assert random.shape == (15, 4, 8, 4, 4)
    assert centres.shape == (21, 8, 4, 4)
    flat = random.reshape(15, 4, -1)
    assert all(len(np.unique(sample, axis=0)) == 4 for sample in flat)
    device = torch.device("cpu")
    (views,) = source.read([Draw(job.rows[:5], np.full((5, 2, 2), 0.6, np.float32))], None, device)
    np.testing.assert_array_equal(views[0], random[:5, 2])
    np.testing.assert_array_equal(views[1], random[:5, 1])
    (one,) = source.read([Draw(source.store.centre_rows[3:6])], None, device)
    np.testing.assert_array_equal(one[0], centres[3:6])


def test_the_views_of_a_sample_are_different_and_equally_often_taken() -> None:
    chosen = choose_views(np.random.default_rng(0).random((60_000, 3), dtype=np.float32), 5)
    assert chosen.min() == 0
    assert chosen.max() == 4
    assert all(len(set(row)) == 3 for row in chosen[:500].tolist())
    triples, counts = np.unique(chosen, axis=0, return_counts=True)
    assert len(triples) == 60
    assert abs(counts - 1000).max() < 5 * 1000**0.5
    assert choose_views(np.full((1, 2), np.nextafter(1, 0, dtype=np.float32)), 2).tolist() == [[1, 0]]


def test_epochs_take_any_of_the_kept_views(tmp_path: Path, monkeypatch: Any) -> None:
    taken: set[int] = set()
    take = CachedViews._take

    def noting(self: CachedViews, kept: Any, draw: Any) -> Any:
        if draw.crops is not None:
            taken.update(choose_views(draw.crops[:, :, 0], self.store.views).ravel().tolist())
        return take(self, kept, draw)

    monkeypatch.setattr(CachedViews, "_take", noting)
    run(cached(make_job(tmp_path / "run", cached_views=5, augment=VIEWS, epochs=2)))
    assert taken == set(range(5))


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    job = make_job(tmp_path / "run", GCD, cached_views=100)
    size = 45 * 100 * 8 * 4 * 4 * 4 + 21 * 8 * 4 * 4 * 4
    for spare, expected in ((-1, "set `pretrain.cached_views: 99`"), (-size + 1000, "leave `pretrain.cached_views`")):
        free = caching.FREE_BYTES + size + spare
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        with pytest.raises(MissingError, match=r"MB free, and 100 views of 45 samples need 2\.3 MB") as caught:
            cached(job)
        assert expected in caught.value.hint
    assert list((tmp_path / "run").iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=caching.FREE_BYTES + size))
    cached(job)


def test_what_float16_cannot_hold_is_told(tmp_path: Path) -> None:
    job = make_job(tmp_path / "run", cached_views=2)
    with torch.no_grad():
        job.backbone.get_parameter("blocks.5.weight").fill_(1e6)
    with pytest.raises(NcdError, match="beyond float16") as caught:
        cached(job, precision="bf16")
    assert "precision: fp32" in caught.value.hint
    cached(job)


def test_a_backbone_that_is_trained_as_a_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the whole backbone is trained"):
        cached(make_job(tmp_path / "run", blocks="all", cached_views=2))


@pytest.mark.parametrize(
    ("name", "way"),
    [("deit_tiny_distilled_patch16_224", 1), ("resnet18", 0), ("eva02_tiny_patch14_224", None)],
    ids=["two tokens", "stages", "blocks are told positions"],
)
def test_it_is_found_out_whether_a_model_can_be_cut(tmp_path: Path, name: str, way: int | None) -> None:
    model = Timm(name=name, weights="none", image_size=28 if "14" in name else 32)
    job = make_job(tmp_path / "run", backbone=model, cached_views=1)
    before = {key: value.clone() for key, value in job.backbone.state_dict().items()}
    if way is None:
        with pytest.raises(RecipeError, match=r"`pretrain.cached_views`: this backbone cannot be run from a block"):
            cached(job)
    else:
        assert cached(job).backbone.way == way  # type: ignore[attr-defined]
    assert all(torch.equal(before[key], value) for key, value in job.backbone.state_dict().items())


def test_held_out_samples_need_not_be_trained_on(tmp_path: Path) -> None:
    """Rows of the two kinds of views differ, and both ascend."""
    job = cached(make_job(tmp_path / "run", CrossEntropy(), cached_views=1))
    store: Any = job.source.store  # type: ignore[attr-defined]
    assert store.rows.tolist() == list(range(0, N, 3))
    assert store.centre_rows.tolist() == sorted({*range(0, N, 3), *range(1, 18, 3)})
    assert replace(job, held_out=None).config.augment == Augment()


def test_an_oracle_sees_kept_views_as_it_sees_fresh_ones(tmp_path: Path) -> None:
    """Its rows, here such as nothing is trained on, have their test views kept as well."""
    job = make_job(tmp_path / "kept", CrossEntropy(), cached_views=2)
    rows = np.arange(N)[1:18:2]
    job = replace(job, oracle=Oracle(job.source, rows, rows % 3, 2, False, job.stream))
    fresh = epoch_scores(job, torch.device("cpu"))
    assert "oracle_accuracy" in fresh
    assert epoch_scores(cached(job), torch.device("cpu")) == fresh


@pytest.mark.usefixtures("quick_processes")
def test_two_processes_learn_the_same(tmp_path: Path) -> None:
    given: dict[str, Any] = {"cached_views": 3, "augment": VIEWS, "epochs": 2}
    alone = run(cached(make_job(tmp_path / "one", GCD, **given)))
    two = run(cached(make_job(tmp_path / "two", GCD, **given), processes=2), processes=2)
    assert difference(alone, two) < 2e-5
    for one, other in zip(kept(tmp_path / "one").values(), kept(tmp_path / "two").values(), strict=True):
        np.testing.assert_allclose(np.frombuffer(one, "f4"), np.frombuffer(other, "f4"), rtol=1e-5, atol=1e-6)
    assert not list((tmp_path / "two").glob("checkpoint-views-*.json"))
