"""Laying one declaration over another."""

from hypothesis import given
from hypothesis import strategies as st

from wardrobe.models.schema.tree import Node, Origin, merge, node_of, overlay, without

PARENT, CHILD = Origin("parent.yaml", 1), Origin("child.yaml", 1)


def merged(parent, child):
    return merge(node_of(parent, PARENT), node_of(child, CHILD))


def test_mappings_merge_lists_replace_null_deletes():
    result = merged(
        {"training": {"epochs": 3, "batch_size": 8}, "callbacks": ["A", "B"], "loss": "mse"},
        {"training": {"epochs": 5}, "callbacks": ["C"], "loss": None},
    )
    assert result.plain == {"training": {"epochs": 5, "batch_size": 8}, "callbacks": ["C"]}


def test_each_value_keeps_its_origin():
    result = merged({"training": {"epochs": 3, "batch_size": 8}}, {"training": {"epochs": 5}})
    assert result.origin_of(("training", "epochs")) == CHILD
    assert result.origin_of(("training", "batch_size")) == PARENT


def test_the_same_keras_object_merges_and_another_replaces():
    parent = {"optimizer": {"Adam": {"learning_rate": 0.1, "beta_1": 0.8}}}
    assert merged(parent, {"optimizer": {"Adam": {"beta_1": 0.7}}}).plain == {
        "optimizer": {"Adam": {"learning_rate": 0.1, "beta_1": 0.7}}
    }
    assert merged(parent, {"optimizer": {"SGD": {"momentum": 0.9}}}).plain == {
        "optimizer": {"SGD": {"momentum": 0.9}}
    }


def test_defaults_of_several_layers_stand_side_by_side():
    result = merged(
        {"model": {"defaults": {"Dense": {"use_bias": False}}}},
        {"model": {"defaults": {"Dropout": {"rate": 0.5}}}},
    )
    assert set(result.plain["model"]["defaults"]) == {"Dense", "Dropout"}


def overlaid(value, path, new):
    return overlay(node_of(value, PARENT), path, Node(new, CHILD)).plain


def test_overlay_reaches_into_mappings_and_lists():
    value = {"model": {"layers": [{"Dense": {"units": 3}}, "Flatten"]}}
    changed = overlaid(value, ("model", "layers", 0, "Dense", "units"), 5)
    assert changed == {"model": {"layers": [{"Dense": {"units": 5}}, "Flatten"]}}


def test_overlay_makes_what_is_missing_and_null_deletes():
    assert overlaid({}, ("training", "epochs"), 3) == {"training": {"epochs": 3}}
    assert overlaid({"a": {"b": 1, "c": 2}}, ("a", "b"), None) == {"a": {"c": 2}}


def test_without_removes_one_value():
    node = node_of({"a": [1, 2, {"b": 3}]}, PARENT)
    assert without(node, ("a", 2, "b")).plain == {"a": [1, 2, {}]}
    assert without(node, ("a", 0)).plain == {"a": [2, {"b": 3}]}
    assert without(node, ("unknown",)).plain == node.plain


keys = st.sampled_from(["a", "b", "c"])
trees = st.dictionaries(
    keys, st.integers() | st.dictionaries(keys, st.integers() | st.lists(st.integers())), max_size=3
)


@given(trees)
def test_a_tree_laid_over_itself_stays_the_same(value):
    assert merged(value, value).plain == value


@given(trees, trees)
def test_what_the_child_says_holds(parent, child):
    result = merged(parent, child)
    for key, value in child.items():
        if isinstance(value, dict):
            for inner, said in value.items():
                assert result.plain[key][inner] == said
        else:
            assert result.plain[key] == value


@given(trees, trees)
def test_what_only_the_parent_says_stays(parent, child):
    result = merged(parent, child)
    for key in parent.keys() - child.keys():
        assert result.plain[key] == parent[key]
        assert result.value[key].origin == PARENT
