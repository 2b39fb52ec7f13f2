import json

import numpy as np

import toystages


def run(context, config):
    value = round(float(np.load(context.inputs["embed/embeddings.npy"]).mean()), config.score.digits)
    (context.output / "score.json").write_text(json.dumps({"value": value}))
    toystages.called("score", context)
