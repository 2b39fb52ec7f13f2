from __future__ import annotations

import pytest
import torch
from torch import nn

from ncdcli.objectives.kinds import Optimizer, Schedule
from ncdcli.training.optim import learning_rate, make_optimizer


def test_cosine_is_torchs_own() -> None:
    epochs, lr, final = 20, 0.1, 1e-3
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs, eta_min=lr * final)
    for epoch in range(epochs):
        given = learning_rate(Schedule(final_fraction=final), lr, epoch, epochs)
        assert given == pytest.approx(scheduler.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        scheduler.step()


def test_warm_up_climbs_to_the_rate_and_the_cosine_starts_there() -> None:
    schedule = Schedule(warmup_epochs=4)
    rates = [learning_rate(schedule, 1.0, epoch, 10) for epoch in range(6)]
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[5] < 1.0


def test_constant_stays() -> None:
    schedule = Schedule(kind="constant", warmup_epochs=1)
    assert [learning_rate(schedule, 0.3, epoch, 3) for epoch in range(3)] == [0.3, 0.3, 0.3]


def test_norms_and_biases_can_be_spared_the_decay() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2, bias=False))
    module[2].requires_grad_(False)
    whole = make_optimizer(Optimizer(weight_decay=0.1), [module])
    assert [(len(group["params"]), group["weight_decay"]) for group in whole.param_groups] == [(4, 0.1)]
    spared = make_optimizer(Optimizer(kind="sgd", weight_decay=0.1, decay_norms_and_biases=False), [module])
    groups = [([tuple(p.shape) for p in group["params"]], group["weight_decay"]) for group in spared.param_groups]
    assert groups == [([(4, 3)], 0.1), ([(4,), (4,), (4,)], 0.0)]
    assert spared.param_groups[0]["momentum"] == 0.9


def test_adamw_takes_the_steps_of_the_plain_one() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(5, 3), torch.randn(4, 5, 3)
    ours, plain = nn.Linear(3, 5, bias=False), nn.Parameter(start.clone())
    ours.weight.data.copy_(start)
    quick = make_optimizer(Optimizer(kind="adamw", lr=0.01, weight_decay=0.1), [ours])
    slow = torch.optim.AdamW([plain], lr=0.01, weight_decay=0.1, foreach=False, fused=False)
    for gradient in gradients:
        ours.weight.grad, plain.grad = gradient.clone(), gradient.clone()
        quick.step()
        slow.step()
    assert torch.allclose(ours.weight, plain, rtol=0, atol=1e-6)
