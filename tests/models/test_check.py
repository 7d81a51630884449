"""All errors of a file at once, each at its line."""


def test_schema_layers_and_callbacks_are_checked_in_one_go(errors):
    found = errors("""\
        name: bad
        trainig: {}
        model:
          layers:
            - Dens: {units: 3}
            - Dense: {unit: 3}
            - Dropout: {rate: -0.2}
        training: {epochs: 2.5}
        optimizer: {Adm: {}}
        callbacks:
          - EarlyStoping
        """)
    assert found == [
        "2: unknown key 'trainig'; did you mean 'training'?",
        "5: Keras has no layer 'Dens'; did you mean 'Dense'?",
        "6: Dense has no argument 'unit'; did you mean 'units'?",
        "7: Dropout: rate cannot be negative (-0.2)",
        "8: training.epochs must be a valid integer, not 2.5",
        "9: Keras has no optimizer 'Adm'; did you mean 'Adam'?",
        "11: Keras has no callback 'EarlyStoping'; did you mean 'EarlyStopping'?",
    ]


def test_an_error_in_a_parent_is_reported_at_the_parents_line(write, errors):
    write("name: parent\n\noptimizer: {Adm: {}}\nmodel: {layers: []}\n", "parent")
    assert errors("name: child\nextends: parent\n") == [
        "3: Keras has no optimizer 'Adm'; did you mean 'Adam'?"
    ]


def test_a_declaration_with_everything_in_it(errors):
    assert (
        errors("""\
        name: mlp-he-bn
        extends: fashion-base            # one parent; mappings merge, lists replace, null deletes
        about: 3 × 256 ReLU, He initialisation, batch norm, dropout, AdamW with cosine decay
        seed: 17
        data: fashion-mnist
        model:
          defaults: {Dense: {kernel_initializer: he_normal, use_bias: false}}
          layers:
            - repeat: 3                  # the 22- and 30-layer networks are one number
              layers:
                - Dense: {units: 256}
                - BatchNormalization
                - Activation: {activation: relu}
                - Dropout: {rate: 0.2}
          head: {classes: 10, activation: softmax, kernel_initializer: glorot_uniform,
                 use_bias: true}
        optimizer:
          AdamW:
            weight_decay: 1e-4
            exclude_from_weight_decay: [bias, gamma, beta]
            learning_rate: {CosineDecay: {initial_learning_rate: 0.0, warmup_target: 2e-3,
                                          warmup_epochs: 2, decay_epochs: 28}}
        loss: sparse_categorical_crossentropy
        training: {epochs: 30, batch_size: 256, validation: 5000}
        callbacks:
          - EarlyStopping: {patience: 5, restore_best_weights: true}
        """)
        == []
    )


def test_an_error_stands_where_the_wrong_word_was_written(write, errors):
    assert errors("""\
        name: x
        model:
          defaults:
            Dense:
              units: 8
              kernel_initializer: he_norml
            Droput: {rate: 0.1}
            Dropout:
              rat: 0.1
          layers:
            - Dense
            - Dense: {units: 5}
            - Dens:
                units: 3
        """) == [
        "6: Keras has no initializer 'he_norml'; did you mean 'he_normal'?",
        "7: Keras has no layer 'Droput'; did you mean 'Dropout'?",
        "9: Dropout has no argument 'rat'; did you mean 'rate'?",
        "13: Keras has no layer 'Dens'; did you mean 'Dense'?",
    ]  # fmt: skip


def test_a_value_that_a_layer_rejects_stands_where_it_was_written(errors):
    assert [
        error.split(":")[0]
        for error in errors("""\
            name: x
            model:
              defaults:
                Dense:
                  activation: relu
                  units: -8
              layers:
                - Dense
                - Dense:
                    activation: relu
                    units: -3
            """)
    ] == ["6", "11"]


def test_defaults_of_a_parent_are_reported_at_the_parents_line(write):
    from tests.models.conftest import PICTURES
    from wardrobe.models import check, read

    write(
        "name: parent\nmodel:\n  defaults:\n    Dense: {kernel_initializer: he_norml}\n", "parent"
    )
    child = write("name: x\nextends: parent\nmodel: {layers: [{Dense: {units: 3}}]}\n", "child")
    (error,) = check(read(str(child)), PICTURES)
    assert (error.file.endswith("parent.yaml"), error.line) == (True, 4)
