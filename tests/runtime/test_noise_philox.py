"""Philox4x32-10: known answers, independence of everything but (seed, sample, slice, element), statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplegraph.runtime.noise import NoiseError, draw, philox_normals
from samplegraph.runtime.noise.box_muller import normal_pairs
from samplegraph.runtime.noise.philox import philox4x32

# kat_vectors of Random123 (D. E. Shaw Research), philox4x32 with 10 rounds: counter, key, output.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)


def one_block(counter: tuple[int, int, int, int], key: tuple[int, int]) -> list[int]:
    c0, c1, c2, c3, k0, k1 = (np.array([word], np.uint32) for word in (*counter, *key))
    return [int(word[0]) for word in philox4x32((c0, c1, c2, c3), (k0, k1))]


@pytest.mark.parametrize(("counter", "key", "output"), KNOWN_ANSWERS)
def test_known_answers(counter: str, key: str, output: str) -> None:
    c0, c1, c2, c3 = (int(word, 16) for word in counter.split())
    k0, k1 = (int(word, 16) for word in key.split())
    assert one_block((c0, c1, c2, c3), (k0, k1)) == [int(word, 16) for word in output.split()]


@settings(deadline=None, max_examples=100)
@given(seed=U64, sample=U32, number=U32, element=st.integers(0, 300))
def test_layout_as_documented(seed: int, sample: int, number: int, element: int) -> None:
    """One value, from the text of philox_normal alone."""
    words = one_block((element // 4, number, sample, 0), (seed % 2**32, seed // 2**32))
    half = element % 4 // 2
    w1, w2 = (np.array([words[2 * half + i]], np.uint32) for i in range(2))
    expected = normal_pairs(w1, w2)[element % 2]
    values = philox_normals([(seed, sample)], range(number, number + 1), element + 1)
    assert values.shape == (1, 1, element + 1)
    assert values[0, 0, element] == expected[0]


@settings(deadline=None, max_examples=60)
@given(
    seed=U64,
    samples=st.integers(1, 6),
    slices=st.integers(0, 5),
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=3),
)
def test_a_sample_depends_on_nothing_else(seed: int, samples: int, slices: int, shape: list[int]) -> None:
    noise, step_noise = draw(seed, samples=samples, sample_shape=shape, slices=slices, rng="philox")
    more, more_steps = draw(seed, samples=samples + 2, sample_shape=shape, slices=slices + 3, rng="philox")
    np.testing.assert_array_equal(more[:samples], noise)
    np.testing.assert_array_equal(more_steps[:slices, :samples], step_noise)
    size = int(np.prod(shape))
    for row in range(samples):
        alone = philox_normals([(seed, row)], range(1 + slices), size).reshape(1 + slices, *shape)
        np.testing.assert_array_equal(alone[0], noise[row])
        np.testing.assert_array_equal(alone[1:], step_noise[:, row])


def test_chunks_do_not_show() -> None:
    streams = [(seed, 0) for seed in range(7)]
    together = philox_normals(streams, range(3), 30_001)
    for s, row in ((0, 0), (2, 6), (1, 3)):
        np.testing.assert_array_equal(
            together[s, row], philox_normals(streams[row : row + 1], range(s, s + 1), 30_001)[0, 0]
        )


def test_a_list_of_seeds_is_one_stream_each() -> None:
    seeds = [9, 2**64 - 1, 9]
    noise, step_noise = draw(seeds, samples=3, sample_shape=(5,), slices=2, rng="philox")
    for row, seed in enumerate(seeds):
        alone, alone_steps = draw(seed, samples=1, sample_shape=(5,), slices=2, rng="philox")
        np.testing.assert_array_equal(noise[row], alone[0])
        np.testing.assert_array_equal(step_noise[:, row], alone_steps[:, 0])


def test_all_64_bits_of_the_seed_count() -> None:
    noise = [
        draw(seed, samples=1, sample_shape=(4,), slices=0, rng="philox")[0].tobytes()
        for seed in (0, 1, 2**31, 2**32, 2**63)
    ]
    assert len(set(noise)) == len(noise)


def test_float16_is_rounded_float32() -> None:
    wide = draw(3, samples=2, sample_shape=(37,), slices=1, rng="philox")
    narrow = draw(3, samples=2, sample_shape=(37,), slices=1, rng="philox", dtype=np.float16)
    for a, b in zip(wide, narrow, strict=True):
        assert b.dtype == np.float16
        np.testing.assert_array_equal(a.astype(np.float16), b)


def test_numbers_that_do_not_fit_a_counter_word() -> None:
    with pytest.raises(NoiseError, match="samples=1: allowed is what fits a 32-bit word"):
        philox_normals([(0, 2**32)], range(1), 4)
    with pytest.raises(NoiseError, match="slices=1: allowed is what fits a 32-bit word"):
        philox_normals([(0, 0)], range(2**32, 2**32 + 1), 4)


# Fixed seeds: these tests are the same computation each time; the bounds are five standard errors.
N = 1 << 20


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_moments(seed: int) -> None:
    x = philox_normals([(seed, 0)], range(1), N)[0, 0].astype(np.float64)
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(x**power) - mean) < 5 * np.sqrt(variance / N), power


def test_distribution() -> None:
    """Kolmogorov-Smirnov distance to the normal distribution, at significance 1e-6."""
    stats = pytest.importorskip("scipy.stats")
    x = philox_normals([(5, 0)], range(1), N)[0, 0].astype(np.float64)
    assert stats.kstest(x, "norm").pvalue > 1e-6


def test_streams_are_uncorrelated() -> None:
    size = 1 << 16
    samples = philox_normals([(1, 0), (1, 1), (2, 0)], range(3), size).reshape(9, size).astype(np.float64)
    correlation = samples @ samples.T / size
    np.fill_diagonal(correlation, 0)
    assert np.max(np.abs(correlation)) < 5 / np.sqrt(size)
    for lag in (1, 2, 3, 4, 64):
        assert abs(np.mean(samples[0] * np.roll(samples[0], lag))) < 5 / np.sqrt(size), lag
