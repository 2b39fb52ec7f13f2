"""Rules for the two sections that train, `pretrain` and `joint_training`, and for what goes with the latter.

A rule with a parameter `training` is applied to each of the two that is there.
"""

from __future__ import annotations

from ncdcli.clustering.kinds import ClusterConfig
from ncdcli.counting.kinds import CountingConfig
from ncdcli.data.kinds import DataConfig
from ncdcli.joint.kinds import JointTrainingConfig, TabularNcd
from ncdcli.models.kinds import BackboneConfig
from ncdcli.objectives.kinds import Augment, PretrainConfig
from ncdcli.pipeline.spec import ORACLE
from ncdcli.recipe.cached_rules import cached_views_serve
from ncdcli.recipe.card_rules import Faults
from ncdcli.recipe.trainings import SECTIONS, Training
from ncdcli.recipe.tree import Steps
from ncdcli.tune.section import TuneConfig
from ncdcli.words import counted

OFF = "set `pretrain.objective: {kind: none}`"


def selection_has_samples(data: DataConfig, training: Training) -> Faults:
    """Choosing by held-out known samples needs some to be held out."""
    if training.config.selection == "known-val" and data.validation_fraction == 0:
        hint = "set `data.validation_fraction`, e.g. 0.1, or use `selection: last`"
        yield (training.name, "selection"), "`known-val` needs held-out known samples", hint


def oracle_is_asked_for_scores_only(data: DataConfig, training: Training) -> Faults:
    """Where known classes are hidden to choose something, no choice may look at what is scored."""
    if training.config.selection == ORACLE and data.hide is not None:
        message = "hidden classes are there to choose settings by, and `oracle` looks at their labels"
        yield (training.name, "selection"), message, "use `selection: last` or `known-val`"


def oracle_tunes_nothing(tune: TuneConfig | None, training: Training) -> Faults:
    """The same, before a fold is made."""
    if training.config.selection == ORACLE and tune is not None:
        message = "`tune` chooses settings by hidden classes, and `oracle` looks at their labels"
        yield (training.name, "selection"), message, "use `selection: last` or `known-val`, or leave `tune` out"


def warmup_ends(training: Training) -> Faults:
    """Warm-up is over before training is."""
    warmup, epochs = training.config.schedule.warmup_epochs, training.config.epochs
    if training.trains and warmup > epochs:
        message = f"warm-up of {counted(warmup, 'epoch')} is longer than training, {epochs}"
        yield (training.name, "schedule", "warmup_epochs"), message, f"shorten it, or raise `{training.name}.epochs`"


def something_to_train(backbone: BackboneConfig, pretrain: PretrainConfig) -> Faults:
    """An objective moves something: a backbone without weights, or a frozen one, is used with `none`."""
    if pretrain.objective.kind == "none" or pretrain.epochs == 0:
        return
    if not backbone.trainable:
        message = f"backbone `{backbone.kind}` has nothing that `{pretrain.objective.kind}` could train"
        yield ("backbone", "kind"), message, OFF
    elif getattr(backbone, "train_last_blocks", "all") == 0:
        message = f"`train_last_blocks: 0` leaves nothing that `{pretrain.objective.kind}` could train"
        yield ("backbone", "train_last_blocks"), message, f"{OFF}, or train some blocks"


def reconstruction_fits_backbone(backbone: BackboneConfig, training: Training) -> Faults:
    """What reconstructs its inputs needs a backbone that can be turned round."""
    if training.learnt.reconstructs and training.trains and not backbone.mirrors:
        message = f"{training.called} reconstructs vectors, which backbone `{backbone.kind}` cannot"
        yield (training.name, SECTIONS[training.name], "kind"), message, "set `backbone: {kind: mlp}`"


def sampler_fits(training: Training) -> Faults:
    """A balanced draw is half from the pool: the objective has to train on it."""
    if training.config.sampler == "balanced" and training.trains and not training.learnt.uses_pool:
        message = f"`balanced` draws half of a batch from the pool, which {training.called} does not use"
        yield (training.name, "sampler"), message, "set `sampler: shuffle`"


