"""The epoch loop, checkpoints, schedules and batches."""
