"""Reading and encoding tables, beside plain `pandas.read_csv` of the same file: processor time, and peak memory.

    OMP_NUM_THREADS=1 python scripts/bench/table_reading.py --folder FOLDER

Two tables are written to FOLDER where they are not there: 10,000 rows of 1,000 columns and 1,000,000 rows of 20,
numbers with four digits after the point, a label in the last column that most of the rows lack. Each side runs in a
process of its own. Memory is the peak of the resident set above what the process holds after its imports; `arrays` is
the size of the columns as float64, which is what both sides end with.

Reading is bounded by `arrays`, 250 bytes a row for its name, label and part, and 80 MB for a block of the file;
encoding adds the vectors, 4 bytes a value.

* pandas: `read_csv(path)`, nothing else.
* ncd, read: layout, check of the encoding, labels, keys, columns: `TableFile.listing` and `.inputs` of all rows in the
  order of a split, labelled ones first.
* ncd, encoded: the same and the encoder, fitted and applied.

`--runs` also does `ncd run` on each, with an identity backbone and k-means, and gives the peak of every stage.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

TABLES = {"wide": (10_000, 1_000), "long": (1_000_000, 20)}
BLOCK = 2_000_000  # cells that are written at once
CLASSES = 4
RECIPE = """
version: 1
name: {name}
data:
  source: {{kind: table, train: {path}, label: label}}
backbone: {{kind: identity}}
pretrain: {{objective: {{kind: none}}}}
embed: {{normalize: false}}
estimate_k: {{kind: fixed, k: {k}}}
cluster: {{kind: kmeans, restarts: 1}}
evaluate: {{stability_seeds: 0}}
"""


def main() -> None:
    """Write the tables, and print a line for each table and side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder of the tables and runs")
    parser.add_argument("--only", nargs="*", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--runs", action="store_true", help="do `ncd run` as well")
    parser.add_argument("--side", help=argparse.SUPPRESS)  # what one process does
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(SIDES[options.side], options.folder)))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    print("| table | file | arrays | side | seconds | peak | peak ÷ arrays |\n|---|---|---|---|---|---|---|")
    for name in options.only:
        path = write_table(options.folder / f"{name}.csv", *TABLES[name])
        arrays = 8 * TABLES[name][0] * TABLES[name][1]
        for side in SIDES:
            command = [sys.executable, __file__, "--folder", str(path), "--side", side]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            shown = f"{megabytes(path.stat().st_size)} | {megabytes(arrays)} | {side} | {found['seconds']:.1f}"
            print(f"| {name} | {shown} | {megabytes(found['peak'])} | {found['peak'] / arrays:.2f} |", flush=True)
        if options.runs:
            run_one(name, path)


def write_table(path: Path, rows: int, columns: int) -> Path:
    """The table, written where it is not there."""
    if path.exists():
        return path
    import pandas as pd

    rng = np.random.default_rng(0)
    centres = rng.normal(0, 3, (CLASSES, columns))
    unfinished = path.with_suffix(".part")
    step = max(1, BLOCK // columns)
    for start in range(0, rows, step):
        count = min(step, rows - start)
        classes = rng.integers(CLASSES, size=count)
        frame = pd.DataFrame(np.round(centres[classes] + rng.normal(size=(count, columns)), 4))
        frame["label"] = np.where((classes < CLASSES // 2) & (rng.random(count) < 0.5), classes.astype("U1"), "")
        frame.columns = pd.Index([*(f"x{number}" for number in range(columns)), "label"])
        frame.to_csv(unfinished, mode="a" if start else "w", header=start == 0, index=False)
    return unfinished.rename(path)


def with_pandas(path: Path) -> None:
    """The other side."""
    import pandas as pd

    pd.read_csv(path)


def with_ncd(path: Path) -> None:
    """Labels and columns of all rows, labelled ones first."""
    read(path)


def encoded_with_ncd(path: Path) -> None:
    """Vectors of all rows."""
    from ncdcli.data.tables import TableEncoder

    inputs = read(path)
    TableEncoder.fit(inputs, np.arange(len(inputs))).transform(inputs)


def read(path: Path):  # type: ignore[no-untyped-def]
    """What the stages read of a table."""
    from ncdcli.data.kinds import Table
    from ncdcli.data.tables import TableFile

    source = TableFile(Table(train=path.name, label="label"), path.parent)
    listing = source.listing()
    return source.inputs([listing.keys[row] for row in np.argsort(listing.parts, kind="stable")])


SIDES: dict[str, Callable[[Path], None]] = {
    "pandas": with_pandas,
    "ncd, read": with_ncd,
    "ncd, encoded": encoded_with_ncd,
}


def measure(side: Callable[[Path], None], path: Path) -> dict[str, float]:
    """Seconds of the processor, and bytes of the peak above the imports."""
    import pandas  # noqa: F401

    import ncdcli.data.tables  # noqa: F401

    before = peak()
    start = time.process_time()
    side(path)
    return {"seconds": time.process_time() - start, "peak": peak() - before}


def run_one(name: str, path: Path) -> None:
    """`ncd run`, and what its manifests say of seconds and memory."""
    recipe = path.with_suffix(".yaml")
    recipe.write_text(RECIPE.format(name=name, path=path.absolute(), k=CLASSES), "utf-8")
    folder = path.parent / f"run-{name}"
    command = [sys.executable, "-m", "ncdcli", "run", str(recipe), "--run", str(folder), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for manifest in sorted(folder.glob("*/manifest.json"), key=lambda file: file.stat().st_mtime):
        content = json.loads(manifest.read_text("utf-8"))
        memory = megabytes(content["peak_memory_bytes"])
        print(f"| {name} | | | run: {content['stage']} | {content['seconds']:.1f} | {memory} of the process | |")


def peak() -> int:
    """Bytes of the greatest resident set so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def megabytes(count: float) -> str:
    """A size in megabytes."""
    return f"{count / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()
