"""`TorchGenerator` and ``draw(rng="torch")`` against torch itself, bit for bit."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samplegraph.runtime.noise import TorchGenerator, draw
from samplegraph.runtime.noise.box_muller import normal_pairs

CAPABILITY = torch.backends.cpu.get_cpu_capability()
pytestmark = pytest.mark.skipif(
    CAPABILITY not in ("AVX2", "AVX512"),
    reason=f"torch.backends.cpu.get_cpu_capability() is {CAPABILITY!r}: torch takes another path for normals",
)

SEEDS = (0, 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1, 2**63, 2**64 - 1)
TYPES = {"float32": (np.float32, torch.float32), "float16": (np.float16, torch.float16)}
SEED = st.one_of(st.sampled_from(SEEDS), st.integers(0, 2**64 - 1))
KIND = st.sampled_from(sorted(TYPES))


def pair(seed: int) -> tuple[TorchGenerator, torch.Generator]:
    return TorchGenerator(seed), torch.Generator("cpu").manual_seed(seed)


def assert_same(ours: npt.NDArray[Any], theirs: npt.NDArray[Any], what: object = "") -> None:
    assert ours.dtype == theirs.dtype, what
    assert ours.shape == theirs.shape, what
    width = f"u{ours.dtype.itemsize}"
    different = np.count_nonzero(ours.reshape(-1).view(width) != theirs.reshape(-1).view(width))
    assert different == 0, f"{what}: {different} of {ours.size} values differ"


def assert_next_draw_same(
    ours: TorchGenerator, theirs: torch.Generator, shape: tuple[int, ...], kind: str
) -> None:
    dtype, torch_dtype = TYPES[kind]
    reference = torch.randn(shape, generator=theirs, dtype=torch_dtype).numpy()
    assert_same(ours.normal(shape, dtype), reference, (shape, kind))


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("size", range(201))
def test_every_small_size(size: int, kind: str) -> None:
    ours, theirs = pair(size + 5)
    for _ in range(4):
        assert_next_draw_same(ours, theirs, (size,), kind)


@pytest.mark.parametrize("seed", SEEDS)
def test_seeds(seed: int) -> None:
    ours, theirs = pair(seed)
    for shape in ((1,), (1, 4, 8, 8), (), (3, 7), (2,)):
        assert_next_draw_same(ours, theirs, shape, "float32")


def test_many_seeds() -> None:
    for seed in range(3000):
        ours, theirs = pair(seed)
        assert_next_draw_same(ours, theirs, (35,), "float32")
        assert_next_draw_same(ours, theirs, (3,), "float16")


@settings(deadline=None, max_examples=60)
@given(seed=SEED, size=st.integers(16, 100_000), kind=KIND)
def test_random_sizes(seed: int, size: int, kind: str) -> None:
    ours, theirs = pair(seed)
    assert_next_draw_same(ours, theirs, (size,), kind)
    assert_next_draw_same(ours, theirs, (5,), kind)


@settings(deadline=None, max_examples=300)
@given(seed=SEED, draws=st.lists(st.tuples(st.integers(0, 50), KIND), max_size=12))
def test_mixed_sequences_share_one_cached_normal(seed: int, draws: list[tuple[int, str]]) -> None:
    ours, theirs = pair(seed)
    for size, kind in draws:
        assert_next_draw_same(ours, theirs, (size,), kind)


@settings(deadline=None, max_examples=100)
@given(
    seed=SEED, count=st.integers(0, 6), shape=st.lists(st.integers(0, 9), min_size=1, max_size=3), kind=KIND
)
def test_many_draws_at_once_equal_one_after_another(
    seed: int, count: int, shape: list[int], kind: str
) -> None:
    at_once, one_by_one = TorchGenerator(seed), TorchGenerator(seed)
    dtype = TYPES[kind][0]
    together = at_once.normals(count, shape, dtype)
    assert together.shape == (count, *shape)
    for each in together:
        assert_same(one_by_one.normal(shape, dtype), each)
    assert_same(one_by_one.normal((3,)), at_once.normal((3,)))


def test_four_million_values() -> None:
    ours, theirs = pair(20_240_229)
    assert_next_draw_same(ours, theirs, (4, 1024, 1024), "float32")


def test_negative_seed_of_torch_is_its_value_modulo_2_to_64() -> None:
    theirs = torch.Generator("cpu").manual_seed(-3)
    assert_next_draw_same(TorchGenerator(-3 % 2**64), theirs, (40,), "float32")


# Every uniform that a draw of 16 or more can meet, through torch: its Mersenne Twister is given a state that
# yields the words we choose. 2^24 values of u1 and of u2, so each argument of log, sin and cos.


def undo_tempering(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The state words from which the Mersenne Twister makes these outputs."""
    u = np.uint32
    y = words ^ (words >> u(18))
    y ^= (y << u(15)) & u(0xEFC60000)
    x = y
    for _ in range(5):
        x = y ^ ((x << u(7)) & u(0x9D2C5680))
    y = x
    for _ in range(3):
        x = y ^ (x >> u(11))
    return x


