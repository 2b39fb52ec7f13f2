"""Imports torchvision where torch is a CPU build. Everything else gets torchvision, and timm, from here."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from ncdcli.errors import MissingError

_MISSING_OPERATOR = re.compile(r"operator torchvision::(\w+) does not exist")
_declared: dict[str, Any] = {}  # operator -> its library: the declaration lives as long as the library does


def import_torchvision() -> ModuleType:
    """The torchvision package, imported; MissingError where it cannot be.

    The PyPI wheels of torchvision do not import beside a CPU-only torch: their compiled operators are linked against
    CUDA, do not load, and the Python side then registers shapes for operators that were never declared
    (pytorch/vision#9085). Only if the plain import fails in that way, the operator that the error names is declared,
    without an implementation, and the import is tried again.
    """
    while True:
        try:
            return import_module("torchvision")
        except RuntimeError as error:
            operator = _MISSING_OPERATOR.search(str(error))
            if operator is None or operator[1] in _declared:
                raise MissingError(
                    f"torchvision cannot be imported: {error}",
                    hint="torch and torchvision must be of paired versions, e.g. torch 2.13 with torchvision 0.28",
                ) from error
            _declare(operator[1])
        except ImportError as error:
            raise MissingError(f"torchvision cannot be imported: {error}", hint="`pip install torchvision`") from error


def import_timm() -> ModuleType:
    """The timm package, imported after torchvision, which it needs; MissingError where it cannot be."""
    import_torchvision()
    try:
        return import_module("timm")
    except ImportError as error:
        raise MissingError(f"timm cannot be imported: {error}", hint="`pip install timm`") from error


def declared_operators() -> tuple[str, ...]:
    """Operators of torchvision that had to be declared so far: those that a CPU-only torch lacks."""
    return tuple(_declared)


def _declare(operator: str) -> None:
    """Declare an operator that nobody will call, and forget the half-imported package."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define(f"{operator}(Tensor a, Tensor b, float c) -> Tensor")
    _declared[operator] = library
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
