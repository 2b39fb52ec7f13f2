"""A stage that runs on several processes: each sums its share of the numbers, process 0 writes the total."""

import json

import torch
import torch.distributed as dist

import toystages


def run(context, config):
    numbers = [int(line) for line in context.inputs["split/numbers.csv"].read_text().split()]
    rank, size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    share = numbers[rank::size]
    total, draw = torch.tensor(sum(share)), int(context.rng().integers(0, 1000))
    if size > 1:
        dist.all_reduce(total)
    if "fail" in config.train.comment and rank == 1:
        raise RuntimeError("process 1 fails")
    if rank == 0:
        content = {"total": int(total), "draw": draw, "epochs": config.train.epochs}
        (context.output / "model.json").write_text(json.dumps(content))
        (context.output / "metrics.jsonl").write_text("")
    toystages.called("train", context)
