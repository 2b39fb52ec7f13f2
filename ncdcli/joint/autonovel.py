"""AutoNovel, ranking statistics (Han et al., ICLR 2020, arXiv 2002.05714; TPAMI 2021, arXiv 2106.15252).

Two pool samples are taken for one class where the same dimensions are the largest of their features; a classifier of
the novel classes learns to put such pairs together and the others apart; labelled samples add cross-entropy, and views
of a sample are to be predicted alike. With `incremental` (the paper's IL) the classifier of the known classes gets an
output for every novel one, which learns from the novel classifier's answers, so that the two can be compared.

As published, rotations come before it (`pretrain.objective: {kind: rotation}`), and then the last block and the heads
alone are trained (`train_last_blocks: 1`), on labelled samples first (`supervised_epochs`). Differences from the
released code: these first epochs share the optimizer and the schedule of the others, and both views are trained on. It
has two outputs for a novel class with `incremental`; ours is one: how likely the known classifier finds any novel
class, times what the novel classifier says which.

The same set of largest dimensions is rare where features are few and dense, as those of a small network that ends in a
linear layer: five of 64 tell 5 % of the pairs of one hidden digit (97 % of what they tell is right), and the other 95 %
are to be put apart. `compares: wta` is a successor's comparison (Jia, Han et al., ICCV 2021, arXiv 2104.12673):
winner-take-all hashes, each the greatest of a few dimensions drawn once, of which a fraction must agree. Their number,
size and fraction here are our own. So is that dimensions are brought to one scale before, as batch norm leaves those of
a ResNet, which raises precision at the same recall, and that no ReLU precedes.

`ranks: frozen` is ours, too: pairs are told by the embeddings that `embed` wrote, of undisturbed samples. By current
features of a small network that is trained as a whole, ever more pairs are taken for one class.

The loss puts two groups together where more than about half of the pairs between them are taken for one class; from
less on, it depends on the start, for it keeps the cluster that holds two classes while another one is split. Hence
`heads`, UNO's way out (Fini et al., ICCV 2021): several classifiers of novel classes are trained side by side on the
same features, and the one with the least loss on pairs answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.kinds import AutoNovel as Config
from ncdcli.joint.losses import labelled_cross_entropy
from ncdcli.joint.ramps import sigmoid_ramp
from ncdcli.objectives.base import EpochFacts

TINY = 1e-12  # a variance, before its root is taken
SMALLEST = 1e-7  # a probability, before its logarithm is taken


class TwoHeads(nn.Module):
    """A classifier of known classes (and with `incremental` of all), and one of novel classes, or several of these.

    Of several, the one is used whose loss on pairs, summed in `losses`, is least in the last epoch.
    """

    losses: Tensor | None  # (heads,) of the epoch under way, times batches
    best: Tensor | None  # the novel classifier of the least loss in the epoch before

    def __init__(self, dim: int, *, n_known: int, n_novel: int, incremental: bool, heads: int = 1) -> None:
        super().__init__()
        self.n_known, self.n_novel = n_known, n_novel
        self.known = nn.Linear(dim, n_known + n_novel * incremental)
        self.novel = nn.Linear(dim, n_novel * heads)
        self.register_buffer("losses", torch.zeros(heads) if heads > 1 else None)
        self.register_buffer("best", torch.zeros((), dtype=torch.int64) if heads > 1 else None)
        if incremental:  # novel classes are unlikely at first, as in the released code
            with torch.no_grad():
                self.known.bias[n_known:] = self.known.bias[:n_known].min() - 1

    def forward(self, features: Tensor) -> Tensor:
        """(b, k) logarithms of probabilities, known classes first; without `incremental`, those within each part."""
        known = F.log_softmax(self.known(features), dim=1)
        scores = self.novel_scores(features)
        novel = F.log_softmax(scores[0 if self.losses is None else self.losses.argmin()], dim=1)
        if known.shape[1] > self.n_known:
            any_novel = known[:, self.n_known :].logsumexp(1, keepdim=True)
            known, novel = known[:, : self.n_known], novel + any_novel
        return torch.cat([known, novel], dim=1)

    def novel_scores(self, features: Tensor) -> Tensor:
        """(heads, b, n_novel) of each novel classifier."""
        return self.novel(features).unflatten(1, (-1, self.n_novel)).transpose(0, 1)

    def begin_epoch(self) -> None:
        """Settle which novel classifier was the best, and forget the losses that say so."""
        if self.losses is not None and self.best is not None:
            self.best.copy_(self.losses.argmin())
            self.losses.zero_()


class AutoNovel(JointMethod):
    """Cross-entropy + pairwise cross-entropy + ω(t) · consistency (+ ω₂(t) · incremental cross-entropy), section 3."""

    before: Tensor | None
    windows: Tensor | None

    def __init__(self, config: Config, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, task=task)
        self.config = config
        self.uses_positions = config.ranks == "frozen"
        self.refreshes = config.heads > 1
        sizes = {"n_known": task.n_known, "n_novel": task.n_novel, "heads": config.heads}
        self.head = TwoHeads(dim, incremental=config.incremental, **sizes)
        windows = draw_windows(dim, config.window, config.hashes) if config.compares == "wta" else None
        self.register_buffer("windows", windows)
        self.register_buffer("before", None)
        self.begin_epoch(0, 1)

    def start(self, problem: Problem, rng: np.random.Generator) -> None:
        """Keep the embeddings, where these are what tells pairs."""
        if self.config.ranks == "frozen":
            self.before = self.on_one_scale(torch.from_numpy(problem.embeddings))

    def begin_epoch(self, number: int, epochs: int) -> None:
        since = number - self.config.supervised_epochs
        self.supervised = since < 0
        self.ramp = sigmoid_ramp(epoch=since, epochs=self.config.rampup_epochs)

    def refresh(self, facts: EpochFacts) -> None:
        self.head.begin_epoch()

    def forward(
        self, features: Sequence[Tensor], labels: Tensor, *, positions: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        views = [F.relu(view).float() for view in features]
        if self.supervised:
            return self.of_labelled(views, labels)
        pool = labels < 0
        known = [self.head.known(view) for view in views]
        novel = [F.softmax(self.head.novel_scores(view), dim=2) for view in views]
        probable = [F.softmax(view, dim=1) for view in known]
        same = self.same(features[0], pool, positions)
        heads = zip(novel[0][:, pool], novel[1][:, pool], strict=True)
        pairs = torch.stack([pair_cross_entropy(first, second, same) for first, second in heads])
        if self.head.losses is not None:
            self.head.losses += pairs.detach()
        parts = {
            "cross_entropy": labelled_cross_entropy(known[0], labels),
            "pairs": pairs.mean(),
            "consistency": F.mse_loss(probable[0], probable[1]) + F.mse_loss(novel[0], novel[1]),
        }
        loss = (
            parts["cross_entropy"] + parts["pairs"] + self.config.consistency_weight * self.ramp * parts["consistency"]
        )
        parts["similar"] = same.float().mean() if len(same) else loss.new_zeros(())
        if self.config.incremental:
            best = novel[0][0 if self.head.best is None else self.head.best]
            answers = torch.where(pool, best.argmax(1) + self.task.n_known, -1)
            parts["incremental"] = labelled_cross_entropy(known[0], answers)
            loss = loss + self.config.incremental_weight * self.ramp * parts["incremental"]
        return loss, {name: part.detach() for name, part in parts.items()}

    @torch.no_grad()
    def same(self, features: Tensor, pool: Tensor, positions: Tensor | None) -> Tensor:
        """(p, p) which of the pool samples of a batch are taken for one class, by features of it or those before."""
        if self.before is not None and positions is not None:
            ranked = self.before[positions[pool]]
        else:
            ranked = self.on_one_scale(features.detach().float())[pool]
        if self.windows is None:
            return same_top(F.relu(ranked), self.config.top)
        return same_winners(ranked, self.windows, self.config.agreement)

    def on_one_scale(self, features: Tensor) -> Tensor:
        """The rows as they are compared: for `wta` with mean 0 and variance 1 in each dimension."""
        if self.windows is None:
            return features
        centred = features - features.mean(0)
        return centred / centred.square().mean(0).add(TINY).sqrt()

    def of_labelled(self, views: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss before the pool has a say: cross-entropy of both views."""
        known = self.head.known(torch.cat(list(views)))[:, : self.task.n_known]
        loss = labelled_cross_entropy(known, labels.repeat(2))
        return loss, {"cross_entropy": loss.detach()}

    def logits(self, features: Tensor) -> Tensor:
        return self.head(F.relu(features))


