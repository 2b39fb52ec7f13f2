"""Names that a person gives to clusters: `clusters.csv` in the run folder, written to be filled in and read back.

The file is the user's own, so no stage writes it. `report` reads it as an input, and `ncd predict` reads it too.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ncdcli.errors import DataError, MissingError, Problem
from ncdcli.run.files import write_atomic

FILE = "clusters.csv"
COLUMNS = ("cluster", "size", "match", "suggested_name", "name", "merge_into", "note")
NOVEL = "novel"  # what `match` says of a cluster that stands for no known class
LONGEST_NAME = 200  # characters
HINT = "correct the lines named, or move the file away and let `ncd label RUN` write a new one"


@dataclass(frozen=True)
class Cluster:
    """What `clusters.csv` says of a cluster before anybody has filled it in."""

    number: int
    size: int  # samples, of all roles
    match: str  # the known class that it stands for, or "novel"
    suggested_name: str = ""


@dataclass(frozen=True)
class Names:
    """What the clusters of a run are called, and which of them are one."""

    names: tuple[str, ...]  # cluster -> its name; of a merged cluster that of the one it is merged into
    into: tuple[int, ...]  # cluster -> the cluster that it is part of: itself unless it is merged
    given: tuple[bool, ...]  # cluster -> whether a person has named it, or the cluster that it is part of
    notes: tuple[str, ...]

    @property
    def merged(self) -> int:
        """How many clusters are part of another one."""
        return sum(cluster != into for cluster, into in enumerate(self.into))

    @property
    def count(self) -> int:
        """How many clusters there are once merged."""
        return len(set(self.into))


def clusters_of(folder: Path) -> list[Cluster]:
    """The clusters of a run folder. MissingError where `cluster` is not done."""
    path = folder / "cluster" / "clustering.json"
    if not path.is_file():
        raise MissingError(f"`{folder}` has no clusters yet", hint=f"ncd run {folder}")
    clustering = json.loads(path.read_text("utf-8"))
    known = json.loads((folder / "split" / "classes.json").read_text("utf-8"))["known"]
    return make_clusters(clustering, known)


def make_clusters(clustering: Mapping[str, object], known: Sequence[str]) -> list[Cluster]:
    """The clusters that `clustering.json` describes."""
    matched, sizes = clustering["matched"], clustering["sizes"]
    assert isinstance(matched, list)
    assert isinstance(sizes, list)
    matches = [known[match] if match >= 0 else NOVEL for match in matched]
    return [
        Cluster(number, int(size), match, "" if match == NOVEL else match)
        for number, (size, match) in enumerate(zip(sizes, matches, strict=True))
    ]


def default_names(clusters: Sequence[Cluster]) -> Names:
    """What clusters are called that nobody has named: by their known class, or `novel 7`."""
    names = tuple(cluster.match if cluster.match != NOVEL else f"{NOVEL} {cluster.number}" for cluster in clusters)
    count = len(names)
    return Names(names, tuple(range(count)), (False,) * count, ("",) * count)


def write_template(path: Path, clusters: Sequence[Cluster]) -> None:
    """Write `clusters.csv`, novel clusters first, with the columns `name`, `merge_into` and `note` to be filled in."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cluster in sorted(clusters, key=lambda cluster: (cluster.match != NOVEL, cluster.number)):
        writer.writerow((cluster.number, cluster.size, cluster.match, cluster.suggested_name, "", "", ""))
    write_atomic(path, text.getvalue().encode())


def fits(path: Path, clusters: Sequence[Cluster]) -> bool:
    """Whether the file is about these clusters: numbers, sizes and matches are those of another clustering otherwise.

    A file that is damaged in another way is taken to fit: reading it says what is wrong.
    """
    rows = _read_rows(path)
    expected = {str(cluster.number): (str(cluster.size), cluster.match) for cluster in clusters}
    numbers = [row["cluster"].strip() for _, row in rows]
    if sorted(numbers) != sorted(expected):
        return len(set(numbers)) < len(numbers) or not all(number.isdecimal() for number in numbers)
    return all((row["size"].strip(), row["match"].strip()) == expected[row["cluster"].strip()] for _, row in rows)


