"""Training only the last blocks of a pretrained network."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ncdcli.errors import RecipeError

LISTS = ("blocks", "stages", "layers")  # how timm names the list of blocks or stages
NUMBERED = (("layer1", "layer2", "layer3", "layer4"), ("s1", "s2", "s3", "s4"))


Blocks = tuple[list[nn.Module], list[nn.Module]]  # in order, and what is trained with the last


def freeze_all_but_last(
    model: nn.Module,
    count: int | Literal["all"],
    *,
    name: str,
    found: Blocks | None = None,
    field: str = "backbone.train_last_blocks",
) -> None:
    """Leave gradients to the last `count` blocks of a model and stop them elsewhere.

    Blocks are those of a transformer, or the stages of a convolutional network. What comes after them is trained with
    them in a convolutional network; the final norm of a transformer stays frozen, as in GCD. `all` freezes nothing.
    `found` are these blocks; default: those that a timm model has. RecipeError, which names the `field`, where the
    model has fewer blocks, or none that are known.
    """
    if count == "all":
        return
    model.requires_grad_(False)
    if count == 0:
        return
    blocks, after = find_blocks(model) if found is None else found
    if not blocks:
        raise RecipeError(
            f"`{name}` has no list of blocks that is known here",
            hint=f"set `{field}` to all or 0",
        )
    if count > len(blocks):
        raise RecipeError(
            f"`{field}` is {count}, and `{name}` has {len(blocks)} blocks",
            hint="all trains everything",
        )
    for module in blocks[-count:] + after:
        module.requires_grad_(True)


def find_blocks(model: nn.Module) -> Blocks:
    """The blocks or stages of a timm model in order, and the modules after them that are trained with them."""
    children = dict(model.named_children())
    for name in LISTS:
        if isinstance(children.get(name), (nn.ModuleList, nn.Sequential)):
            after = [] if "patch_embed" in children else _after(children, name)
            return list(children[name].children()), after
    for names in NUMBERED:
        if all(name in children for name in names):
            return [children[name] for name in names], _after(children, names[-1])
    return [], []


def _after(children: dict[str, nn.Module], name: str) -> list[nn.Module]:
    names = list(children)
    return [children[later] for later in names[names.index(name) + 1 :]]
