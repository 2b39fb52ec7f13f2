"""Trains in epochs, with a checkpoint after each, and goes on from it."""

import json
import os
import time

import toystages
from ncdcli.errors import Interrupted

PAUSE_SECONDS = float(os.environ.get("TOY_PAUSE", "0"))


def run(context, config):
    checkpoint, metrics = context.output / "checkpoint.json", context.output / "metrics.jsonl"
    state = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"epoch": 0, "weight": 0, "lines": []}
    numbers = [int(line) for line in context.inputs["split/numbers.csv"].read_text().split()]
    for epoch in range(state["epoch"], config.train.epochs):
        time.sleep(PAUSE_SECONDS)
        state["weight"] += int(context.rng(epoch).integers(0, 100)) * numbers[epoch % len(numbers)]
        state["lines"].append(json.dumps({"epoch": epoch, "weight": state["weight"]}))
        state["epoch"] = epoch + 1
        temporary = checkpoint.with_name("checkpoint.json.tmp")
        temporary.write_text(json.dumps(state))
        os.replace(temporary, checkpoint)
        if f"epoch {epoch}" in toystages.HOOKS:
            toystages.HOOKS[f"epoch {epoch}"](context)
        if context.stop_requested():
            raise Interrupted("asked to stop")
    metrics.write_text("\n".join(state["lines"]))
    (context.output / "model.json").write_text(json.dumps({"weight": state["weight"]}))
    toystages.called("train", context)
