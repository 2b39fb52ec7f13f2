"""A backbone that torch's compiler has turned into fewer and larger operations, for training."""

from __future__ import annotations

import torch
from torch import Tensor

from ncdcli.errors import MissingError, NcdError
from ncdcli.models.backbone import Backbone
from ncdcli.objectives.kinds import TrainingConfig

MISSING = {  # error of torch -> what is missing, and what brings it
    "InvalidCxxCompiler": ("a C++ compiler", "`apt install g++`, name yours in `CXX`"),
    "TritonMissing": ("Triton", "`pip install triton`"),
}
HEADERS = "Python.h"  # of which a compiled function has need, and which Debian has in a package of its own


class Compiled(Backbone):
    """A backbone that runs compiled on whole batches, and as it is on any other.

    What is compiled for one shape is faster than what takes all, and is the same whichever batch came first: a training
    that was interrupted goes on to the same bits. Compiling for the last batch of an epoch, too, would take as long
    again, for one step of each epoch. Parameters and buffers are those of the backbone, which stays as it is: weights
    are written, and inference is run, without this. Dropout draws other numbers than without.
    """

    def __init__(self, plain: Backbone, *, section: str) -> None:
        super().__init__()
        self.plain, self.section, self.whole = plain, section, True
        self.dim, self.channels_last, self.preparation = plain.dim, plain.channels_last, plain.preparation
        torch.compiler.reset()  # what earlier trainings of this process compiled counts against a limit
        self.run = torch.compile(plain.forward, dynamic=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, …) -> (b, dim). MissingError without a compiler; NcdError where it fails."""
        if not self.whole:
            return self.plain(inputs)
        try:
            return self.run(inputs)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise _explained(error, self.section) from error


def compiled(backbone: Backbone, config: TrainingConfig, *, section: str) -> Backbone:
    """The backbone, compiled where the recipe asks for it and something in it is trained."""
    return Compiled(backbone, section=section) if config.compile and backbone.trainable() else backbone


def tell_whole(backbone: Backbone, whole: bool) -> None:
    """Say whether the batch that comes is whole."""
    if isinstance(backbone, Compiled):
        backbone.whole = whole


def _explained(error: Exception, section: str) -> NcdError:
    """What a user reads of an error of torch's compiler: its cause, in a line."""
    cause = getattr(error, "inner_exception", error)
    without = f"set `{section}.compile: false`"
    if type(cause).__name__ in MISSING:
        what, how = MISSING[type(cause).__name__]
        message = f"`{section}.compile` needs {what}, and torch finds none"
        return MissingError(message, hint=f"{how}, or {without}")
    if HEADERS in str(cause):
        message = f"`{section}.compile` needs the headers of Python, and `{HEADERS}` is not there"
        return MissingError(message, hint=f"`apt install python3-dev`, or {without}")
    reason = next((line.strip() for line in str(cause).splitlines() if line.strip()), "no reason given")
    return NcdError(f"torch could not compile the backbone: {type(cause).__name__}: {reason}", hint=without)
