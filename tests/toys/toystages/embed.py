import json

import numpy as np

import toystages


def run(context, config):
    weight = json.loads(context.inputs["train/model.json"].read_text())["weight"]
    numbers = np.loadtxt(context.inputs["split/numbers.csv"], ndmin=1)
    np.save(context.output / "embeddings.npy", np.outer(numbers, np.arange(50)) + weight)
    toystages.called("embed", context)
