"""The gate between known classes and novelty."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from ncdcli.joint.gate import Gate


def test_known_and_novel_classes_share_one_distribution() -> None:
    gate = Gate(4, 3)
    features, novel = torch.randn(6, 4), torch.randn(6, 2)
    p = gate(features, novel).detach().exp().double().numpy()
    split = gate.linear(features).softmax(1).detach().double().numpy()
    among = novel.softmax(1).double().numpy()
    expected = np.concatenate([split[:, :3], split[:, 3:] * among], axis=1)
    np.testing.assert_allclose(p, expected, rtol=1e-5)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)


def test_it_learns_that_the_pool_is_novel_and_leaves_the_features_alone() -> None:
    gate = Gate(4, 3)
    features, labels = torch.randn(6, 4, requires_grad=True), torch.tensor([0, -1, 2, -1, 1, 0])
    loss = gate.loss(features, labels)
    assert torch.allclose(loss, F.cross_entropy(gate.linear(features), torch.tensor([0, 3, 2, 3, 1, 0])))
    loss.backward()
    assert features.grad is None
    assert gate.linear.weight.grad is not None
