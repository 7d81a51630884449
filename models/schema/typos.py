"""Typos that YAML takes for something else, and what to write instead."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from typing import Any

_NUMBER = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
_DIGITS = re.compile(r"[0-9]+([eE][-+]?[0-9]+)?$")
_NO_SPACE = re.compile(r"([A-Za-z_]\w*)\s*(?::=|[:=;])\s*(\S.*)$")
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]*,[0-9]+([eE][-+]?[0-9]+)?$")
_NO_SPACE_IN_LINE = re.compile(r"\s*(?:-\s+)?([a-z_]\w*)[:=]([^\s:=/\\].*)$")
_OBJECT_WITHOUT_COLON = re.compile(r"\s*-\s+([A-Z]\w*)\s*$")
_TWO_IN_A_LINE = re.compile(r"\s*(?:-\s+)?(\w+):\s+(\w+):\s+([^\s{].*?)\s*$")
_ENTRY = re.compile(r"\s*[a-z_]\w*:\s")

_OPENING, _CLOSING = "“„‟‘‚‛«‹", "”‟’‛»›“‘"
_DASHES = str.maketrans("−–—‒‐‑", "------")
_FULL_WIDTH = re.compile("[\uff01-\uff5e]")


def in_characters(text: str) -> str | None:
    """What is wrong with the characters of a key or a value that is not in quotes, or None."""
    for character in text:
        category = unicodedata.category(character)
        if character != " " and category in ("Zs", "Cf"):
            name = unicodedata.name(character, "space").lower().replace("no-break", "non-breaking")
            article, seen = "an" if name[0] in "aeio" else "a", text.replace(character, "·")
            cure = "type an ordinary space instead" if category == "Zs" else "remove it"
            return (
                f"{article} {name} (U+{ord(character):04X}), shown here as '·', in '{seen}': "
                f"{cure}, or use quotes if it is meant"
            )
    if text[:1] in (*_OPENING,) or text[-1:] in (*_CLOSING,):
        plain = text.strip(_OPENING + _CLOSING)
        return f"curly quotes in {text}: write straight ones, as in '{plain}', or none"
    if _FULL_WIDTH.search(text):
        narrow = unicodedata.normalize("NFKC", text)
        written = _spaced(narrow) or narrow
        return f"full-width characters in '{text}': write '{written}', or use quotes if meant"
    if not text.isascii() and re.fullmatch(_NUMBER, text.translate(_DASHES)):
        return f"a dash in '{text}' that is not a minus sign: write {text.translate(_DASHES)}"
    return None


def in_key(key: str) -> str | None:
    """What is wrong with a key that is not in quotes, or None."""
    if (dash := re.match(r"-(\w.*)", key)) is not None:
        return (
            f"'{key}' is not an entry of a list: write '- {dash[1]}', with a space after the dash"
        )
    if (brace := re.match(r"(\w+)(\s*|:)\{", key)) is not None:
        missing = "space" if brace[2] == ":" else "colon"
        return f"a {missing} is missing before the {{: write '{brace[1]}: {{…}}'"
    return in_characters(key)


def in_empty_key(key: str, before: tuple[str, Any] | None) -> str | None:
    """Why a key may have no value: no space after the colon, or a decimal comma; else None.

    `before` is the entry before it in the same mapping.
    """
    if spaced := _spaced(key):
        return f"'{key}' has no value: write '{spaced}', with a space after the colon"
    if before is not None and _DIGITS.match(key) and type(before[1]) is int:
        name, whole = before
        meant = f"'{name}: {whole}.{key}', with a decimal point"
        if len(key) == 3 and whole:
            meant += f", or '{name}: {whole}{key}'"
        return f"'{name}: {whole},{key}' is cut off at the comma: write {meant}"
    return None


def in_value(value: Any) -> str:
    """What to write in place of a text where a number, true or a mapping is wanted: `; write …`."""
    if not isinstance(value, str):
        return ""
    text = value.strip()
    if _DECIMAL_COMMA.match(text):
        return f"; write {_pointed(text)}, with a decimal point"
    if re.fullmatch(_NUMBER, text) or text in ("true", "false"):
        return f"; write {text} without quotes"
    if re.fullmatch(r"[-+]?[0-9]{1,3}([_' ][0-9]{3})+", text):
        return f"; write {re.sub(r'[^-+0-9]', '', text)}"
    if re.fullmatch(r"0[xob][0-9a-f]+", text, re.IGNORECASE):
        with suppress(ValueError):
            return f"; write {int(text, 0)}"
    if (percent := re.fullmatch(rf"({_NUMBER})\s*%", text)) is not None:
        return f"; write {float(percent[1]) / 100:g}"
    if text.lower() in ("yes", "on", "no", "off", "y", "n"):
        return f"; write {'true' if text.lower() in ('yes', 'on', 'y') else 'false'}"
    spaced = _spaced(text)
    return f"; write '{spaced}', with a space after the colon" if spaced else ""


def in_lines(lines: list[str], number: int) -> str:
    """What to write in place of lines that are not YAML, `; write …`; `number` counts from 0."""
    at_fault = lines[number : number + 1]
    above = lines[max(number - 1, 0) : number]
    for line in at_fault + above:
        if wrong := _in_characters_of(line):
            return f"; {wrong}"
    for line in at_fault:
        if two := _TWO_IN_A_LINE.match(line):
            return f"; write '{two[1]}: {{{two[2]}: {two[3]}}}'"
        if above and _ENTRY.match(line) and (named := _OBJECT_WITHOUT_COLON.match(above[0])):
            return f"; write '{named[1]}:' with a colon, and its arguments further right"
    for line in above + at_fault:
        if typo := _NO_SPACE_IN_LINE.match(line):
            return f"; write '{typo[1]}: {typo[2].strip()}', with a space after the colon"
    return ""


def _in_characters_of(line: str) -> str | None:
    """What is wrong with the characters of a line, its comment left out."""
    line = line.split(" #")[0]
    if "\t" in line:
        return "there is a tab: indent YAML with spaces"
    words = re.findall(r"[^\s,{}\[\]#]+", line)
    exotic = any(unicodedata.category(character) == "Zs" for character in line.replace(" ", ""))
    texts = [line.strip(" ")] if exotic else words
    return next((wrong for text in texts if (wrong := in_characters(text))), None)


def _spaced(text: str) -> str | None:
    """`key:value` or `key=value` as `key: value`, or None if it is neither."""
    found = _NO_SPACE.match(unicodedata.normalize("NFKC", text))
    if found is None or found[2].startswith(("/", "\\")):
        return None
    value = found[2]
    return f"{found[1]}: {_pointed(value) if _DECIMAL_COMMA.match(value) else value}"


def _pointed(number: str) -> str:
    return number.replace(",", ".")
