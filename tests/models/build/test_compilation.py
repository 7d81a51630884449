"""What a network is trained with."""

from wardrobe.models import DataFacts, read, resolve
from wardrobe.models.build import build

PICTURES = DataFacts(input_shape=(28, 28), classes=10)


def test_weight_decay_spares_what_is_excluded():
    optimizer = build(resolve(read("mlp-he-bn"), PICTURES)).optimizer
    network = build(resolve(read("mlp-he-bn"), PICTURES)).network
    decayed = {v.name for v in network.trainable_variables if optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}


def test_gradient_accumulation_counts_updates_not_batches(declare):
    schedule = "{CosineDecay: {initial_learning_rate: 1.0, decay_epochs: 4}}"
    declaration = declare(
        "name: x\nmodel: {layers: []}",
        f"optimizer.Adam.learning_rate={schedule}",
        "optimizer.Adam.gradient_accumulation_steps=5",
    )
    optimizer = build(declaration, steps_per_epoch=100).optimizer
    assert optimizer._learning_rate.decay_steps == 4 * 100 // 5
