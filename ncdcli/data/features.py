"""Ready-made embeddings: an `.npy` array with one row a sample, and labels in a file beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.arrays import check_finite, open_embeddings, read_labels
from ncdcli.data.digests import digest_files, digest_of
from ncdcli.data.kinds import Embeddings
from ncdcli.data.names import class_order, domain_names, repeated_keys
from ncdcli.data.sources import FeatureInputs, Inputs, Listing
from ncdcli.errors import DataError, MissingError
from ncdcli.words import counted


class EmbeddingFile:
    """Rows of one or two arrays. A row is named by the label file's column of names, or `train/N`, N from 0."""

    def __init__(self, config: Embeddings, root: Path) -> None:
        self._config = config
        self._paths = {
            name: root / path
            for name in ("train", "test", "labels", "truth", "test_labels", "domains", "texts", "test_texts")
            if (path := getattr(config, name)) is not None
        }

    def identity(self, *, content: bool, labels: bool = True) -> str:
        """Digest of the arrays by size or content, and of the label files by content."""
        self.check_present()
        arrays = [(name, path) for name, path in self._paths.items() if name in ("train", "test")]
        digest = digest_files(arrays, content=content)
        if not labels:
            return digest
        names = [(name, path) for name, path in self._paths.items() if name not in ("train", "test")]
        return digest_of([digest, digest_files(names, content=True)])

    def check_present(self) -> None:
        """MissingError where a file is absent."""
        for path in self._paths.values():
            if not path.is_file():
                raise MissingError(f"`{path}` is not there", hint="check the path in the recipe's `data` section")

    def download(self) -> None:
        """MissingError where a file is absent: the user's own data come from nowhere else."""
        self.check_present()

    def listing(self) -> Listing:
        """All rows, test rows last. The arrays are scanned once for NaN and infinity."""
        keys, labels, notes = self._part("train", "labels")
        truth, domains = self._column("truth", len(labels)), self._column("domains", len(labels))
        classes = [label if label is not None else other for label, other in zip(labels, truth, strict=True)]
        parts = ["labelled" if label is not None else "unlabelled" for label in labels]
        if "unlabelled" not in parts:
            parts = ["train"] * len(labels)
        if "test" in self._paths:
            test_keys, test_classes, test_notes = self._part("test", "test_labels")
            keys, classes, notes = [*keys, *test_keys], [*classes, *test_classes], (*notes, *test_notes)
            parts += ["test"] * len(test_keys)
            domains += [None] * len(test_keys)
        if repeated := repeated_keys(keys):
            raise DataError("samples have the same name", repeated)
        self._texts([len(labels), len(keys) - len(labels)], np.empty(0, np.int64))  # are there as many?
        found = domain_names(domains, np.array(parts) == "test") if "domains" in self._paths else None
        return Listing(tuple(keys), tuple(classes), np.array(parts), class_order(classes), notes, found)

    def inputs(self, keys: Sequence[str]) -> Inputs:
        """The rows of the named samples; memory-mapped where there is one array."""
        arrays = [open_embeddings(self._paths[name]) for name in ("train", "test") if name in self._paths]
        names = [*self._names("train", len(arrays[0])), *self._names("test", sum(map(len, arrays[1:])))]
        rows = {key: row for row, key in enumerate(names)}
        chosen = np.array([rows[key] for key in keys], np.int64)
        array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        return FeatureInputs(array, chosen, self._texts([len(part) for part in arrays], chosen))

    def new_inputs(self, path: Path) -> tuple[tuple[str, ...], Inputs]:
        """Rows of another `.npy` array, of the same width if the first is still there."""
        array = open_embeddings(path)
        check_finite(array, path)
        train = self._paths["train"]
        if train.is_file() and open_embeddings(train).shape[1] != array.shape[1]:
            width = open_embeddings(train).shape[1]
            raise DataError(f"`{path}` has {counted(array.shape[1], 'column')}; the run's embeddings have {width}")
        return tuple(str(row) for row in range(len(array))), FeatureInputs(array)

    def _texts(self, counts: Sequence[int], rows: NDArray[np.int64]) -> tuple[str, ...] | None:
        """Texts of some rows of the arrays, which have so many each; None without a file of texts."""
        if "texts" not in self._paths:
            return None
        texts = self._column("texts", counts[0], word="text")
        texts += self._column("test_texts", sum(counts[1:]), word="text")
        return tuple(texts[row] or "" for row in rows.tolist())

    def _part(self, part: str, labels: str) -> tuple[list[str], list[str | None], tuple[str, ...]]:
        """Names, labels and notes of an array."""
        array = open_embeddings(self._paths[part])
        if part == "test":
            width = open_embeddings(self._paths["train"]).shape[1]
            if array.shape[1] != width:
                raise DataError(f"`{self._paths[part]}` has {counted(array.shape[1], 'column')}; `train` has {width}")
        notes = check_finite(array, self._paths[part])
        names: list[str | None] = [None] * len(array)
        if labels in self._paths:
            names, _ = read_labels(self._paths[labels], len(array))
        return self._names(part, len(array)), names, notes

    def _column(self, name: str, count: int, *, word: str = "label") -> list[str | None]:
        """What a file says of each row of `train`; None throughout where there is no such file."""
        if name not in self._paths:
            return [None] * count
        return read_labels(self._paths[name], count, word=word)[0]

    def _names(self, part: str, count: int) -> list[str]:
        """Names of the samples of a part: those of its label file, else their numbers."""
        file = self._paths.get("labels" if part == "train" else "test_labels")
        keys = read_labels(file, count)[1] if file is not None and count else None
        return keys if keys is not None else [f"{part}/{row}" for row in range(count)]
