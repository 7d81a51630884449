"""A training that fails says why in words, and where that is declared."""

import keras
import pytest

from wardrobe.models import DataFacts, read, resolve
from wardrobe.models.build import build
from wardrobe.training.errors import TrainingError, in_words
from wardrobe.training.fit.failure import as_training_error

DECLARED = """\
name: small
model:
  layers:
    - Dense: {units: 8}
    - Dense:
        units: 4
callbacks:
  - TerminateOnNaN
  - ModelCheckpoint:
      filepath: w.keras
"""

OF_A_GRAPH = """\
Graph execution error:

Detected at node network_1/dense_2_1/MatMul defined at (most recent call last):
<stack traces unavailable>
Matrix size-incompatible: In[0]: [32,784], In[1]: [10,8]
\t [[{{node network_1/dense_2_1/MatMul}}]] [Op:__inference_loop_12]
"""


@pytest.fixture
def declared(tmp_path):
    (tmp_path / "small.yaml").write_text(DECLARED)
    declaration = resolve(read(str(tmp_path / "small.yaml")), DataFacts((28, 28), 10))
    return declaration, build(declaration)


def told(error, declared, callbacks=()):
    try:
        raise error
    except type(error) as caught:
        found = as_training_error(caught, *declared, callbacks)
        return found and str(found)


def test_an_error_of_a_graph_in_one_line():
    assert in_words(RuntimeError(OF_A_GRAPH)) == (
        "Matrix size-incompatible: In[0]: [32,784], In[1]: [10,8]"
    )
    assert in_words(RuntimeError("OOM {{node x}} when allocating [Op:MatMul]")) == (
        "OOM when allocating"
    )
    assert in_words(RuntimeError()) == "RuntimeError"


def test_a_layer_is_told_at_its_line(declared):
    error = RuntimeError(OF_A_GRAPH.replace("dense_2_1", "dense_2"))
    assert "small.yaml:5: training stopped: Matrix size-incompatible" in told(error, declared)


def test_a_callback_is_told_at_its_line(declared):
    checkpoint = declared[1].callbacks[1]
    checkpoint.set_model(declared[1].network)
    try:
        checkpoint._save_model(epoch=None, batch=None, logs={})
    except TypeError as error:
        found = as_training_error(error, *declared)
    assert "small.yaml:9: training stopped: " in str(found)


def test_anything_else_names_the_file(declared):
    assert told(ValueError("no"), declared) == "small.yaml: training stopped: no"


def test_what_is_not_the_declarations_fault_stays_as_it_is(declared):
    class Mine(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyError(epoch)

    mine = Mine()
    with pytest.raises(KeyError) as caught:
        mine.on_epoch_end(1)
    assert as_training_error(caught.value, *declared, [mine]) is None
    assert told(OSError("disk"), declared) is None
    assert told(TrainingError("said already"), declared) is None
