"""Where torch computes, and in which number format."""

from __future__ import annotations

import torch

from ncdcli.errors import MissingError, UsageError

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}  # precisions of 16 bits


def pick_device(name: str) -> torch.device:
    """The device for `auto | cpu | cuda | cuda:N | mps`; MissingError where it is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"no such device: `{name}`", hint="--device takes auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda":
        _check_cuda(device.index or 0)
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise MissingError("this machine has no MPS device, or torch cannot use it", hint="--device cpu")
    if device.type not in ("cpu", "mps"):
        raise UsageError(f"no such device: `{name}`", hint="--device takes auto, cpu, cuda, cuda:N or mps")
    return device


def _check_cuda(index: int) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        found = f"{count} CUDA device{'s' * (count != 1)}" if count else "no CUDA device"
        raise MissingError(
            f"`cuda:{index}` was asked for, and torch sees {found}",
            hint="--device cpu, or install a CUDA build of torch (https://pytorch.org/get-started)",
        )


def pick_precision(name: str, device: torch.device) -> str:
    """`fp32`, `bf16` or `fp16`; `auto` is bf16 where the processor multiplies bf16 in hardware, and never fp16."""
    return name if name != "auto" else "bf16" if has_bf16(device) else "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """What computes products in the format of a precision within its `with` block, for inference."""
    return torch.autocast(device.type, HALF.get(precision, torch.bfloat16), enabled=precision in HALF)


def has_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bf16 products (an emulation is slower than fp32)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return False
