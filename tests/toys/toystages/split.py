import toystages


def run(context, config):
    draws = context.rng().integers(0, 1000, config.data.rows)
    (context.output / "numbers.csv").write_text("".join(f"{draw}\n" for draw in draws))
    toystages.called("split", context)
