"""The arithmetic below the generators: exact FMA, the polynomials, Box-Muller."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from samplegraph.runtime.noise.box_muller import normal_pairs, uniform24
from samplegraph.runtime.noise.cephes import log, sincos
from samplegraph.runtime.noise.fma import fma, horner

FLOAT = st.floats(width=32, allow_nan=False, allow_infinity=False)
NEAR_ONE = st.integers(-4096, 4096).map(lambda step: float(np.float32(1.0) + np.float32(step * 2.0**-23)))
LARGEST = float(np.finfo(np.float32).max)


def nearest_float32(exact: Fraction) -> float:
    """Round a rational number to float32, ties to even, by the definition: with integers only."""
    if exact == 0:
        return 0.0
    sign, size = (-1, -exact) if exact < 0 else (1, exact)
    exponent = -149
    while size / Fraction(2) ** exponent >= 1 << 24:
        exponent += 1
    scaled = size / Fraction(2) ** exponent
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    twice = 2 * rest
    if twice > scaled.denominator or (twice == scaled.denominator and whole % 2):
        whole += 1
    value = Fraction(whole) * Fraction(2) ** exponent
    return sign * (float(value) if value <= Fraction(LARGEST) else float("inf"))


@settings(max_examples=1500, deadline=None)
@given(a=st.one_of(FLOAT, NEAR_ONE), b=st.one_of(FLOAT, NEAR_ONE), c=st.one_of(FLOAT, NEAR_ONE))
@example(a=1 + 2.0**-12, b=1 + 2.0**-12, c=2.0**-80)  # a half-way point, pushed up by less than float64 sees
@example(a=1 + 2.0**-12, b=1 + 2.0**-12, c=-(2.0**-80))
@example(a=-1 - 2.0**-12, b=1 + 2.0**-12, c=2.0**-80)
@example(a=1 + 3 * 2.0**-12, b=1 + 2.0**-12, c=2.0**-90)
@example(a=2.0**-75, b=2.0**-75, c=0.0)  # half the smallest subnormal
@example(a=2.0**-75, b=1.5 * 2.0**-75, c=0.0)
@example(a=2.0**64, b=2.0**63, c=2.0**103)
@example(a=LARGEST, b=1.0, c=2.0**103)  # half-way to 2^128
@example(a=LARGEST, b=1.0, c=2.0**102)
def test_fma_rounds_once(a: float, b: float, c: float) -> None:
    expected = nearest_float32(Fraction(a) * Fraction(b) + Fraction(c))
    arrays = [np.array([value], np.float32) for value in (a, b, c)]
    result = fma(*arrays)
    assert result.dtype == np.float32
    assert float(result[0]) == expected


def test_fma_of_many_ties() -> None:
    """Products that are half-way points, with an addend far below: rounding twice fails on many of them."""
    rng = np.random.default_rng(0)
    a = (1 + (2 * rng.integers(0, 2**11, 4000) + 1) * 2.0**-12).astype(np.float32)
    c = (rng.choice([-1.0, 1.0], 4000) * 2.0**-70).astype(np.float32)
    expected = [
        nearest_float32(Fraction(x) ** 2 + Fraction(y)) for x, y in zip(a.tolist(), c.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(fma(a, a, c), np.array(expected, np.float32))
    naive = (a.astype(np.float64) ** 2 + c).astype(np.float32)
    assert np.count_nonzero(naive != np.array(expected, np.float32)) > 500


def test_horner_is_a_chain_of_fma() -> None:
    x = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    k = tuple(np.float32(value) for value in (0.1, -0.25, 1.5, 3.0))
    y = fma(fma(fma(np.full_like(x, k[0]), x, k[1]), x, k[2]), x, k[3])
    np.testing.assert_array_equal(horner(x, k), y)


def every_uniform() -> npt.NDArray[np.float32]:
    return np.arange(0, 2**24, 5, dtype=np.uint32).astype(np.float32) * np.float32(2.0**-24)


def test_log_is_the_logarithm() -> None:
    u = np.float32(1.0) - every_uniform()
    reference = np.log(u.astype(np.float64))
    error = np.abs(log(u) - reference)
    assert np.all(error <= np.spacing(np.abs(reference).astype(np.float32)))


def test_sincos_are_sine_and_cosine() -> None:
    theta = every_uniform() * np.float32(2 * np.pi)
    sine, cosine = sincos(theta)
    assert np.max(np.abs(sine - np.sin(theta.astype(np.float64)))) < 1e-7
    assert np.max(np.abs(cosine - np.cos(theta.astype(np.float64)))) < 1e-7


def test_arguments_are_left_alone() -> None:
    u = every_uniform()[1:1000]
    before = u.copy()
    log(u)
    sincos(u)
    np.testing.assert_array_equal(u, before)


def test_uniforms_use_the_low_24_bits_and_no_value_is_negative_zero() -> None:
    words = np.array([0, 1, 0xFF000000, 0xFFFFFFFF], np.uint32)
    np.testing.assert_array_equal(uniform24(words), np.array([0, 2**-24, 0, 1 - 2**-24], np.float32))
    angle = np.arange(0, 2**24, 2**18, dtype=np.uint32)
    for values in normal_pairs(np.zeros_like(angle), angle):  # u1 = 1: radius 0
        np.testing.assert_array_equal(values.view(np.uint32), 0)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (20_000,), (2, 3, 4, 5)])
def test_pairs_do_not_depend_on_shape_or_chunk(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    w1, w2 = (rng.integers(0, 2**32, shape, dtype=np.uint32) for _ in range(2))
    first, second = normal_pairs(w1, w2)
    assert first.shape == second.shape == shape
    for index in list(np.ndindex(*shape))[::997]:
        one, two = normal_pairs(w1[index].reshape(1), w2[index].reshape(1))
        assert (one[0], two[0]) == (first[index], second[index])


def test_largest_value() -> None:
    first, _ = normal_pairs(np.array([2**24 - 1], np.uint32), np.array([0], np.uint32))
    assert float(first[0]) == pytest.approx(np.sqrt(48 * np.log(2)), rel=1e-7)
