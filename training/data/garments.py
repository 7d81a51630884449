"""Ten garments, each a function that cuts a new piece of its kind.

A piece is a list of patches painted one over the other on a black ground of 28×28 pixels. A patch
is a polygon and its shade, from 1 for bright cloth to 0 for the ground. The origin is the middle
of the picture; x runs to the right, y downwards, both in pixels. Shoes point to the left.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from random import Random

Point = tuple[float, float]
Patch = tuple[list[Point], float]
Piece = list[Patch]


def t_shirt(r: Random) -> Piece:
    top, hem, chest = -r.uniform(9, 11), r.uniform(8, 11.5), r.uniform(5, 7)
    reach, end, cuff = r.uniform(2.5, 4.5), top + r.uniform(5, 8), r.uniform(1.4, 2.2)
    return [
        *_sleeves(top, chest, reach, end, cuff),
        _torso(top, chest, chest * r.uniform(0.88, 1.05), hem),
        _neck(top, r.uniform(2, 3.5), r.uniform(1, 4)),
    ]


def trouser(r: Random) -> Piece:
    top, hem = -r.uniform(11, 13), r.uniform(11, 13)
    waist, hip, inside, cuff = (r.uniform(*w) for w in ((3, 5), (4, 6), (0.3, 2), (2, 4)))
    crotch, belt = top + r.uniform(6, 9), top + r.uniform(1, 1.8)
    outer, inner = [(0, top), (waist, top), (hip, crotch)], [(inside, hem), (0.2, crotch)]
    return [
        *_both(([*outer, (inside + cuff, hem), *inner], 1)),
        _stroke((-hip, belt), (hip, belt), 0.5, 0.55),
    ]


def pullover(r: Random) -> Piece:
    top, hem, chest = -r.uniform(9, 11), r.uniform(8, 10.5), r.uniform(5, 6.8)
    rib, collar = hem - r.uniform(1.2, 2.2), top - r.uniform(0, 1.8)
    return [
        *_long_sleeves(r, top, chest, hem),
        _torso(top, chest, chest * r.uniform(0.9, 1.05), hem),
        (_box(-chest, rib, chest, hem), 0.65),
        (_box(-2.6, collar, 2.6, top + 1.3), 0.65),
        _neck(top, 1.8, r.uniform(0.2, 1)),
    ]


def dress(r: Random) -> Piece:
    top, hem, chest = -r.uniform(11.5, 13), r.uniform(11, 13), r.uniform(3, 4.5)
    waist, skirt, belt = chest * r.uniform(0.65, 0.9), chest * r.uniform(1.1, 2), r.uniform(-5, 0)
    sleeves = _sleeves(top, chest, r.uniform(1, 2.8), top + r.uniform(4, 8), 1.2)
    bodice = [(2.2, top), (chest, top + 1), (chest * 0.9, top + 5)]
    return [
        *(sleeves if r.random() < 0.4 else []),
        (_mirrored([*bodice, (waist, belt), (skirt, hem)]), 1),
        _neck(top, r.uniform(1.5, 2.2), r.uniform(1.5, 4)),
        _stroke((-waist, belt), (waist, belt), 0.6, r.choice([0.5, 1])),
    ]


def coat(r: Random) -> Piece:
    """Worn open, its front falling apart below the lapels."""
    top, hem, chest = -r.uniform(10.5, 13), r.uniform(10, 13), r.uniform(5, 6.5)
    gap, closing, pocket = r.uniform(0.1, 1.2), top + r.uniform(6, 10), r.uniform(2, 5)
    lapel = [(1.3, top - 0.8), (3.2, top + 0.3), (3.6, closing - 3), (0.2, closing)]
    return [
        *_long_sleeves(r, top, chest, hem - r.uniform(1, 5)),
        _torso(top, chest, chest * r.uniform(0.95, 1.2), hem),
        (_mirrored([(0, closing), (2.5, top)]), 0.15),
        *_both((lapel, 0.7)),
        (_mirrored([(0.25, closing), (gap, hem)]), 0.05),
        *_both(_stroke((1.8, pocket), (4.2, pocket + r.uniform(-0.5, 1)), 0.6, 0.5)),
    ]


def sandal(r: Random) -> Piece:
    """A slit band over the toes and a strap round the ankle; the foot between is not there."""
    sole, heel, width = r.uniform(5, 8), r.choice([1, 1.5, r.uniform(2, 6)]), r.uniform(1.2, 2)
    start, end, slope = r.uniform(-10.5, -7.5), r.uniform(-3.5, 0.5), r.uniform(0.5, 0.8)
    seat, ankle = sole - heel * 0.7, sole - heel * 0.7 - r.uniform(5, 9)
    toes = [(-12.5, sole), (-12.5, sole + 1.5), (-3, sole + 1.6), (4, sole + 1.6)]
    heels = [(8, sole + heel), (12.5, sole + heel), (12.5, seat), (4, sole - heel / 3)]
    instep = [(start + 1.5, sole - 3), (end, sole - 3 - slope * (end - start - 1.5))]
    slits = [start + 3 + 2.6 * i for i in range(r.randint(0, 3))]
    return [
        ([(start, sole), *instep, (end + 1, sole)], 0.85),
        *(_stroke((x, sole - 0.8), (x + 1, sole - 8), 1.1, 0) for x in slits),
        ([*toes, *heels], 1),
        _stroke((12, seat), (10.5, ankle), width, 0.85),
        _stroke((10.5, ankle), (r.uniform(2.5, 4.5), ankle + r.uniform(0.5, 2)), width, 0.85),
        _stroke((4, ankle + 1), (8, seat), width * 0.8, 0.7),
    ]


def shirt(r: Random) -> Piece:
    top, hem, chest = -r.uniform(9.5, 11.5), r.uniform(8.5, 11.5), r.uniform(5, 6.8)
    short = _sleeves(top, chest, r.uniform(2.5, 4), top + r.uniform(6, 8), 1.8)
    point, spacing = top + r.uniform(2, 3.2), r.uniform(2.5, 3.5)
    collar = [(0.2, point), (1.6, top - 1), (3.4, top + 0.5), (2, point + 1)]
    buttons = [point + 1.5 + spacing * i for i in range(int((hem - point - 2) / spacing))]
    return [
        *(short if r.random() < 0.35 else _long_sleeves(r, top, chest, hem)),
        _torso(top, chest, chest * r.uniform(0.85, 1), hem),
        _stroke((0, top), (0, hem), 1.4, r.uniform(0.65, 0.85)),
        *((_disc(0, y, 0.75), r.uniform(0.1, 0.5)) for y in buttons),
        (_mirrored([(0, point), (1.8, top - 0.5)]), 0.1),
        *_both((collar, 1)),
        *_both(_stroke((0.2, point), (3.2, point), 0.5, 0.5)),
    ]


def sneaker(r: Random) -> Piece:
    sole, thick, toe = r.uniform(4, 6), r.uniform(1.2, 2.6), r.uniform(2, 3.5)
    tongue, ankle, heel = (sole - r.uniform(*height) for height in ((6, 8), (4, 6), (5, 8)))
    front = [(-12.5, sole), (-12, sole - toe), (-8, sole - toe - 1), (-1, tongue), (1, tongue)]
    back = [(4, ankle), (9, ankle), (11.5, heel), (12.5, sole)]
    stripes, contrast = [1 + 2 * i for i in range(r.randint(0, 3))], r.choice([0.3, 1])
    laces = [(-7 + 2 * i, sole - toe - 2 - i) for i in range(3)]
    return [
        ([*front, *back], r.uniform(0.6, 0.9)),
        (_box(-13, sole, 13, sole + thick), 1),
        _stroke((-13, sole), (13, sole), 0.4, 0.3),
        *(_stroke((x, sole - 1), (x + 2, ankle + 1), 0.8, contrast) for x in stripes),
        *(_stroke((x, y), (x + 1.8, y + 1.5), 0.7, 0.2) for x, y in laces),
    ]


def bag(r: Random) -> Piece:
    top, bottom, wide, narrow = (r.uniform(*w) for w in ((-6, 1), (7, 11), (8, 12.5), (6, 12)))
    grip, rise, strap = r.uniform(3, 7), top - r.uniform(3, 8), r.uniform(0.9, 1.8)
    shoulder = (grip * r.uniform(0.7, 1), top + (rise - top) * 0.7)
    flap = top + (bottom - top) * r.uniform(0.2, 0.6)
    handle = [(grip, top), shoulder, (grip * 0.4, rise), (0, rise)]
    return [
        *(half for a, b in pairwise(handle) for half in _both(_stroke(a, b, strap, 0.85))),
        (_mirrored([(narrow, top), (wide, bottom - 1), (wide - 1, bottom)]), 1),
        _stroke((-narrow, flap), (narrow, flap), 0.6, r.uniform(0.4, 0.8)),
        (_disc(0, flap, r.uniform(0.8, 1.4)), r.choice([0.2, 1])),
    ]


def ankle_boot(r: Random) -> Piece:
    sole, top, front, zipper = (r.uniform(*w) for w in ((8, 10), (-11, -4), (-2, 2), (4, 7)))
    toe, instep, heel = (
        sole - r.uniform(2.5, 4),
        sole - r.uniform(6, 9),
        r.choice([1.5, r.uniform(2, 4)]),
    )
    foot = [(-12, sole), (-12, toe), (-9, toe - 1.3), (-5, toe - 2.2), (front - 1, instep)]
    shaft = [(front, top), (10.5, top - r.uniform(0, 1)), (10, instep), (11.5, sole - 2)]
    return [
        ([*foot, *shaft, (11.5, sole)], r.uniform(0.75, 1)),
        (_box(-12.5, sole, 3, sole + 1), 0.6),
        ([(4, sole), (12, sole), (11.5, sole + heel), (6, sole + heel)], 0.6),
        _stroke((zipper, top), (zipper, sole - 3), 0.6, r.choice([0.4, 1])),
        _stroke((front, top + 1.4), (10.5, top + 1.4), 0.5, 0.5),
    ]


GARMENTS: dict[str, Callable[[Random], Piece]] = {
    "T-shirt/top": t_shirt,
    "Trouser": trouser,
    "Pullover": pullover,
    "Dress": dress,
    "Coat": coat,
    "Sandal": sandal,
    "Shirt": shirt,
    "Sneaker": sneaker,
    "Bag": bag,
    "Ankle boot": ankle_boot,
}


def _torso(top: float, chest: float, waist: float, hem: float) -> Patch:
    """From the shoulders to the hem; chest and waist are half widths."""
    shoulder, armpit, middle = (chest, top + 1.5), (chest, top + 6), (waist, (top + hem) / 2)
    return _mirrored([(2.5, top), shoulder, armpit, middle, (waist, hem)]), 1


def _sleeves(top: float, chest: float, reach: float, end: float, cuff: float) -> Piece:
    """From the shoulders to cuffs `reach` beside the chest at height `end`."""
    shoulder, armpit = (chest + 0.8, top + 1.8), (chest - 0.2, min(top + 7, end + 1.5))
    outer, inner = (chest + reach + cuff, end - 0.8), (chest + reach - cuff, end + 0.8)
    return _both(([(chest - 1.5, top + 0.8), shoulder, outer, inner, armpit], 0.85))


def _long_sleeves(r: Random, top: float, chest: float, hem: float) -> Piece:
    return _sleeves(top, chest, r.uniform(2, 4.5), hem - r.uniform(0, 3), r.uniform(1.2, 1.9))


def _neck(top: float, width: float, depth: float) -> Patch:
    """The hole for the head."""
    sides = [(width, top - 1), (width, top), (width * 0.7, top + depth * 0.7)]
    return _mirrored([*sides, (0, top + depth)]), 0


def _mirrored(half: list[Point]) -> list[Point]:
    """A shape symmetric about the middle, from its right half."""
    return [*half, *((-x, y) for x, y in reversed(half))]


def _both(right: Patch) -> Piece:
    """The same patch on the right and on the left."""
    polygon, shade = right
    return [right, ([(-x, y) for x, y in polygon], shade)]


def _stroke(start: Point, end: Point, width: float, shade: float) -> Patch:
    (x0, y0), (x1, y1) = start, end
    across = width / 2 / math.hypot(x1 - x0, y1 - y0)
    dx, dy = (y1 - y0) * across, (x0 - x1) * across
    return [(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)], shade


def _box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _disc(x: float, y: float, radius: float) -> list[Point]:
    """An octagon, which at this size is round."""
    long, short = radius, radius * 0.4
    corners = [(long, short), (short, long), (-short, long), (-long, short)]
    return [(x + dx, y + dy) for dx, dy in [*corners, *((-a, -b) for a, b in corners)]]
