"""Reads weights from files in the forms that are around: timm, DINO, DINOv2."""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ncdcli.errors import MissingError, NcdError

# Where checkpoints keep their weights; of a teacher and a student, DINO evaluates the teacher.
CONTAINERS = ("teacher", "student", "state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict")
WRAPPERS = ("module.", "_orig_mod.", "backbone.", "model.")
# Parts of a checkpoint that an embedding has no use for.
HEADS = re.compile(r"(^|\.)(head|heads|head_dist|fc|classifier|last_layer|mask_token|dino_head|ibot_head)(\.|$)")
SHOWN = 6
# What torch raises on files that are not its own: it interprets their bytes as instructions.
UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError)


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill a model from a `.safetensors` or `.pth` file; classifier heads in the file are ignored.

    MissingError if the file is not there, NcdError with the names of what does not fit otherwise.
    """
    state = _fit_vit(convert(read_state(path)), model)
    wanted = model.state_dict()
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    missing = sorted(wanted.keys() - state.keys() - counters)
    unknown = sorted(name for name in state.keys() - wanted.keys() if not HEADS.search(name))
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in state and state[name].shape != value.shape
    ]
    faults = [
        f"{len(names)} {label}: {', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''}"
        for label, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if names
    ]
    if faults:
        raise NcdError(
            f"the weights in `{path}` do not fit the model: {'; '.join(faults)}",
            hint="check that `backbone.name` or `backbone.widths` (and `image_size`) is the architecture of the file",
        )
    model.load_state_dict({name: value for name, value in state.items() if name in wanted}, strict=False)


def read_state(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a file, taken out of the checkpoint around them. Pickles are read with `weights_only`."""
    if not path.is_file():
        raise MissingError(f"the weights `{path}` are not there", hint="check `backbone.weights`")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise NcdError(f"`{path}` is not a safetensors file: {error}", hint="check `backbone.weights`") from error
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # DINO keeps its options beside the weights
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise NcdError(
            f"`{path}` cannot be read as weights alone: {(str(error).splitlines() or ['it is empty'])[0]}",
            hint="save its state dict with `safetensors.torch.save_file` where you trust the file",
        ) from error
    return _unwrap(content, path)


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        for name in CONTAINERS:
            if isinstance(content.get(name), Mapping):
                return _unwrap(content[name], path)
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise NcdError(f"`{path}` holds no weights by name", hint="give a state dict in `backbone.weights`")


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names and layout as timm has them.

    Wrappers' prefixes go, and what does not carry them (a projection head beside the backbone) goes with them.
    DINOv2: register tokens and the SwiGLU names; with registers, timm adds the class token's position to the token.
    """
    found = dict(state)
    while prefix := next((p for p in WRAPPERS if any(name.startswith(p) for name in found)), None):
        found = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    found.pop("mask_token", None)
    if "register_tokens" in found:
        found["reg_token"] = found.pop("register_tokens")
        found["cls_token"] = found["cls_token"] + found["pos_embed"][:, :1]
        found["pos_embed"] = found["pos_embed"][:, 1:]
    return {_timm_name(name): value for name, value in found.items()}


def _timm_name(name: str) -> str:
    name = re.sub(r"^blocks\.\d+\.(\d+)\.", r"blocks.\1.", name)  # DINOv2 trains in chunks of blocks
    return name.replace(".mlp.w12.", ".mlp.fc1.").replace(".mlp.w3.", ".mlp.fc2.")


def _fit_vit(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The state with position embeddings interpolated to the model's grid (another image size)."""
    own = getattr(model, "pos_embed", None)
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    given = state.get("pos_embed")
    if not isinstance(own, Tensor) or grid is None or given is None or given.shape == own.shape:
        return state
    from timm.layers import resample_abs_pos_embed

    prefix = own.shape[1] - grid[0] * grid[1]
    if given.ndim != 3 or given.shape[2] != own.shape[2] or round((given.shape[1] - prefix) ** 0.5) < 1:
        return state  # the shapes are reported as they are
    resampled = resample_abs_pos_embed(given.float(), new_size=list(grid), num_prefix_tokens=prefix)
    return {**state, "pos_embed": resampled}
