"""All errors of a file at once, each at its line."""


def test_frame_layers_and_callbacks_in_one_go(problems):
    found = problems("""\
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


def test_a_mistake_in_a_parent_is_told_at_the_parents_line(write, problems):
    write("name: parent\n\noptimizer: {Adm: {}}\nmodel: {layers: []}\n", "parent")
    assert problems("name: child\nextends: parent\n") == [
        "3: Keras has no optimizer 'Adm'; did you mean 'Adam'?"
    ]
