"""`Samples`: which sample plays which role, and the labels that may be seen. The artefact of the `split` stage."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.columns import column_names, read_columns, write_columns
from ncdcli.jsonfile import write_json

ROLES = ("labelled", "validation", "unlabelled", "test")


@dataclass(frozen=True)
class Samples:
    """Rows of `samples.csv`, in the order of every array of a run.

    Roles: `labelled` (label may be used), `validation` (known class, held out: part of the pool for training and
    clustering, its label serves choices such as `known-val`), `unlabelled` (the pool), `test` (never trained on).
    The true classes of pool and test samples are not here: only `evaluate` may read them (`split/truth.csv`).
    """

    keys: tuple[str, ...]  # n unique names: a relative path, "train/00017", a row id
    roles: NDArray[np.str_]  # (n,) of ROLES
    labels: NDArray[np.int64]  # (n,) id of the known class for labelled and validation rows, -1 elsewhere
    known: tuple[str, ...]  # names of the known classes; the position is the id
    setting: str  # "gcd": the pool holds known and novel classes; "ncd": novel only
    domains: tuple[str, ...] | None = None  # n names of where samples come from; "": not said; None: the data have none

    def rows(self, *roles: str) -> NDArray[np.int64]:
        """Row numbers, ascending, of the samples in any of `roles`."""
        return np.flatnonzero(np.isin(self.roles, roles))

    @property
    def training_labels(self) -> NDArray[np.int64]:
        """(n,) class ids that training and clustering may use: those of labelled rows, -1 elsewhere."""
        return np.where(self.roles == "labelled", self.labels, -1)

    @property
    def domain_ids(self) -> NDArray[np.int64] | None:
        """(n,) number of each sample's domain in the order of their names, -1 where nobody knows it."""
        if self.domains is None:
            return None
        ids = {name: number for number, name in enumerate(sorted(set(self.domains) - {""}))} | {"": -1}
        return np.fromiter(map(ids.__getitem__, self.domains), np.int64, len(self.domains))

    def write(self, folder: Path) -> None:
        """Write `samples.csv` (row, key, role, class, and domain where there are any) and `classes.json`."""
        names = (*self.known, "")  # label -1 reads the empty name
        classes = [names[label] for label in self.labels.tolist()]
        columns = {"row": range(len(self.keys)), "key": self.keys, "role": self.roles.tolist(), "class": classes}
        of_domains = {} if self.domains is None else {"domain": self.domains}
        write_columns(folder / "samples.csv", columns | of_domains)
        content = {"setting": self.setting, "known": list(self.known)}
        write_json(folder / "classes.json", content)

    @classmethod
    def read(cls, samples_csv: Path, classes_json: Path) -> Samples:
        """The samples that `write` wrote."""
        content = json.loads(classes_json.read_text("utf-8"))
        known = tuple(content["known"])
        ids = {name: position for position, name in enumerate(known)} | {"": -1}
        optional = [name for name in ("domain",) if name in column_names(samples_csv)]
        columns = read_columns(samples_csv, texts=("key", "role", "class", *optional))
        roles = {role: position for position, role in enumerate(ROLES)}
        positions = np.fromiter(map(roles.__getitem__, columns["role"].tolist()), np.int64)
        labels = np.fromiter(map(ids.__getitem__, columns["class"].tolist()), np.int64)
        return cls(
            keys=tuple(columns["key"].tolist()),
            roles=np.array(ROLES)[positions],
            labels=labels,
            known=known,
            setting=content["setting"],
            domains=tuple(columns["domain"].tolist()) if optional else None,
        )
