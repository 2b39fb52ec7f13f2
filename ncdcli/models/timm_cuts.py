"""Where timm models can be cut between their blocks.

timm has no call for it: what enters a block is caught there, and from it on the parts run in the order in which models
register them. That need not be right for every model: who cuts compares outputs (`ncdcli.models.cut`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.models.backbone import Cut
from ncdcli.models.cut import run_in_turn
from ncdcli.models.freeze import LISTS, NUMBERED

HEADS = {"global_pool", "attn_pool", "fc_norm", "head_drop", "head", "fc", "classifier"}  # what `forward_head` runs


def timm_cuts(model: Any, blocks: Sequence[nn.Module], first: int) -> list[Cut]:
    """Ways to cut before a block: where only a class token is looked at, first the one that computes no other."""
    before = partial(run_until, model, blocks[first])
    end = [*_between(model), model.forward_head]
    ways = [Cut(before, partial(run_in_turn, [*blocks[first:], *end]))]
    if getattr(model, "global_pool", None) == "token" and hasattr(blocks[-1], "attn"):
        last = partial(first_token, blocks[-1])
        ways.insert(0, Cut(before, partial(run_in_turn, [*blocks[first:-1], last, *end])))
    return ways


class Reached(Exception):
    """Raised where a block would begin."""


def run_until(model: nn.Module, block: nn.Module, inputs: Tensor) -> Tensor:
    """What enters a block of the model."""
    caught: list[Tensor] = []

    def catch(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        caught.append(given[0])
        raise Reached

    hook = block.register_forward_pre_hook(catch)
    try:
        model(inputs)
    except Reached:
        pass
    finally:
        hook.remove()
    return caught[0]


def first_token(block: Any, tokens: Tensor) -> Tensor:
    """(b, 1, d) the first of the tokens that a transformer's block makes of (b, n, d); the others are not computed."""
    first = tokens[:, :1]
    first = first + block.drop_path1(block.ls1(_attend(block.attn, block.norm1(tokens))))
    return first + block.drop_path2(block.ls2(block.mlp(block.norm2(first))))


def _attend(attention: Any, tokens: Tensor) -> Tensor:
    """What the first token gathers from all: keys and values of all, one query."""
    weight, bias, heads = attention.qkv.weight, attention.qkv.bias, attention.num_heads
    width = len(weight) // 3
    query = F.linear(tokens[:, :1], weight[:width], None if bias is None else bias[:width])
    both = F.linear(tokens, weight[width:], None if bias is None else bias[width:])
    keys, values = both.unflatten(2, (2, heads, -1)).permute(2, 0, 3, 1, 4)
    query = attention.q_norm(query.unflatten(2, (heads, -1)).transpose(1, 2))
    gathered = F.scaled_dot_product_attention(query, attention.k_norm(keys), values, scale=attention.scale)
    joined = attention.norm(gathered.transpose(1, 2).flatten(2))
    return attention.proj_drop(attention.proj(joined))


def _between(model: nn.Module) -> list[nn.Module]:
    """What a model runs after its blocks and before its head."""
    children = dict(model.named_children())
    lists = [name for name in LISTS if isinstance(children.get(name), (nn.ModuleList, nn.Sequential))]
    lists += [names[-1] for names in NUMBERED if all(name in children for name in names)]
    names = list(children)
    later = names[names.index(lists[0]) + 1 :]
    end = next((place for place, name in enumerate(later) if name in HEADS), len(later))
    return [children[name] for name in later[:end]]
