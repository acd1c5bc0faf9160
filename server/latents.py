"""Latents, the random inputs of models: drawn from a seed, or several of them mixed into one, by what a request says.

Pure: it knows no graph and no picture. A style's latent is given to it by whoever had it encoded.
"""

from __future__ import annotations

import itertools
import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from server.errors import BadParameterError
from server.manifest import STYLE_NAME, Latent, LatentDistribution, Manifest

Array = npt.NDArray[Any]

SEED_LIMIT = 2**32
MAX_TERMS = 16
MAX_TEXT = 4096
"""Characters of a mix as text; sixteen terms with all digits of their weights take about a quarter of it."""

MAX_WEIGHT = 1_000_000.0
_MAX_SHOWN = 64

_WEIGHT = re.compile(r"\d{1,24}(\.\d{0,24})?(e[+-]?\d{1,3})?|\.\d{1,24}(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
"""Of text: what Python takes for a number besides (underscores, `nan`, spaces) is more likely a mistake."""

_Source = int | Literal["style"]
_EXAMPLE = f"7:0.6,12:0.4,{STYLE_NAME}:0.3"


@dataclass(frozen=True)
class Mix:
    """What a latent is made of: weights by seed, each seed once and in ascending order, and that of the style's latent.

    `style` is None where the mix does not name it. As text it is what a request may say again.
    """

    seeds: tuple[tuple[int, float], ...] = ()
    style: float | None = None

    def __str__(self) -> str:
        terms = [*self.seeds, (STYLE_NAME, self.style or 0.0)]
        return ",".join(f"{source}:{weight!r}".removesuffix(".0") for source, weight in terms if weight > 0)

    @property
    def weights(self) -> tuple[float, ...]:
        return (*(weight for _, weight in self.seeds), self.style or 0.0)

    @property
    def has_style(self) -> bool:
        """Whether a style's latent is needed: not where its term is absent, nor where its weight is 0."""
        return bool(self.style)


STYLE_ALONE = Mix(style=1.0)


def draw_latent(shape: tuple[int, ...], distribution: LatentDistribution, seed: int) -> Array:
    """The random input for `seed`; docs/protocol.md tells how, so that others can make the same picture."""
    generator = np.random.default_rng(seed)
    if distribution is LatentDistribution.NORMAL:
        return generator.standard_normal(shape, dtype=np.float32)
    return generator.integers(0, 2, shape).astype(np.float32)


def seed_latent(manifest: Manifest, seed: int) -> Array | None:
    """The latent of a model for `seed`; None for a model without."""
    return draw_latent(manifest.latent.shape, manifest.latent.distribution, seed) if manifest.latent else None


def made_latent(manifest: Manifest, seed: int, mix: Mix | None, style: Array | None = None) -> Array | None:
    """The latent of a request: what it asks to be mixed, else that of its seed; None for a model without."""
    return seed_latent(manifest, seed) if mix is None or manifest.latent is None else mixed_latent(mix, manifest.latent, style)


def mixed_latent(mix: Mix, latent: Latent, style: Array | None) -> Array:
    """One latent made of several, float32, of the distribution of a single one.

    `normal`: z = sum(w z_i) / sqrt(sum(w^2)), of variance one. Independent draws of many numbers are orthogonal and of one
    length, so that the way between two of them is a great circle.
    `bernoulli`: z = sum(w m_i) / sum(w), which keeps the expectation that a mask of dropout has.

    Args:
        mix: What to mix.
        latent: Of the manifest.
        style: The style's latent, where the mix has a weight for it.
    """
    largest = max(mix.weights)  # taken out of the sums, or the squares of small weights would vanish
    weights = [weight / largest for weight in mix.weights if weight > 0]
    parts = [draw_latent(latent.shape, latent.distribution, seed) for seed, weight in mix.seeds if weight > 0]
    if mix.has_style:
        assert style is not None
        parts.append(style)
    squares = latent.distribution is LatentDistribution.NORMAL
    whole = math.sqrt(math.fsum(weight**2 for weight in weights)) if squares else math.fsum(weights)
    first, *rest = (part.astype(np.float64) * (weight / whole) for weight, part in zip(weights, parts, strict=True))
    return sum(rest, start=first).astype(np.float32)


def checked_mix(manifest: Manifest, given: object) -> Mix:
    """A mix as a request has it, for this model.

    Raises:
        BadParameterError: names the term, the rule and the remedy.
    """
    mix = parse_mix(given)
    if manifest.latent is None:
        raise _bad(f"'{manifest.id}' has no latent that could be mixed; leave 'mix' out.")
    if mix.style is not None and manifest.encode is None:
        raise _bad(f"'mix' has the term '{STYLE_NAME}', and '{manifest.id}' takes no styles; leave the term out.")
    return mix


def joined_with_style(mix: Mix | None, has_style: bool) -> Mix | None:
    """What to mix where a picture for the style was given, or was not. A style by itself is a mix of it alone.

    Raises:
        BadParameterError: a term has no picture, or the picture no term.
    """
    if mix is None:
        return STYLE_ALONE if has_style else None
    if mix.style is not None and not has_style:
        raise _bad(f"'mix' has the term '{STYLE_NAME}', and no picture '{STYLE_NAME}' came along; send one or drop the term.")
    if mix.style is None and has_style:
        raise _bad(
            f"A picture '{STYLE_NAME}' was sent, and 'mix' ({mix}) has no term '{STYLE_NAME}'; add one or drop the picture."
        )
    return mix


def parse_mix(given: object) -> Mix:
    """A mix out of its text, `7:0.6,12:0.4,style:0.3`, or of a list, `[{"seed": 7, "weight": 0.6}, {"style": true}]`.

    Raises:
        BadParameterError: names the term, the rule and the remedy.
    """
    if isinstance(given, str):
        if len(given) > MAX_TEXT:
            raise _bad(f"'mix' has {len(given)} characters; it may have {MAX_TEXT}, so leave out terms or digits of weights.")
        _check_count(given.count(",") + 1)
        return _summed(map(_text_term, given.split(",")))
    if not isinstance(given, list):
        raise _bad(f"'mix' is {_shown(given)}; write it as text, {_EXAMPLE}, or as a list of objects.")
    _check_count(len(given))
    return _summed(map(_object_term, given))


def _check_count(count: int) -> None:
    if count > MAX_TERMS:
        raise _bad(f"'mix' has {count} terms; it may have {MAX_TERMS}, so leave out those with the least weight.")


def _summed(terms: Iterable[tuple[_Source, float]]) -> Mix:
    weights: dict[_Source, list[float]] = {}
    for source, weight in terms:
        weights.setdefault(source, []).append(weight)
    sums = {source: math.fsum(several) for source, several in weights.items()}  # the same in whatever order they come
    _check_sums(sums)
    if not any(sums.values()):
        raise _bad(f"'mix' has no term with a weight of more than 0; give one, as in {_EXAMPLE}.")
    seeds = sorted((source, weight) for source, weight in sums.items() if source != STYLE_NAME)
    return Mix(tuple(seeds), sums.get(STYLE_NAME))


def _check_sums(sums: Mapping[_Source, float]) -> None:
    """A mix is told with the sum of each source as its weight, which has to be one that may be sent again."""
    for source, weight in sums.items():
        if weight > MAX_WEIGHT:
            named = f"'{STYLE_NAME}'" if source == STYLE_NAME else f"seed {source}"
            raise _bad(
                f"'mix' has several terms of {named}, whose weights are {weight:.17g} in all; they may be {MAX_WEIGHT:.0f}, "
                "so make all weights smaller by one factor, which changes nothing."
            )


def _text_term(text: str) -> tuple[_Source, float]:
    source, separator, weight = text.strip().partition(":")
    if separator and not _WEIGHT.fullmatch(weight):
        raise _bad_weight(text)
    if source != STYLE_NAME and not (source.isascii() and source.isdigit() and len(source) <= 10):
        raise _bad_source(text)
    return _checked_term(text, source if source == STYLE_NAME else int(source), float(weight) if separator else 1.0)


def _object_term(given: object) -> tuple[_Source, float]:
    term = given if isinstance(given, Mapping) else {}
    if len(term) > 2 or not set(term) <= {"seed", STYLE_NAME, "weight"} or ("seed" in term) == (STYLE_NAME in term):
        raise _bad(
            f'\'mix\' has the term {_shown(given)}; a term is {{"seed": 7, "weight": 0.6}} or '
            f'{{"{STYLE_NAME}": true, "weight": 0.3}}.'
        )
    if STYLE_NAME in term and term[STYLE_NAME] is not True:
        raise _bad(f"'mix' has the term {_shown(given)}; '{STYLE_NAME}' can only be true, and the picture is sent by itself.")
    return _checked_term(given, STYLE_NAME if STYLE_NAME in term else term["seed"], term.get("weight", 1.0))


def _checked_term(term: object, source: Any, weight: Any) -> tuple[_Source, float]:
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not 0 <= weight <= MAX_WEIGHT:
        raise _bad_weight(term)
    if source == STYLE_NAME:
        return STYLE_NAME, float(weight)
    if not isinstance(source, int) or isinstance(source, bool) or not 0 <= source < SEED_LIMIT:
        raise _bad_source(term)
    return source, float(weight)


def _bad_source(term: object) -> BadParameterError:
    return _bad(
        f"'mix' has the term {_shown(term)}; a term is a seed, a whole number from 0 to {SEED_LIMIT - 1}, or '{STYLE_NAME}', "
        f"and may have a weight, as in {_EXAMPLE}."
    )


def _bad_weight(term: object) -> BadParameterError:
    return _bad(
        f"'mix' has the term {_shown(term)}; a weight is a number from 0 to {MAX_WEIGHT:.0f} behind a colon, as in {_EXAMPLE}."
    )


class _BriefRepr(reprlib.Repr):
    """The beginning of a value out of JSON, at little cost however large or deep it is: callers are shown their mistakes."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxlist = self.maxdict = 4
        self.maxstring = _MAX_SHOWN

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """As in the base, which would sort all keys to show the first of them."""
        return super().repr_dict(dict(itertools.islice(x.items(), self.maxdict + 1)), level)


def _shown(term: object) -> str:
    return f"'{term[:_MAX_SHOWN]}'" if isinstance(term, str) else _BriefRepr().repr(term)[: 2 * _MAX_SHOWN]


def _bad(detail: str) -> BadParameterError:
    return BadParameterError(detail, parameter="mix")
