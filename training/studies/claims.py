"""A claim: a comparison of numbers that the variants of a study measured.

    median(test_accuracy, width=10) > 0.95
    share(test_accuracy > 0.99, width=1) < share(test_accuracy > 0.99, width=100)

A summary (min, max, mean, median, spread, share, lowest) takes one measure, and `axis=label` to
select variants; `lowest` is the lowest median of variants that differ only in their seed.
Numbers may be added, subtracted, multiplied and divided; comparisons may be joined with `and`.
Python's parser reads it, but Python does not evaluate it.
"""

from __future__ import annotations

import ast
import math
import operator
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wardrobe.models.schema.errors import did_you_mean


@dataclass(frozen=True)
class Measured:
    """The labels of one variant on each axis, and its numbers by name."""

    labels: dict[str, str]
    numbers: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds, and the same claim with its numbers filled in."""

    claim: str
    holds: bool
    computed: str


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


_SUMMARIES: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "max": max,
    "mean": statistics.fmean,
    "median": statistics.median,
    "spread": _spread,
    "share": statistics.fmean,
    "lowest": min,  # of the medians over the seeds
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, Callable[[float, float], float]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("−", operator.sub),
    ast.Mult: ("×", operator.mul),
    ast.Div: ("/", operator.truediv),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, Callable[[float, float], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("≤", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: ("≥", operator.ge),
    ast.Eq: ("=", operator.eq),
}


def parse(claim: str) -> list[ast.Compare]:
    """The comparisons of a claim.

    Raises:
        ValueError: it is not a comparison of summaries and numbers.
    """
    try:
        body = ast.parse(claim.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"not a claim: {error.msg} in '{claim}'") from None
    joined = isinstance(body, ast.BoolOp) and isinstance(body.op, ast.And)
    parts = body.values if joined and isinstance(body, ast.BoolOp) else [body]
    comparisons = [part for part in parts if isinstance(part, ast.Compare)]
    if len(comparisons) < len(parts):
        raise ValueError(f"a claim compares numbers, such as 'max(moved) == 0', not '{claim}'")
    for comparison in comparisons:
        _check_operators(comparison)
        for side in (comparison.left, *comparison.comparators):
            _check(side)
    return comparisons


def judge(claim: str, variants: Sequence[Measured]) -> Verdict:
    """Whether a claim holds for what was measured. A comparison with NaN does not.

    A difference smaller than the spread over the seeds of either side is marked.

    Raises:
        ValueError: it names a measure or a variant that does not exist.
    """
    verdicts, texts = [], []
    for comparison in parse(claim):
        sides = [comparison.left, *comparison.comparators]
        values = [_value(side, variants) for side in sides]
        spreads = [_spread_over_seeds(side, variants) for side in sides]
        text = f"{values[0]:.4g}"
        for number, sign in enumerate(comparison.ops):
            symbol, compare = _COMPARISONS[type(sign)]
            left, right = values[number : number + 2]
            verdicts.append(compare(left, right))
            text += f" {symbol} {right:.4g}"
            if abs(left - right) < min(spreads[number : number + 2]):
                text += " (within the spread of the seeds)"
        texts.append(text)
    return Verdict(claim, all(verdicts), " and ".join(texts))


def _check_operators(comparison: ast.Compare) -> None:
    for sign in comparison.ops:
        if type(sign) not in _COMPARISONS:
            raise ValueError("a claim compares with <, <=, >, >= or ==")


def _check(node: ast.expr) -> None:
    """Refuses everything but numbers, summaries and arithmetic with them."""
    match node:
        case ast.Constant(value=int() | float()):
            return None
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _check(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            _check(left)
            return _check(right)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=keywords):
            if name not in _SUMMARIES:
                raise ValueError(f"no summary '{name}'{did_you_mean(name, _SUMMARIES)}")
            if (name == "share") != isinstance(argument, ast.Compare):
                raise ValueError("share takes a comparison, the other summaries a measure")
            if isinstance(argument, ast.Compare):
                _check_operators(argument)
                _check(argument.comparators[0])
                argument = argument.left
            labels = [keyword.value for keyword in keywords]
            if isinstance(argument, ast.Name) and all(map(_is_label, labels)):
                return None
    raise ValueError(f"cannot be part of a claim: '{ast.unparse(node)}'")


def _is_label(node: ast.expr) -> bool:
    return isinstance(node, (ast.Constant, ast.Name))


def _value(node: ast.expr, variants: Sequence[Measured]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(operand=operand):
            return -_value(operand, variants)
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)][1](_value(left, variants), _value(right, variants))
        case ast.Call(func=ast.Name(id=summary), args=[argument], keywords=keywords):
            chosen = _chosen(variants, keywords)
            if isinstance(argument, ast.Compare):
                compare = _COMPARISONS[type(argument.ops[0])][1]
                bound = _value(argument.comparators[0], variants)
                numbers = _numbers(argument.left, chosen)
                if any(map(math.isnan, numbers)):
                    return math.nan
                return statistics.fmean(compare(number, bound) for number in numbers)
            numbers = _numbers(argument, chosen)
            if summary == "lowest":
                numbers = _medians(numbers, chosen)
            return math.nan if any(map(math.isnan, numbers)) else _SUMMARIES[summary](numbers)
    raise ValueError(f"cannot be part of a claim: '{ast.unparse(node)}'")


def _chosen(variants: Sequence[Measured], keywords: list[ast.keyword]) -> Sequence[Measured]:
    for keyword in keywords:
        label = keyword.value
        wanted = label.id if isinstance(label, ast.Name) else str(ast.literal_eval(label))
        labels = dict.fromkeys(variant.labels.get(str(keyword.arg), "") for variant in variants)
        if wanted not in labels:
            known = ", ".join(labels)
            raise ValueError(f"no variant has {keyword.arg}={wanted}; choose from {known}")
        variants = [variant for variant in variants if variant.labels[str(keyword.arg)] == wanted]
    return variants


def _spread_over_seeds(node: ast.expr, variants: Sequence[Measured]) -> float:
    """The range of the variants of a median or mean if they differ only in their seeds; else 0.

    The spreads of both sides of a sum or difference count as if they were independent.
    """
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            sides = _spread_over_seeds(left, variants), _spread_over_seeds(right, variants)
            return math.hypot(*sides)
        case ast.Call(func=ast.Name(id="median" | "mean"), args=[argument], keywords=keywords):
            chosen = _chosen(variants, keywords)
            numbers = _numbers(argument, chosen)
            if len(_medians(numbers, chosen)) == 1:
                return _spread(numbers)
    return 0.0


def _medians(numbers: list[float], variants: Sequence[Measured]) -> list[float]:
    """The medians over the seeds; a NaN loss counts as infinite."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for number, variant in zip(numbers, variants, strict=True):
        labels = tuple(label for axis, label in variant.labels.items() if axis != "seed")
        groups.setdefault(labels, []).append(math.inf if math.isnan(number) else number)
    return [statistics.median(group) for group in groups.values()]


def _numbers(node: ast.expr, variants: Sequence[Measured]) -> list[float]:
    assert isinstance(node, ast.Name)  # `parse` has seen to it
    try:
        return [variant.numbers[node.id] for variant in variants]
    except KeyError:
        known = dict.fromkeys(name for variant in variants for name in variant.numbers)
        hint = did_you_mean(node.id, known) or f"; measured are {', '.join(known)}"
        raise ValueError(f"no measure '{node.id}'{hint}") from None
