"""One module per stage, each with one `run(context, config)`."""
