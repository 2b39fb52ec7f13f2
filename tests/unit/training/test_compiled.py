"""A compiled backbone trains as a plain one does, on whole batches; others run as they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from toytraining import Watcher

from ncdcli.errors import Interrupted, MissingError, NcdError
from ncdcli.models.kinds import Identity, Mlp
from ncdcli.objectives.kinds import Augment, CrossEntropy, PretrainConfig, SupConInfoNCE
from ncdcli.training import compiled

GCD = SupConInfoNCE(head_hidden=32, head_bottleneck=8, head_out=64)
FIELDS: dict[str, Any] = {"objective": GCD, "epochs": 2, "batch_size": 16, "augment": Augment(noise=0.1)}
STEADY = Mlp(hidden=(16,), dim=8)  # without dropout; with batch norm
compiles = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch compiles for a CPU by `g++`, which is not there"
)


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is compiled here is found again here only: nothing of an earlier run of the tests is.

    Without vector instructions: which ones the compiler knows would be found out first, by compiling.
    """
    from torch._inductor import cpu_vec_isa

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_vec_isa, "valid_vec_isa_list", list)
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        yield


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of what a compiled function is given; none is really compiled."""
    seen = list[tuple[int, ...]]()

    def compile_nothing(run: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        def runs(inputs: torch.Tensor) -> Any:
            seen.append(tuple(inputs.shape))
            return run(inputs)

        return runs

    monkeypatch.setattr(torch, "compile", compile_nothing)
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)
    return seen


def test_only_whole_batches_run_compiled(fit: Any, shapes: list[tuple[int, ...]], tmp_path: Path) -> None:
    """90 rows are five batches of 16, and one of 10. With the same numbers every bit is that of a plain training."""
    plain = fit("plain", PretrainConfig(**FIELDS))
    assert not shapes
    assert fit("compiled", PretrainConfig(**FIELDS, compile=True)) == plain
    assert shapes == 2 * 5 * [(32, 12)]
    one, other = (tmp_path / name / "model.safetensors" for name in ("plain", "compiled"))
    assert one.read_bytes() == other.read_bytes()


def test_parts_of_whole_batches_run_compiled(fit: Any, shapes: list[tuple[int, ...]]) -> None:
    """On the way back each part passes once more, as it did on the way there."""
    fit("parts", PretrainConfig(**{**FIELDS, "epochs": 1}, compile=True, accumulate=2))
    assert shapes == 5 * 4 * [(16, 12)]


def test_a_backbone_of_which_nothing_is_trained_is_not_compiled(fit: Any, shapes: list[tuple[int, ...]]) -> None:
    fit("frozen", PretrainConfig(epochs=1, compile=True), backbone=Identity())
    assert not shapes


@pytest.mark.slow
@compiles
def test_losses_and_names_are_those_of_a_plain_training(fit: Any, tmp_path: Path) -> None:
    torch._dynamo.utils.counters.clear()
    plain = fit("plain", PretrainConfig(**FIELDS), backbone=STEADY)
    other = fit("compiled", PretrainConfig(**FIELDS, compile=True), backbone=STEADY)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert other["metrics"]["loss"] == pytest.approx(plain["metrics"]["loss"], rel=1e-5)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("plain", "compiled"))
    assert list(one) == list(two)
    assert all(one[name].dtype == two[name].dtype for name in one)


@pytest.mark.slow
@compiles
def test_an_interrupted_training_goes_on_to_the_same_bits(fit: Any, tmp_path: Path) -> None:
    """Where the next batch is the smaller last one of an epoch. With dropout, and without what else takes compiling."""
    config, backbone = PretrainConfig(**FIELDS, compile=True), Mlp(hidden=(16,), dim=8, dropout=0.2, batch_norm=False)
    fit("whole", config, backbone=backbone)
    with pytest.raises(Interrupted):
        fit("parts", config, backbone=backbone, watcher=Watcher(stop_after=5))
    fit("parts", config, backbone=backbone)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


@pytest.mark.slow
def test_without_a_compiler_the_way_out_is_told(fit: Any) -> None:
    """Of another shape than elsewhere: what was compiled before needs no compiler."""
    from torch._inductor import config, cpp_builder

    cpp_builder.cpp_compiler_search.cache_clear()
    none = config.patch({"cpp.cxx": (None, "no-such-compiler")})
    try:
        with none, pytest.raises(MissingError, match="torch finds none") as caught:
            fit("none", PretrainConfig(**FIELDS, compile=True), backbone=Mlp(hidden=(17,), dim=7))
    finally:
        cpp_builder.cpp_compiler_search.cache_clear()
    assert "g++" in caught.value.hint
    assert "`pretrain.compile: false`" in caught.value.hint


def raised(error: Exception) -> NcdError:
    return compiled._explained(error, "joint_training")


def test_errors_of_the_compiler_are_told_in_a_line() -> None:
    triton = raised(type("TritonMissing", (RuntimeError,), {})("Cannot find a working triton installation."))
    assert isinstance(triton, MissingError)
    assert triton.message == "`joint_training.compile` needs Triton, and torch finds none"
    assert triton.hint == "`pip install triton`, or set `joint_training.compile: false`"
    missing = raised(RuntimeError("g++ ended with 1\nfatal error: Python.h: No such file or directory"))
    assert isinstance(missing, MissingError)
    assert "python3-dev" in missing.hint
    other = raised(RuntimeError("\nno lowering for an operator\nmore"))
    assert not isinstance(other, MissingError)
    assert other.message == "torch could not compile the backbone: RuntimeError: no lowering for an operator"
    assert other.hint == "set `joint_training.compile: false`"


def test_a_recipe_of_an_objective_without_views_compiles(fit: Any, shapes: list[tuple[int, ...]]) -> None:
    fit("plain", PretrainConfig(objective=CrossEntropy(), epochs=1, batch_size=10, compile=True))
    assert shapes == 3 * [(10, 12)]
