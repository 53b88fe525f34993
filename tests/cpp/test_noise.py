"""The C++ generators against the Python ones, beyond the vectors: bit for bit."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from binding import SamplegraphError, draw
from hypothesis import given, settings
from hypothesis import strategies as st

from samplegraph.runtime.noise import Rng
from samplegraph.runtime.noise import draw as python_draw

SEED = st.integers(0, 2**64 - 1)


def same(library: ctypes.CDLL, seed: int | list[int], rng: Rng, **shape: Any) -> bool:
    ours = draw(library, seed, rng=rng, **shape)
    theirs = python_draw(seed, rng=rng, **shape)
    return all(a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(ours, theirs, strict=True))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.one_of(SEED, st.lists(SEED, min_size=1, max_size=4)),
    samples=st.integers(1, 4),
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    slices=st.integers(0, 3),
    rng=st.sampled_from(["torch", "philox"]),
    dtype=st.sampled_from([np.float32, np.float16]),
)
def test_any_draw(
    library: ctypes.CDLL,
    seed: int | list[int],
    samples: int,
    shape: list[int],
    slices: int,
    rng: Rng,
    dtype: type[np.float32],
) -> None:
    count = len(seed) if isinstance(seed, list) else samples
    assert same(library, seed, rng, samples=count, sample_shape=shape, slices=slices, dtype=dtype)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.one_of(SEED, st.lists(SEED, min_size=1, max_size=4)),
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    slices=st.integers(0, 3),
)
def test_any_uniform_draw(library: ctypes.CDLL, seed: int | list[int], shape: list[int], slices: int) -> None:
    count = len(seed) if isinstance(seed, list) else 2
    assert same(library, seed, "torch", samples=count, sample_shape=shape, slices=slices, noise_kind="uniform")


@pytest.mark.parametrize("rng", ["torch", "philox"])
@pytest.mark.parametrize("shape", [(4, 64, 64), (3, 127, 61)])
def test_large_draws(library: ctypes.CDLL, rng: Rng, shape: tuple[int, ...]) -> None:
    assert same(library, 1234, rng, samples=3, sample_shape=shape, slices=2)
    assert same(library, [5, 6, 7], rng, samples=3, sample_shape=shape, slices=1, dtype=np.float16)


def test_a_bad_argument_has_a_text(library: ctypes.CDLL) -> None:
    with pytest.raises(SamplegraphError, match="samples=") as caught:
        draw(library, 0, samples=0, sample_shape=(4,), slices=0)
    assert caught.value.code == 1
