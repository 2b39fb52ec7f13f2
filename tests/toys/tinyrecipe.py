"""A recipe of all stages that takes seconds, and the files of a run that are of another time in another run."""

TIMES = ("manifest.json", "timing.jsonl", "report.html")
RECIPE = """\
version: 1
name: tiny
data: {card: digits, subset: 120}
backbone: {kind: small_cnn, widths: [8, 8], dim: 8}
pretrain:
  objective: {kind: supcon_infonce, head: mlp, head_hidden: 16, head_out: 8, head_layers: 2}
  epochs: 3
  batch_size: 32
  augment: {shift: 0.1, rotate: 15}
estimate_k: {kind: max_acc, high: 15, restarts: 3}
joint_training:
  method: {kind: simgcd, projector_hidden: 16, projector_out: 8, projector_layers: 2}
  epochs: 3
  batch_size: 32
  augment: {shift: 0.1, rotate: 15}
cluster: {kind: head}
report: {map: pca}
"""
