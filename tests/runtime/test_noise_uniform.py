"""Uniform noise: torch.rand's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samplegraph.runtime.noise import NoiseError, draw


@pytest.mark.parametrize("shape", [(1,), (7,), (9, 64), (3, 5, 5)])
@pytest.mark.parametrize("seed", [0, 5, 2**40 + 3])
def test_equal_to_torch_rand(shape: tuple[int, ...], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    expected = [torch.rand(2, *shape, generator=generator).numpy() for _ in range(4)]
    noise, steps = draw(seed, samples=2, sample_shape=shape, slices=3, noise_kind="uniform")
    assert np.array_equal(noise, expected[0])
    assert np.array_equal(steps, np.stack(expected[1:]))
    alone, _ = draw([1, seed], samples=2, sample_shape=shape, slices=3, noise_kind="uniform")
    assert np.array_equal(alone[1], torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).numpy())


def test_philox_has_no_uniform_noise() -> None:
    with pytest.raises(NoiseError, match="rng='philox'"):
        draw(0, samples=1, sample_shape=(4,), slices=0, rng="philox", noise_kind="uniform")
