"""Runs the toy pipeline with a distributed `train`; started by `torchrun`. Arguments: run folder, comment."""

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

if __name__ == "__main__":
    run = RunFolder(sys.argv[1])
    recipe = toystages.resolved(data={"rows": 7}, train={"comment": sys.argv[2]})
    results = execute(recipe, run, table=TABLE, identity=toystages.identity, command="ncd run toy")
    log = run.path.parent / f"{run.path.name}-{rank()}-of-{world_size()}.txt"
    log.write_text(" ".join([*toystages.CALLS, *(f"{result.stage}:{result.action}" for result in results)]))