def views_differ(backbone: BackboneConfig, training: Training) -> Faults:
    """What compares two views of a sample needs something random in them."""
    if training.learnt.views < 2 or training.learnt.turns or training.config.epochs == 0:
        return
    if training.config.augment == Augment() and not getattr(backbone, "dropout", 0):
        kind = training.learnt.kind
        message = f"`{kind}` compares two random views, and nothing in `augment` is on"
        hint = "set e.g. `augment: {resize_crop: 0.5, flip: true}` for images, `augment: {noise: 0.1}` for others"
        yield (training.name, "augment"), message, hint


def views_are_between_vectors(backbone: BackboneConfig, joint_training: JointTrainingConfig | None) -> Faults:
    """What lies between two samples is a sample where these are vectors."""
    if joint_training is not None and joint_training.method.interpolates and not backbone.mirrors:
        kind = joint_training.method.kind
        message = f"method `{kind}` makes views between vectors, which backbone `{backbone.kind}` does not take"
        yield ("joint_training", "method", "kind"), message, "set `backbone: {kind: mlp}`"


def pairs_are_told_well(joint_training: JointTrainingConfig | None) -> Faults:
    """A fraction of the neighbours is at most all of them, and a rate of its own needs an optimizer of its own."""
    method = None if joint_training is None else joint_training.method
    if not isinstance(method, TabularNcd):
        return
    if method.top_k_unit == "fraction" and method.top_k > 1:
        message = f"{method.top_k:g} is no fraction"
        yield ("joint_training", "method", "top_k"), message, "write e.g. 0.1, or set `top_k_unit: percent`"
    if method.steps == "joint" and method.clustering_lr is not None:
        message = "with `steps: joint` there is one optimizer"
        yield ("joint_training", "method", "clustering_lr"), message, "leave it out: it has `optimizer.lr`"


def small_crops_are_compared(training: Training) -> Faults:
    """Small crops are for what compares them with the other views, and have a size and an area."""
    augment, steps = training.config.augment, (training.name, "augment")
    least, greatest = augment.small_area
    if not 0 < least <= greatest <= 1:
        message = f"[{least:g}, {greatest:g}] are no parts of an area, the least one first"
        yield (*steps, "small_area"), message, "write e.g. `small_area: [0.3, 0.8]`"
    if not augment.small_crops or training.config.epochs == 0:
        return
    if not training.learnt.compares_small_crops:
        message = f"{training.called} has no use for small crops"
        yield (*steps, "small_crops"), message, "leave them out: `uno` and `crncd` compare them"
    elif augment.small_size is None:
        message = "small crops have no size"
        yield (*steps, "small_crops"), message, "set `small_size`, e.g. 18 where images are of 32 pixels, 96 of 224"


