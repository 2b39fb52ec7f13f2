"""A backbone cut where training begins: what enters the first trained block can be kept, and only the rest be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ncdcli.errors import RecipeError
from ncdcli.models.backbone import Backbone, Cut, InputSpec

TOLERANCE = 1e-4  # greatest difference to the whole backbone, / its greatest output
PROBES = 2  # random inputs on which the two are compared


class LastBlocks(Backbone):
    """The trained rest of a backbone, from what enters its first block to the embedding.

    Parameters, state and modes are those of the whole backbone, so that what is written after training is whole.
    """

    def __init__(self, whole: Backbone, first: int | None, way: int = 0) -> None:
        super().__init__()
        self.whole, self.first, self.way = whole, first, way
        self.dim, self.channels_last = whole.dim, whole.channels_last
        self.cut = Cut(whole, as_it_is) if first is None else whole.cuts(first)[way]

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, …) what the frozen blocks have made of inputs -> (b, dim)."""
        return self.cut.after(inputs)

    def state_dict(self, *args: Any, **keywords: Any) -> dict[str, Any]:  # type: ignore[override]
        return self.whole.state_dict(*args, **keywords)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **keywords: Any) -> Any:
        return self.whole.load_state_dict(state_dict, *args, **keywords)


def cut_where_trained(backbone: Backbone, spec: InputSpec, *, field: str) -> tuple[LastBlocks, tuple[int, ...]]:
    """The trained rest of a backbone, and the shape of what it takes of a sample: features where nothing is trained.

    Of the ways to cut, the first one is taken that gives the outputs of the whole backbone on random inputs.
    RecipeError, which names the `field` that asks for it, where there is none, or the whole backbone is trained.
    """
    first = first_trained(backbone, field=field)
    if first is None:
        return LastBlocks(backbone, None), (backbone.dim,)
    trial, inputs = _trial(backbone, first), _random_inputs(backbone, spec)
    with torch.inference_mode():
        expected = trial(inputs)
        for way in range(len(trial.cuts(first))):
            rest = LastBlocks(trial, first, way)
            entering = rest.cut.before(inputs)
            if _same(rest, entering, expected):
                return LastBlocks(backbone, first, way), tuple(entering.shape[1:])
    raise RecipeError(
        f"`{field}`: this backbone cannot be run from a block in its middle", hint="leave it out, or use e.g. a ViT"
    )


def cut_alike(other: Backbone | None, backbone: Backbone) -> Backbone | None:
    """`other`, a copy whose frozen blocks are those of `backbone`, cut where that one is, if it is."""
    if other is None or not isinstance(backbone, LastBlocks):
        return other
    return LastBlocks(other, backbone.first, backbone.way)


def first_trained(backbone: Backbone, *, field: str) -> int | None:
    """Number of the first block that is trained; None: nothing is. RecipeError where something before blocks is."""
    trained = set(map(id, backbone.trainable()))
    if not trained:
        return None
    blocks, after = backbone.list_blocks()
    first = next((number for number, block in enumerate(blocks) if trained & _parameters(block)), len(blocks))
    reached = set[int]().union(*map(_parameters, [*blocks[first:], *after]))
    if trained <= reached and trained != _parameters(backbone):
        return first
    raise RecipeError(
        f"`{field}` keeps what frozen blocks make of samples, and the whole backbone is trained",
        hint="train the last blocks only (`train_last_blocks: 1`), or leave it out",
    )


def run_in_turn(parts: Sequence[Callable[[Tensor], Tensor]], inputs: Tensor) -> Tensor:
    """What the last of the parts gives, each being given what the one before it gave."""
    for part in parts:
        inputs = part(inputs)
    return inputs


def as_it_is(inputs: Tensor) -> Tensor:
    """The inputs."""
    return inputs


def _parameters(module: nn.Module) -> set[int]:
    return set(map(id, module.parameters()))


def _same(rest: LastBlocks, entering: Tensor, expected: Tensor) -> bool:
    try:
        found = rest(entering)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):  # parts that do not fit together
        return False
    return found.shape == expected.shape and bool(
        (found - expected).abs().max() <= TOLERANCE * expected.abs().max().clamp(min=1e-12)
    )


def _trial(backbone: Backbone, first: int) -> Backbone:
    """A copy in evaluation mode in which all that may come after the cut counts.

    Fresh weights hide differences: biases are zero, attention looks at all tokens alike. Hence noise is added to them.
    """
    trial, rng = deepcopy(backbone).eval(), torch.Generator().manual_seed(1)
    frozen = set().union(*map(_parameters, trial.list_blocks()[0][:first]))
    with torch.no_grad():
        for parameter in (parameter for parameter in trial.parameters() if id(parameter) not in frozen):
            spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
            parameter.add_(torch.randn(parameter.shape, generator=rng), alpha=spread)
    return trial


def _random_inputs(backbone: Backbone, spec: InputSpec) -> Tensor:
    preparation = backbone.preparation
    shape = spec.shape
    if preparation is not None:
        sides = (preparation.size, preparation.size) if preparation.size is not None else spec.shape[1:]
        shape = (preparation.channels, *sides)
    return torch.randn(PROBES, *shape, generator=torch.Generator().manual_seed(0))
