"""Tables: rows of a CSV, TSV or space-separated file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.digests import digest_files, digest_lines
from ncdcli.data.kinds import Table
from ncdcli.data.sources import Inputs, Listing, TableInputs
from ncdcli.data.table_advice import Advice, advise
from ncdcli.data.table_cells import read_cells, read_texts
from ncdcli.data.table_columns import (
    CellRules,
    Fault,
    Features,
    as_features,
    as_features_like,
    digest_column,
    is_numeric,
)
from ncdcli.data.table_encoder import TableEncoder
from ncdcli.data.table_listing import ColumnRoles, make_listing, row_ids
from ncdcli.data.table_numbers import Style
from ncdcli.data.table_origin import Origin
from ncdcli.data.table_text import Layout, detect_layout, find_column, row_lines
from ncdcli.errors import DataError, MissingError, Problem
from ncdcli.words import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TableEncoder", "TableFile"]


class TableFile:
    """Rows of one or two files. A row is named by its id column, or `train/N` with N its number from 0."""

    def __init__(self, config: Table, root: Path) -> None:
        self._config = config
        self._train = root / config.train
        self._test = root / config.test if config.test is not None else None
        self._read_already: tuple[Features, Listing] | None = None

    def identity(self, *, content: bool, labels: bool = True) -> str:
        """Digest of the files' content, or, without labels, of the cells of the feature columns."""
        self.check_present()
        files = [("train", self._train), ("test", self._test)]
        present = [(name, path) for name, path in files if path is not None]
        if labels:
            return digest_files(present, content=True)
        features, listing = self._read()
        frame = features.frame
        columns = (f"{name}\t{digest_column(frame[name])}" for name in frame.columns)
        return digest_lines([*columns, *listing.parts.tolist()])

    def check_present(self) -> None:
        """MissingError where a file is absent."""
        for path in (self._train, self._test):
            if path is not None and not path.is_file():
                hint = "check the path in the recipe's `data` section, or set `data.root`"
                raise MissingError(f"the table `{path}` is not there", hint=hint)

    def download(self) -> None:
        """MissingError where a file is absent: tables come from nowhere else."""
        self.check_present()

    def listing(self) -> Listing:
        """Rows of `train` that are not a test part, then of the test part. DataError with every fault found."""
        return self._read()[1]

    def inputs(self, keys: Sequence[str]) -> Inputs:
        """The feature columns of the named rows."""
        import pandas as pd

        features, listing = self._read()
        frame = features.frame
        if tuple(keys) != listing.keys:
            rows = pd.Index(listing.keys, dtype=object).get_indexer(pd.Index(keys, dtype=object))
            if (rows < 0).any():
                key = keys[int(np.flatnonzero(rows < 0)[0])]
                raise DataError(f"`{self._train}` has no row `{key}` any more", hint="split again: add `--force`")
            columns = {str(name): frame[name] for name in frame.columns}
            # Each column goes as soon as its rows are taken: no two of the whole table are in memory.
            features, frame, self._read_already = replace(features, frame=pd.DataFrame()), pd.DataFrame(), None
            frame = pd.DataFrame({name: columns.pop(name).take(rows).array for name in list(columns)}, copy=False)
        return TableInputs(
            frame, features.categorical, self._config.impute, self._config.scaling, dates=dict(features.dates)
        )

    def new_inputs(self, path: Path) -> tuple[tuple[str, ...], Inputs]:
        """Rows of a new file, as they were read; label, truth, id and dropped columns are no features there either.

        Where `train` is still there, its first rows say which columns those are, and how a file without a header or
        without a label column is to be read. Where it is not, the new file must be laid out like it. What is a date
        or a number in them, the encoder of the run's model says.
        """
        known = self._layout(self._train) if self._train.is_file() else None
        layout = self._layout(path, known.columns if known is not None and known.header else ())
        trained = known or layout
        columns = self._columns(trained, strict=known is not None)
        if not layout.header and len(layout.columns) == len(columns.features):
            layout = replace(layout, columns=columns.features)
        elif not layout.header and len(layout.columns) == len(trained.columns):
            layout = replace(layout, columns=trained.columns)
        ignored = set(trained.columns) - set(columns.features)
        frame = self._cells(path, layout, columns)
        features = frame[[name for name in frame.columns if name not in ignored]]
        keys = [str(row) for row in range(len(frame))]
        if columns.id is not None and columns.id in frame:
            keys = row_ids(frame[columns.id], path, layout)
        origin = Origin(path, layout, self._config.missing, columns.rules.style)
        categorical = tuple(name for name in features.columns if not is_numeric(features[name]))
        return tuple(keys), TableInputs(
            features, columns.rules.categorical or categorical, self._config.impute, self._config.scaling, origin=origin
        )

    def advice(self) -> Advice:
        """What the recipe should say of this table: how numbers and dates are written, and columns to drop."""
        layout = self._layout(self._train)
        columns = self._columns(layout)
        return advise(self._cells(self._train, layout, columns), columns.features, columns.rules)

    def _layout(self, path: Path, names: Sequence[str] = ()) -> Layout:
        """How a table is written; a first row that holds one of `names`, or of those in the recipe, is a header."""
        config = self._config
        columns = (config.label, config.truth, config.id, config.domain)
        named = [*names, *(name for name in columns if isinstance(name, str))]
        return detect_layout(
            path, separator=config.separator, header=config.header, missing=config.missing, named=named
        )

    def _columns(self, layout: Layout, *, strict: bool = True) -> ColumnRoles:
        """Which column is what; unless `strict`, a named column may be absent, as labels of new rows are."""

        def find(column: str | int | None, field: str) -> str | None:
            if column is None or (not strict and isinstance(column, str) and column not in layout.columns):
                return None
            return find_column(column, layout.columns, place=f"data.source.{field}")

        config = self._config
        label, truth, key = find(config.label, "label"), find(config.truth, "truth"), find(config.id, "id")
        domain = find(config.domain, "domain")
        if domain is not None and domain in (label, truth, key):
            raise DataError(
                f"column `{domain}` cannot be the domain as well as the label, truth or id of a row",
                hint="`domain` names the column that says where a row comes from, e.g. the device or the site",
            )
        dropped = {find(column, "drop") for column in config.drop}
        features = tuple(name for name in layout.columns if name not in {label, truth, key, domain} | dropped)
        if not features:
            raise DataError(f"`{self._train}` has no feature column left", hint="check `separator`, `label` and `drop`")
        rules = self._rules(features, find)
        return ColumnRoles(label, truth, key, domain, features, rules)

    def _rules(self, features: tuple[str, ...], find: Callable[[str | int | None, str], str | None]) -> CellRules:
        config = self._config
        categorical, dates = None, None
        if config.categorical != "auto":
            found = {find(column, "categorical") for column in config.categorical}
            categorical = tuple(name for name in features if name in found)
        if config.dates != "auto":
            names = {find(column, "dates"): form for column, form in config.dates.items()}
            dates = {name: names[name] for name in features if name in names}
        return CellRules(categorical, dates, Style(config.decimal, config.thousands))

    def _read(self) -> tuple[Features, Listing]:
        """The feature columns and the listing, in the same order; read once."""
        if self._read_already is None:
            self._read_already = self._load()
        return self._read_already

    def _load(self) -> tuple[Features, Listing]:
        import pandas as pd

        layout = self._layout(self._train)
        columns = self._columns(layout)
        frame = self._cells(self._train, layout, columns)
        features, faults = as_features(frame, columns.features, columns.rules)
        _refuse(self._train, layout, faults)
        special = frame[list(columns.text)]
        del frame
        is_test = self._test_rows(len(special))
        keys = [f"train/{row}" for row in range(len(special))]
        if columns.id is not None:
            keys = row_ids(special[columns.id], self._train, layout)
        if self._test is not None:
            other, more, other_keys = self._read_test(self._test, layout, columns, features)
            keys += other_keys
            is_test = np.concatenate([is_test, np.ones(len(other), bool)])
            special = pd.concat([special, other], ignore_index=True)
            features = replace(features, frame=pd.concat([features.frame, more.frame], ignore_index=True))
        if is_test.any():
            order = np.argsort(is_test, kind="stable")
            special, is_test, keys = special.iloc[order], is_test[order], [keys[row] for row in order]
            features = replace(features, frame=features.frame.iloc[order].reset_index(drop=True))
        return features, make_listing(special, columns, keys, is_test)

    def _cells(self, path: Path, layout: Layout, columns: ColumnRoles) -> pd.DataFrame:
        named = (*columns.text, *(columns.rules.dates or ()))
        return read_cells(
            path, layout, missing=self._config.missing, decimal=self._config.decimal,
            text=[name for name in dict.fromkeys(named) if name in layout.columns],
        )  # fmt: skip

    def _read_test(
        self, path: Path, layout: Layout, columns: ColumnRoles, features: Features
    ) -> tuple[pd.DataFrame, Features, list[str]]:
        """Labels and the like, features and keys of the test file; its columns are read as those of `train` were."""
        other = self._layout(path)
        if not layout.header and len(other.columns) == len(layout.columns):
            other = replace(other, skip=other.skip - other.header, header=False, columns=layout.columns)
        if set(other.columns) != set(layout.columns):
            differing = sorted(set(other.columns) ^ set(layout.columns))
            names = ", ".join(f"`{name}`" for name in differing[:8])
            raise DataError(f"`{path}` and `{self._train}` have different columns: {names}")
        frame = self._cells(path, other, columns)
        texts = partial(read_texts, path, other, missing=self._config.missing)
        found, faults = as_features_like(frame, features, columns.rules, texts)
        _refuse(path, other, faults)
        keys = [f"test/{row}" for row in range(len(frame))]
        return frame[list(columns.text)], found, keys if columns.id is None else row_ids(frame[columns.id], path, other)

    def _test_rows(self, count: int) -> NDArray[np.bool_]:
        """(n,) which rows of `train` are the test part; a drawn one is the same for every seed of a recipe."""
        config = self._config
        is_test = np.zeros(count, bool)
        if config.test_rows is not None:
            start, stop = config.test_rows
            if not 0 <= start < stop <= count:
                problem = Problem(
                    f"rows {start} to {stop} of a table with {counted(count, 'row')}",
                    place="data.source.test_rows",
                    hint="[from, to): rows are numbered from 0, `to` is not included",
                )
                raise DataError("the table does not fit the recipe", [problem])
            is_test[start:stop] = True
        if config.test_fraction is not None:
            drawn = np.random.default_rng(0).choice(count, round(config.test_fraction * count), replace=False)
            is_test[drawn] = True
        return is_test


def _refuse(path: Path, layout: Layout, faults: Sequence[Fault]) -> None:
    """Nothing, or the error that names every unusable column, with the line of its first unusable cell."""
    if not faults:
        return
    lines = row_lines(path, layout, [fault.row for fault in faults if fault.row is not None])
    problems = [
        Problem(fault.message, place="" if fault.row is None else f"{path}:{lines[fault.row]}", hint=fault.hint)
        for fault in faults
    ]
    raise DataError(f"`{path}` has columns that cannot be used as they are", problems)