def normals_of_torch(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    """What torch makes of words we choose, ``(n, 608)`` to ``(n, 608)``; 608: 38 blocks of 16 fit a state."""
    generator = torch.Generator("cpu").manual_seed(0)
    state = generator.get_state()
    raw = state.numpy()
    raw[8:12] = np.frombuffer(struct.pack("<i", 624), np.uint8)  # words left, plus one
    raw[16:24] = 0  # the next word
    keys = undo_tempering(words).astype("<u8")
    out = torch.empty(words.shape)
    for row, key in zip(out, keys, strict=True):
        raw[24 : 24 + 8 * 608] = key.view(np.uint8)
        generator.set_state(state)
        torch.randn(608, generator=generator, out=row)
    return out.numpy()


def assert_same_for_pairs(w1: npt.NDArray[np.uint32], w2: npt.NDArray[np.uint32]) -> None:
    for start in range(0, w1.size, 608 * 1024):
        part1, part2 = w1[start : start + 608 * 1024], w2[start : start + 608 * 1024]
        padded1, padded2 = (np.pad(part, (0, -part.size % 304)).reshape(-1, 8) for part in (part1, part2))
        reference = normals_of_torch(np.stack((padded1, padded2), axis=1).reshape(-1, 608))
        first, second = normal_pairs(padded1, padded2)
        assert_same(np.stack((first, second), axis=1).reshape(-1, 608), reference, start)


def test_every_radius() -> None:
    every = np.arange(2**24, dtype=np.uint32)
    assert_same_for_pairs(every, np.zeros_like(every))  # u2 = 0: cosine 1, so the value is the radius


def test_every_angle() -> None:
    every = np.arange(2**24, dtype=np.uint32)
    assert_same_for_pairs(np.random.default_rng(1).permutation(every), every)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_every_angle_with_other_radii(seed: int) -> None:
    every = np.arange(2**24, dtype=np.uint32)
    assert_same_for_pairs(np.random.default_rng(seed).permutation(every), every)


# draw(): which draws make up a batch.


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("shape", [(2,), (16, 2), (5, 5), (4, 16, 16)])
@pytest.mark.parametrize(("samples", "slices"), [(1, 0), (1, 3), (3, 2), (4, 0)])
def test_one_seed_is_one_generator_for_the_batch(
    samples: int, slices: int, shape: tuple[int, ...], kind: str
) -> None:
    dtype, torch_dtype = TYPES[kind]
    noise, step_noise = draw(11, samples=samples, sample_shape=shape, slices=slices, dtype=dtype)
    generator = torch.Generator("cpu").manual_seed(11)
    drawn = [
        torch.randn((samples, *shape), generator=generator, dtype=torch_dtype) for _ in range(1 + slices)
    ]
    assert_same(noise, drawn[0].numpy())
    assert step_noise.shape == (slices, samples, *shape)
    for ours, theirs in zip(step_noise, drawn[1:], strict=True):
        assert_same(ours, theirs.numpy())


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("shape", [(2,), (16, 2), (5, 5)])
@pytest.mark.parametrize("slices", [0, 3])
def test_a_list_of_seeds_equals_randn_tensor_of_diffusers(
    slices: int, shape: tuple[int, ...], kind: str
) -> None:
    randn_tensor = pytest.importorskip("diffusers.utils.torch_utils").randn_tensor
    dtype, torch_dtype = TYPES[kind]
    seeds = [5, 2**40 + 1, 5, 0]
    noise, step_noise = draw(seeds, samples=4, sample_shape=shape, slices=slices, dtype=dtype)
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    for ours in (noise, *step_noise):
        theirs = randn_tensor(
            (4, *shape), generator=generators, device=torch.device("cpu"), dtype=torch_dtype
        )
        assert_same(ours, theirs.numpy())