def read_names(path: Path, clusters: Sequence[Cluster]) -> Names:
    """What the filled-in file says. DataError with every fault found, each with its line."""
    reader = _Reader(path, clusters)
    names = reader.read()
    if reader.problems:
        raise DataError("the names of the clusters cannot be used as they are", reader.problems, hint=HINT)
    return names


def names_if_fitting(path: Path | None, clusters: Sequence[Cluster]) -> Names | None:
    """What the file says; None where there is none, or it is about another clustering of the run."""
    if path is None or not path.is_file() or not fits(path, clusters):
        return None
    return read_names(path, clusters)


class _Reader:
    """Reads the file line by line and collects what is wrong."""

    def __init__(self, path: Path, clusters: Sequence[Cluster]) -> None:
        self.path = path
        self.clusters = {cluster.number: cluster for cluster in clusters}
        self.problems: list[Problem] = []
        self.rows: dict[int, Mapping[str, str]] = {}
        self.lines: dict[int, int] = {}

    def read(self) -> Names:
        for line, row in _read_rows(self.path):
            self._take(line, row)
        for number in sorted(self.clusters.keys() - self.rows.keys()):
            if not self.problems:
                self._fault(1, f"cluster {number} has no line", "every cluster has one; its cells may be empty")
        if self.problems:
            return default_names(list(self.clusters.values()))
        into = {number: self._into(number) for number in self.clusters}
        self._check_chains(into)
        if not self.problems:
            self._check_names(into)
        return self._names(into)

    def _take(self, line: int, row: Mapping[str, str]) -> None:
        text = row["cluster"].strip()
        if not text.isdecimal() or int(text) not in self.clusters:
            self._fault(line, f"no cluster `{text}`", f"the clusters are 0 to {len(self.clusters) - 1}")
            return
        number = int(text)
        cluster = self.clusters[number]
        if number in self.rows:
            self._fault(line, f"cluster {number} is named in line {self.lines[number]} already", "keep one of the two")
        elif (row["size"].strip(), row["match"].strip()) != (str(cluster.size), cluster.match):
            self._fault(
                line,
                f"cluster {number} holds {row['size'].strip()} samples here and is `{row['match'].strip()}`; "
                f"in the run it holds {cluster.size} and is `{cluster.match}`",
                "the file is about another clustering: `ncd label RUN --renew` keeps it and writes a new one",
            )
        self.rows.setdefault(number, row)
        self.lines.setdefault(number, line)

    def _into(self, number: int) -> int:
        """The cluster that one is merged into as written; itself where the cell is empty or wrong."""
        text = self.rows[number]["merge_into"].strip()
        line = self.lines[number]
        if not text:
            return number
        if not text.isdecimal() or int(text) not in self.clusters:
            named = text in [row["name"].strip() for row in self.rows.values()]
            hint = f"the clusters are 0 to {len(self.clusters) - 1}" + (": write the number" if named else "")
            self._fault(line, f"`merge_into` names no cluster: `{text}`", hint)
        elif int(text) == number:
            self._fault(line, f"cluster {number} is merged into itself", "leave `merge_into` empty")
        elif self.clusters[number].match != NOVEL:
            target = int(text)
            hint = f"write `{number}` in the line of cluster {target}" if self.clusters[target].match == NOVEL else ""
            known = self.clusters[number].match
            self._fault(line, f"cluster {number} is the known class `{known}`: it cannot be part of another", hint)
        else:
            return int(text)
        return number

    def _check_chains(self, into: Mapping[int, int]) -> None:
        for number, target in into.items():
            if target == number or into[target] == target:
                continue
            end, seen = target, {number}
            while into[end] != end and end not in seen:
                seen.add(end)
                end = into[end]
            circle = end in seen
            hint = "one of them must stay" if circle else f"write `{end}`"
            self._fault(self.lines[number], f"cluster {target} is merged into {into[target]} itself", hint)

    def _check_names(self, into: Mapping[int, int]) -> None:
        own: dict[str, int] = {
            cluster.match: number for number, cluster in self.clusters.items() if cluster.match != NOVEL
        }
        for number in sorted(self.rows, key=lambda number: (into[number] != number, number)):
            name, line = self.rows[number]["name"].strip(), self.lines[number]
            cluster = self.clusters[number]
            if not name:
                continue
            if len(name) > LONGEST_NAME:
                self._fault(line, f"a name of {len(name)} characters", f"at most {LONGEST_NAME}; `note` is not limited")
            elif any(not letter.isprintable() for letter in name):
                self._fault(line, f"the name {name!r} holds a character that cannot be printed", "")
            elif name == NOVEL:
                self._fault(line, f"`{NOVEL}` is what clusters without a name are called", "leave the cell empty")
            elif cluster.match != NOVEL and name != cluster.match:
                hint = "leave `name` empty; a known class is called as its labels say"
                self._fault(line, f"cluster {number} is the known class `{cluster.match}`, not `{name}`", hint)
            elif own.setdefault(name, into[number]) != into[number]:
                other = own[name]
                hint = f"write `{other}` in `merge_into` if they are one" if cluster.match == NOVEL else ""
                self._fault(line, f"cluster {other} is called `{name}` as well", hint)

    def _names(self, into: Mapping[int, int]) -> Names:
        defaults = default_names(list(self.clusters.values()))
        written = {number: row["name"].strip() for number, row in self.rows.items()}
        # A name written in the line of a merged cluster alone is the name of the whole.
        of_parts = {target: written[number] for number, target in into.items() if written.get(number)}
        own = {number: written.get(number) or of_parts.get(number, "") for number in self.clusters}
        numbers = range(len(self.clusters))
        return Names(
            tuple(own[into[number]] or defaults.names[into[number]] for number in numbers),
            tuple(into[number] for number in numbers),
            tuple(bool(own[into[number]]) for number in numbers),
            tuple(self.rows[number]["note"].strip() if number in self.rows else "" for number in numbers),
        )

    def _fault(self, line: int, message: str, hint: str) -> None:
        self.problems.append(Problem(message, place=f"{self.path}:{line}", hint=hint))


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(line, row) of a `clusters.csv`. DataError where it is no table with the columns that are needed."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"`{path}` is not UTF-8 text", hint="save it as “CSV UTF-8”") from error
    separator = _separator(text.partition("\n")[0])
    lines = csv.reader(io.StringIO(text), delimiter=separator)
    header = [name.strip() for name in next(lines, [])]
    if absent := [name for name in COLUMNS if name not in header and name != "suggested_name"]:
        problem = Problem(f"no column `{absent[0]}`", place=f"{path}:1", hint=f"the columns are: {', '.join(COLUMNS)}")
        raise DataError("the names of the clusters cannot be used as they are", [problem], hint=HINT)
    rows, problems = [], []
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            message = f"{len(cells)} cells; the first line has {len(header)}"
            hint = 'quote a cell with a comma: "a, b"'
            problems.append(Problem(message, place=f"{path}:{lines.line_num}", hint=hint))
            continue
        rows.append((lines.line_num, dict(zip(header, cells, strict=True))))
    if problems:
        raise DataError("the names of the clusters cannot be used as they are", problems, hint=HINT)
    return rows


def _separator(header: str) -> str:
    """What stands between cells: spreadsheets of many countries save a semicolon or a tab."""
    return max(",;\t", key=header.count)


def described(names: Names, clusters: Iterable[Cluster]) -> list[dict[str, object]]:
    """A JSON-able row for each cluster, with its name and what it is part of."""
    return [
        {
            "cluster": cluster.number,
            "size": cluster.size,
            "match": cluster.match,
            "name": names.names[cluster.number],
            "named": names.given[cluster.number],
            "merge_into": None if names.into[cluster.number] == cluster.number else names.into[cluster.number],
            "note": names.notes[cluster.number],
        }
        for cluster in clusters
    ]