def same_top(features: Tensor, top: int) -> Tensor:
    """(b, b) whether the sets of the `top` largest dimensions of two of the (b, dim) rows are the same."""
    chosen = torch.zeros_like(features, dtype=torch.bool)
    chosen.scatter_(1, features.topk(min(top, features.shape[1]), dim=1).indices, True)
    shared = chosen.float() @ chosen.float().T
    return shared == chosen.sum(1).float()


def draw_windows(dim: int, window: int, hashes: int) -> Tensor:
    """(hashes, window) random dimensions, those of each row different."""
    return torch.rand(hashes, dim).argsort(dim=1)[:, : min(window, dim)]


def same_winners(features: Tensor, windows: Tensor, agreement: float) -> Tensor:
    """(b, b) whether in a fraction `agreement` of the (h, window) windows the same dimension of both rows wins."""
    winners = F.one_hot(features[:, windows].argmax(2), windows.shape[1]).flatten(1).float()
    return winners @ winners.T >= agreement * len(windows)


def pair_cross_entropy(first: Tensor, second: Tensor, same: Tensor) -> Tensor:
    """Mean over ordered pairs of `−log s` where they are the `same`, else of `−log (1 − s)`; s is `pᵢ · p′ⱼ`.

    `first` and `second` are (b, k) probabilities of two views of the same samples; zero for an empty batch.
    """
    if len(first) == 0:
        return first.sum()
    agreement = first @ second.T
    likelihood = torch.where(same, agreement, 1 - agreement)
    return -(likelihood + SMALLEST).log().mean()
