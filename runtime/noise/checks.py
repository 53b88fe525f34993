"""Checks of the arguments that noise draws take: each returns the plain value or raises a `NoiseError`."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from samplegraph.runtime.noise.arrays import NoiseType
from samplegraph.runtime.noise.errors import NoiseError

_Choice = TypeVar("_Choice", bound=str)
_2_TO_64 = 1 << 64


def check_seed(seed: object, argument: str = "seed") -> int:
    """An int (Python's or numpy's) from 0 to 2^64 - 1."""
    allowed = f"an int from 0 to 2**64 - 1 = {_2_TO_64 - 1}"
    value = _integer(seed)
    if value is None:
        raise NoiseError(argument, seed, allowed, f"pass an int, not {type(seed).__name__}")
    if value < 0:
        raise NoiseError(
            argument, seed, allowed, "use seed % 2**64, which is what torch makes of a negative seed"
        )
    if value >= _2_TO_64:
        raise NoiseError(argument, seed, allowed, "use seed % 2**64")
    return value


def check_seeds(seed: object, samples: int) -> int | list[int]:
    """One seed, or a list of one seed per sample."""
    if isinstance(seed, np.ndarray) and seed.ndim == 1:
        seed = list(seed)
    if isinstance(seed, str | bytes) or not isinstance(seed, Sequence):
        return check_seed(seed)
    seeds = [check_seed(each, f"seed[{i}]") for i, each in enumerate(seed)]
    if len(seeds) != samples:
        raise NoiseError(
            "seed",
            seeds,
            f"one int, or a list of samples={samples} ints",
            f"give {samples} seeds, not {len(seeds)}, or another value of samples",
        )
    return seeds


def check_shape(shape: object, argument: str, *, smallest: int) -> tuple[int, ...]:
    """A sequence of ints, each at least ``smallest``."""
    allowed = f"a sequence of ints >= {smallest}"
    if isinstance(shape, str | bytes) or not isinstance(shape, Sequence):
        raise NoiseError(argument, shape, allowed, "pass a tuple such as (4, 64, 64)")
    dims = [_integer(each) for each in shape]
    plain = tuple(each for each in dims if each is not None and each >= smallest)
    if len(plain) != len(dims):
        raise NoiseError(argument, shape, allowed, "give every axis a fixed size, without names or -1")
    return plain


def check_count(value: object, argument: str, *, smallest: int) -> int:
    """An int, at least ``smallest``."""
    count = _integer(value)
    if count is None or count < smallest:
        raise NoiseError(argument, value, f"an int >= {smallest}", f"pass {smallest} or more")
    return count


def check_dtype(dtype: npt.DTypeLike) -> NoiseType:
    """float32 or float16."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = np.dtype(object)
    if kind == np.float32:
        return np.dtype(np.float32)
    if kind == np.float16:
        return np.dtype(np.float16)
    raise NoiseError("dtype", dtype, "numpy.float32 or numpy.float16", "draw float32 and convert the result")


def check_choice(value: object, argument: str, choices: tuple[_Choice, ...]) -> _Choice:
    """One of a few names."""
    for choice in choices:
        if isinstance(value, str) and value == choice:
            return choice
    names = " or ".join(repr(choice) for choice in choices)
    raise NoiseError(argument, value, names, f"use {argument}={choices[0]!r} unless you need another")


def _integer(value: object) -> int | None:
    """The value of a Python or numpy integer scalar; None for all else, bool included."""
    if isinstance(value, bool | np.bool_ | np.ndarray):
        return None
    try:
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
