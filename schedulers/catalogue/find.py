"""From the words that people use to a scheduler and its options."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from samplegraph.schedulers.catalogue.refused import REFUSED
from samplegraph.schedulers.catalogue.registry import names, option_defaults, scheduler_class
from samplegraph.schedulers.catalogue.vocabulary import GRID_NAMES, IDENTIFIERS, SPOKEN, Named
from samplegraph.schedulers.errors import OptionError, suggest

#: Names nearer to the words than this are shown where none is equal to them.
_NEAR = 0.72


@dataclass(frozen=True)
class Found:
    """A scheduler with options, and whose name for it was meant."""

    scheduler: str
    options: Mapping[str, object]
    named: str


def find(words: str) -> list[Found]:
    """The schedulers that ``words`` mean in diffusers', A1111's, ComfyUI's or k-diffusion's vocabulary, best first.

    Case, spaces and punctuation do not count; names of grids may stand anywhere: ``"dpm++ 2m karras"``.

    Raises:
        OptionError: nothing is called so; the nearest name is suggested, or why there is none is said.
    """
    tokens = _tokens(words)
    if " ".join(tokens) in GRID_NAMES:
        raise OptionError(f"find={words!r} is a grid; put a scheduler in front of it: 'euler {words}'")
    tokens, grid = _without_grid(tokens)
    asked = "".join(tokens)
    for name, (diffusers, why) in REFUSED.items():
        if asked in (_joined(name), _joined(diffusers or name)):
            raise OptionError(f"find={words!r}: {diffusers or name} is not among the schedulers: {why}")
    equal = [each for spelled, each in _known() if spelled == asked]
    if not equal:
        near = [(difflib.SequenceMatcher(None, asked, spelled).ratio(), each) for spelled, each in _known()]
        equal = [each for likeness, each in sorted(near, key=lambda pair: -pair[0]) if likeness >= _NEAR]
    found: list[Found] = []
    for each in equal:
        takes = option_defaults(each.scheduler)
        options = {**each.options, **grid}
        made = Found(each.scheduler, options, f"{each.name} ({each.program})")
        if all(key in takes for key in options) and (made.scheduler, dict(made.options)) not in [
            (f.scheduler, dict(f.options)) for f in found
        ]:
            found.append(made)
    if not found:
        every = [each.name for _, each in _known()]
        raise OptionError(
            f"find={words!r}: no scheduler is called so{' with that grid' if equal else ''}{suggest(words, every)}; "
            "`samplegraph list` prints them all"
        )
    return found


@cache
def _known() -> tuple[tuple[str, Named], ...]:
    """Every name as it is compared, ours first."""
    return tuple((_joined(named.name), named) for named in _every())


def _every() -> Iterator[Named]:
    for name in names():
        yield Named(name, "samplegraph", name)
    yield from (*SPOKEN, *IDENTIFIERS)
    for name in names():
        cls = scheduler_class(name)
        yield from (Named(each, "diffusers", name) for each in (cls.diffusers_class, *cls.diffusers_twins) if each)


def _tokens(words: str) -> list[str]:
    """Words in lower case: ``++`` is pp, a lone ``a`` ancestral, and what says nothing is left out."""
    spelled = re.findall(r"[a-z0-9]+", re.sub(r"\+\+", "pp", words.lower()))
    tokens = ["ancestral" if each == "a" else each for each in spelled if each not in ("k", "sample", "sampler")]
    return [re.sub(r"(discrete)?scheduler$", "", each) or each for each in tokens]


def _without_grid(tokens: list[str]) -> tuple[list[str], Mapping[str, object]]:
    """The tokens but for those of the longest grid name that is among them, and its options."""
    spans = [
        (len(name.split()), i, GRID_NAMES[name])
        for name in GRID_NAMES
        for i in range(1, len(tokens))
        if tokens[i : i + len(name.split())] == name.split()
    ]
    if not spans:
        return tokens, {}
    count, i, options = max(spans, key=lambda span: span[:2])
    return tokens[:i] + tokens[i + count :], options


def _joined(name: str) -> str:
    return "".join(_tokens(name))
