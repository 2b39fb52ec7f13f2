"""GPC: semi-supervised Gaussian mixtures for generalized category discovery (Zhao, Wen & Han, ICCV 2023).

Expectation and maximisation by turns (arXiv 2305.06144): before an epoch, a mixture is fitted to the embeddings of all
training rows, labelled rows in the components of their classes, and its number of components is found by splits and
merges; in the epoch, embeddings are drawn to the prototypes of their components, beside GCD's contrastive losses.

The mixture is that of `ncdcli.clustering.semi_gmm`, which says where it differs from GPC's. There is no classifier: the
answer is the same mixture, fitted once more (`cluster: {kind: semi_gmm}`). As in the released code all rows have a
prototype, labelled ones that of their class, and the projector has 128 outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiGmm
from ncdcli.clustering.rows import unit_rows
from ncdcli.clustering.semi_gmm import cluster
from ncdcli.clustering.sums import group_sums
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.contrast import both_weighted, contrast, detached, make_projector
from ncdcli.joint.kinds import Gpc as Config
from ncdcli.objectives.base import EpochFacts
from ncdcli.pipeline.context import SilentProgress

SIZE_OFFSET = 10  # rows that are added to a cluster's before the logarithm of its size is taken, as in PCL
CLIPPED = (10, 90)  # percentiles at which the concentrations of clusters end


class Gpc(JointMethod):
    """(1 − w) · InfoNCE + w · SupCon + cross-entropy of both views over the prototypes, section 3."""

    kept = ()
    uses_positions = True
    refreshes = True
    prototypes: Tensor  # (k, dim), of unit length
    concentrations: Tensor  # (k,) temperatures
    clusters: Tensor  # (n,) prototype of each training row

    def __init__(self, config: Config, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, task=task)
        self.config = config
        self.mixture = SemiGmm(restarts=config.restarts, rounds=config.rounds, start=config.first_k)
        self.projector = make_projector(config, dim)
        self.register_buffer("prototypes", torch.zeros(0, dim))
        self.register_buffer("concentrations", torch.zeros(0))
        self.register_buffer("clusters", torch.zeros(0, dtype=torch.int64))

    @property
    def k(self) -> int | None:
        """Number of clusters of the last mixture; as given before there is one."""
        return len(self.prototypes) or self.task.k

    def refresh(self, facts: EpochFacts) -> None:
        """Fit the mixture, unless it is too early or not yet time again."""
        since = facts.number - self.config.warmup_epochs
        if since < 0 or since % self.config.refresh_epochs:
            return
        rows = unit_rows(facts.features().float().cpu().numpy())
        task = self.task
        problem = Problem(rows, facts.labels.cpu().numpy(), task.n_known, task.k, task.setting == "ncd")
        found = cluster(problem, self.mixture, facts.rng, SilentProgress())
        prototypes, concentrations, clusters = make_prototypes(rows, found.assignments, mean=self.config.concentration)
        device = self.prototypes.device
        self.prototypes = torch.from_numpy(prototypes).to(device)
        self.concentrations = torch.from_numpy(concentrations).to(device)
        self.clusters = torch.from_numpy(clusters).to(device)

    def forward(  # type: ignore[override]
        self, features: Sequence[Tensor], labels: Tensor, *, positions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        both = torch.cat(list(features))
        parts = contrast(self.projector, both, labels, self.config)
        loss = both_weighted(parts, self.config.supervised_weight)
        if len(self.prototypes):
            targets = self.clusters[positions].repeat(2)
            parts["prototypes"] = prototype_loss(both, targets, self.prototypes, self.concentrations)
            loss = loss + self.config.prototype_weight * parts["prototypes"]
        return loss, detached(parts)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Make room for as many prototypes as the state has."""
        for name in ("prototypes", "concentrations", "clusters"):
            if (kept := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(kept, device=self.prototypes.device))
        super()._load_from_state_dict(state_dict, prefix, *args)


def prototype_loss(features: Tensor, targets: Tensor, prototypes: Tensor, concentrations: Tensor) -> Tensor:
    """Mean cross-entropy over prototypes, whose logits are cosines divided by the concentration of each.

    `features` (b, d) have any length, `targets` (b,) are numbers of the (k, d) unit-length prototypes (PCL, Li et al.
    2021, arXiv 2005.04966, eq. 11, with all prototypes in place of a sample of them).
    """
    with torch.autocast(features.device.type, enabled=False):
        cosines = F.normalize(features.float(), dim=1) @ prototypes.T
        return F.cross_entropy(cosines / concentrations, targets)


def make_prototypes(
    rows: NDArray[np.float32], clusters: NDArray[np.int64], *, mean: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """(k, d) unit-length prototypes, (k,) concentrations, (n,) prototype of each of the (n, d) unit-length rows.

    Clusters without rows have no prototype. A prototype is the direction of its rows' mean, a concentration their mean
    distance to the mean over log(rows + 10); that of a single row is the greatest there is. They are clipped to the
    10th and 90th percentile and scaled to the `mean` (PCL, eq. 12, and its released code).
    """
    _, clusters = np.unique(clusters, return_inverse=True)
    clusters = clusters.reshape(-1).astype(np.int64)
    sizes = np.bincount(clusters)
    means = group_sums(rows, clusters, len(sizes)) / sizes[:, None]
    distances = np.linalg.norm(rows - means[clusters], axis=1)
    widths = np.bincount(clusters, weights=distances) / sizes / np.log(sizes + SIZE_OFFSET)
    widths[sizes == 1] = widths.max()
    widths = np.clip(widths, *np.percentile(widths, CLIPPED))
    average = widths.mean()
    concentrations = np.full(len(widths), mean) if average == 0 else mean * widths / average
    return unit_rows(means.astype(np.float32)), concentrations.astype(np.float32), clusters
