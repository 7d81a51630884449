"""Typos: named at their line, with what to write instead."""

import pytest

HEAD = "name: small\nmodel: {layers: [{Dense: {units: 8}}]}\n"


@pytest.mark.parametrize(
    ("text", "line", "cure"),
    [
        ("training: {epochs:10}", 3, "write 'epochs: 10', with a space after the colon"),
        ("training: {epochs=10}", 3, "write 'epochs: 10'"),
        ("training: {epochs：10}", 3, "full-width characters in 'epochs：10': write 'epochs: 10'"),
        ("training:\n  epochs:10", 4, "write 'epochs: 10'"),
        ("training:\n  epochs:10\n  batch_size: 3", 5, "write 'epochs: 10'"),
        ("optimizer: {Adam: {learning_rate:0,1}}", 3, "write 'learning_rate: 0"),
        ("optimizer: {Adam: {learning_rate: 0,1}}", 3, "write 'learning_rate: 0.1'"),
        ("training: {validation: 0,2}", 3, "write 'validation: 0.2', with a decimal point"),
        ("training:\n  validation: 0,2", 4, "write 0.2, with a decimal point"),
        ("training: {batch_size: 1,000}", 3, "or 'batch_size: 1000'"),
        ("training: {epochs: 1_000}", 3, "write 1000"),
        ("training: {epochs: '10'}", 3, "write 10 without quotes"),
        ("training: {validation: 10 %}", 3, "write 0.1"),
        ("optimizer: {Adam: {learning_rate: '1e-3'}}", 3, "write 1e-3 without quotes"),
        ("optimizer: {Adam: {learning_rate: 1e–3}}", 3, "not a minus sign: write 1e-3"),
        ("deterministic: yes", 3, "write true"),
        ("seed: １０", 3, "write '10'"),
        ("seed:\u00a010", 4, "a non-breaking space (U+00A0)"),
        ("training: {epochs:\u202f10}", 3, "non-breaking space (U+202F)"),
        ("\u00a0seed: 10", 3, "a non-breaking space"),
        ("training:\n\u00a0 epochs: 3", 4, "a non-breaking space"),
        ("loss: mean\u200b_squared_error", 3, "U+200B"),
        ("loss: “mean_squared_error”", 3, "curly quotes"),
        ("“loss”: mse", 3, "curly quotes"),
        ("metrics: [‘accuracy’]", 3, "curly quotes in ‘accuracy’"),
        ("optimizer:\n\tAdam: {}", 4, "a tab"),
        ("training:\nepochs: 10", 4, "'epochs' is not indented: to belong to 'training'"),
        ("optimizer:\n  SGD:\n  momentum: 0.9", 5, "to belong to 'SGD'"),
        ("callbacks:\n  - EarlyStopping:\n    patience: 3", 5, "to belong to 'EarlyStopping'"),
        ("callbacks:\n- EarlyStopping:\npatience: 3", 5, "to belong to 'EarlyStopping'"),
        ("callbacks:\n  - EarlyStopping\n      patience: 3", 5, "write 'EarlyStopping:' with a"),
        ("callbacks:\n  -EarlyStopping: {}", 4, "write '- EarlyStopping', with a space"),
        ("callbacks:\n  - EarlyStopping {patience: 3}", 4, "a colon is missing"),
        ("optimizer: Adam: {}", 3, "is not YAML"),
        ("training:{epochs: 10}", 3, "a space is missing before the {: write 'training: {"),
        ("training: {epochs; 10}", 3, "write 'epochs: 10'"),
        ("training: {epochs: 0x10}", 3, "write 16"),
        ("training: {epochs: 10 batch_size: 8}", 3, "a comma is missing, or the { is not closed"),
        ("training: {epochs: 10\nseed: 3", 4, "the { in line 3 is not closed"),
        ("optimizer: {Adam: {learning_rate: 0,001}}", 3, "a decimal point"),
        ("seed:\u300010", 4, "an ideographic space"),
        ("callbacks: EarlyStopping", 3, "such as 'callbacks: [EarlyStopping]'"),
        ("training: epochs: 10", 3, "write 'training: {epochs: 10}'"),
    ],
)  # fmt: skip
def test_named_with_line_and_cure(errors, text, line, cure):
    found = errors(f"{HEAD}{text}\n")
    assert any(error.startswith(f"{line}: ") and cure in error for error in found), found


@pytest.mark.parametrize(
    "text",
    [
        "about: l’été, “les sacs”\u00a0: deux réseaux".replace("\u00a0:", "\u00a0"),
        "about: “two layers” and ‘dropout’",
        "about: '0,2 of it'",
        "seed: 1    # a comment with “quotes”, a\u00a0space and a\ttab",
        "callbacks: [{EarlyStopping: {monitor: \"loss\"}}]",
        "training: {epochs: 3, validation: 1e-1}",
        "optimizer: {Adam: {}}",
        "seed: +7\ntraining:\n  epochs: 007",
    ],
)  # fmt: skip
def test_what_is_not_a_typo(errors, text):
    assert errors(f"{HEAD}{text}\n") == []


def test_a_file_of_windows_or_of_json_is_read_like_any_other(tmp_path):
    from wardrobe.models import read

    windows, json = tmp_path / "a.yaml", tmp_path / "a.json"
    windows.write_bytes(b"\xef\xbb\xbfname: a\r\nmodel:\r\n  layers: []\r\n")
    json.write_text('{\n\t"name":\t"a",\n\t"model": {"layers": []}\n}')
    assert read(str(windows)).plain == read(str(json)).plain


def test_a_typo_on_the_command_line(errors):
    (found,) = errors(HEAD, "optimizer.Adam={beta_1: 0,9}")
    assert "write 'beta_1: 0.9'" in found