def parts_are_of_several(training: Training, joint_training: JointTrainingConfig | None) -> Faults:
    """A part of a batch has two samples at least, and no groups that pass through the backbone in turn."""
    size, parts = training.config.batch_size, training.config.accumulate
    steps: Steps = (training.name, "accumulate")
    if parts > max(size // 2, 1):
        message = f"{parts} parts of a batch of {size} have less than two samples each"
        yield steps, message, f"use {size // 2} at most"
    method = None if joint_training is None else joint_training.method
    if (
        parts > 1
        and training.name == "joint_training"
        and isinstance(method, TabularNcd)
        and method.statistics == "own"
    ):
        message = "with `statistics: own` a batch passes in parts of another kind already"
        yield steps, message, "leave it out"


def something_to_compile(backbone: BackboneConfig, training: Training) -> Faults:
    """What is compiled is a backbone that is trained, for batches of one size."""
    config, steps = training.config, (training.name, "compile")
    if not config.compile or not training.trains:
        return
    blocks = getattr(config, "train_last_blocks", None)
    blocks = getattr(backbone, "train_last_blocks", "all") if blocks is None else blocks
    if not getattr(training.learnt, "trains_backbone", True) or not backbone.trainable or blocks == 0:
        yield steps, f"{training.called} trains no part of the backbone, which is what is compiled", "leave it out"
    elif getattr(training.learnt, "statistics", "shared") == "own":
        yield steps, "with `statistics: own` the backbone sees parts of ever other sizes", "leave it out"


def masks_something(training: Training) -> Faults:
    """What tells masked features needs some, and nothing else that changes features."""
    if not training.learnt.masks or training.config.epochs == 0:
        return
    kind, steps = training.learnt.kind, (training.name, "augment")
    if not training.config.augment.mask:
        message = f"`{kind}` restores masked features, and `augment.mask` is off"
        yield steps, message, "set `augment: {mask: 0.3}`"
    if training.config.augment.noise:
        noise: Steps = (*steps, "noise")
        yield noise, f"`{kind}` tells masked features by their change, and noise changes all", "leave it out"


def last_blocks_are_some(joint_training: JointTrainingConfig | None) -> Faults:
    """A number of blocks is none at least, and there are some to train."""
    blocks = None if joint_training is None else joint_training.train_last_blocks
    if joint_training is None or blocks is None:
        return
    steps: Steps = ("joint_training", "train_last_blocks")
    if not joint_training.method.trains_backbone:
        message = f"method `{joint_training.method.kind}` trains on embeddings, and no block"
        yield steps, message, "leave it out"
    elif isinstance(blocks, int) and blocks < 0:
        yield steps, f"expected 0 or more, found {blocks}", "0 trains the heads alone, `all` everything"


def embeddings_are_disturbed_as_vectors(joint_training: JointTrainingConfig | None) -> Faults:
    """What trains on embeddings sees no sample that could be turned or cut."""
    if joint_training is None or joint_training.method.trains_backbone:
        return
    augment = joint_training.augment
    for name in type(augment).model_fields:
        if name not in ("noise", "mask") and getattr(augment, name) != getattr(Augment(), name):
            message = f"`{joint_training.method.kind}` trains on embeddings, to which `{name}` cannot be done"
            yield ("joint_training", "augment", name), message, "leave it out"


def method_fits_setting(data: DataConfig, joint_training: JointTrainingConfig | None) -> Faults:
    """Some methods are for a pool of novel classes only, others for a mixed one."""
    if joint_training is None or data.setting in joint_training.method.settings:
        return
    kind, wanted = joint_training.method.kind, " or ".join(joint_training.method.settings)
    holds = "novel classes only" if wanted == "ncd" else "known and novel classes"
    message = f"method `{kind}` is made for a pool of {holds}, and here the setting is {data.setting}"
    yield ("joint_training", "method", "kind"), message, f"set `data.setting: {wanted}`"


def method_has_k(estimate_k: CountingConfig, joint_training: JointTrainingConfig | None) -> Faults:
    """The number of classes is estimated for the methods that need it, and for no others."""
    if joint_training is None:
        return
    method = joint_training.method
    if estimate_k.kind == "none" and method.k == "needs":
        hint = "use e.g. `estimate_k: {kind: max_acc}`, or give k: `{kind: fixed, k: …}`"
        yield ("estimate_k", "kind"), f"method `{method.kind}` needs a number of classes", hint
    elif estimate_k.kind != "none" and method.k == "finds":
        message = f"method `{method.kind}` finds the number of classes itself"
        yield ("joint_training", "method", "kind"), message, "set `estimate_k: {kind: none}`"


def head_is_trained(cluster: ClusterConfig, joint_training: JointTrainingConfig | None) -> Faults:
    """The argmax of a classifier needs one."""
    if not cluster.needs_logits:
        return
    if joint_training is None:
        message = f"clustering `{cluster.kind}` takes what a classifier answers, and `joint_training` is not there"
        yield ("cluster", "kind"), message, "add e.g. `joint_training: {method: {kind: simgcd}}`"
    elif not joint_training.method.classifies:
        message = f"method `{joint_training.method.kind}` has no classifier whose answers could be taken"
        yield ("cluster", "kind"), message, "cluster its embeddings, e.g. `cluster: {kind: semi_kmeans}`"


TRAINING_RULES = (
    selection_has_samples, oracle_is_asked_for_scores_only, oracle_tunes_nothing, warmup_ends, something_to_train,
    reconstruction_fits_backbone, sampler_fits, views_differ,
    views_are_between_vectors, pairs_are_told_well, masks_something, embeddings_are_disturbed_as_vectors,
    small_crops_are_compared, parts_are_of_several, method_fits_setting, method_has_k, head_is_trained,
    last_blocks_are_some, cached_views_serve, something_to_compile,
)  # fmt: skip
