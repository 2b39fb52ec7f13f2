"""`Samples`: which sample plays which role, and the labels that may be seen. The artefact of the `split` stage."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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

    def rows(self, *roles: str) -> NDArray[np.int64]:
        """Row numbers, ascending, of the samples in any of `roles`."""
        return np.flatnonzero(np.isin(self.roles, roles))

    @property
    def training_labels(self) -> NDArray[np.int64]:
        """(n,) class ids that training and clustering may use: those of labelled rows, -1 elsewhere."""
        return np.where(self.roles == "labelled", self.labels, -1)

    def write(self, folder: Path) -> None:
        """Write `samples.csv` (row, key, role, class) and `classes.json`."""
        with open(folder / "samples.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["row", "key", "role", "class"])
            names = (*self.known, "")  # label -1 reads the empty name
            rows = zip(self.keys, self.roles.tolist(), self.labels.tolist(), strict=True)
            writer.writerows((row, key, role, names[label]) for row, (key, role, label) in enumerate(rows))
        content = {"setting": self.setting, "known": list(self.known)}
        (folder / "classes.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def read(cls, samples_csv: Path, classes_json: Path) -> Samples:
        """The samples that `write` wrote."""
        content = json.loads(classes_json.read_text("utf-8"))
        known = tuple(content["known"])
        ids = {name: position for position, name in enumerate(known)} | {"": -1}
        with open(samples_csv, newline="", encoding="utf-8") as file:
            rows = [(row["key"], row["role"], ids[row["class"]]) for row in csv.DictReader(file)]
        keys, roles, labels = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(tuple(keys), np.array(roles, np.str_), np.array(labels, np.int64), known, content["setting"])
