"""Training on what a backbone that stays as it is has made of the samples: each is embedded once, not once a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ncdcli.models.backbone import Backbone


class FrozenBackbone(Backbone):
    """Takes embeddings where the backbone that it stands for takes samples; nothing in it is trained.

    Its state is that of the other backbone, so that the weights written after training are whole.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.dim = backbone.dim
        self._stands_for = [backbone]  # in a list: no module of this one, so that no device gets it

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs

    def state_dict(self, *args: Any, **keywords: Any) -> dict[str, Any]:  # type: ignore[override]
        return self._stands_for[0].state_dict(*args, **keywords)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **keywords: Any) -> Any:
        return self._stands_for[0].load_state_dict(state_dict, *args, **keywords)
