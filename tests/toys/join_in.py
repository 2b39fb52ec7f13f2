"""Runs the toy pipeline with a distributed `train`; as `torchrun` starts it. Arguments: run folder,
a comment for each time that it is run."""

import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import toystages

from ncdcli.pipeline.distributed import rank, world_size
from ncdcli.pipeline.runner import execute
from ncdcli.run.folder import RunFolder

TABLE = tuple(
    dataclasses.replace(spec, module="toystages.join", distributed=True) if spec.name == "train" else spec
    for spec in toystages.TABLE[:2]
)


def run_toy(path: Path, comment: str) -> str:
    """The stages whose code ran in this process, and what became of each, as one line."""
    toystages.CALLS.clear()
    recipe = toystages.resolved(data={"rows": 7}, train={"comment": comment})
    results = execute(recipe, RunFolder(path), table=TABLE, identity=toystages.identity, command="ncd run toy")
    return " ".join([*toystages.CALLS, *(f"{result.stage}:{result.action}" for result in results)])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    lines = [run_toy(folder, comment) for comment in sys.argv[2:]]
    log = folder.parent / f"{folder.name}-{rank()}-of-{world_size()}.txt"
    log.write_text("".join(f"{line}\n" for line in lines))
