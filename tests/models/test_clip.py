"""The quantile of dynamic thresholding, read off a tail."""

from __future__ import annotations

import pytest
import torch

from samplegraph.models.clip import clip_x0, tail
from samplegraph.schedulers import PredictionOptions

RATIOS = [0.0, 1e-4, 0.1, 0.5, 0.8, 0.95, 0.995, 1.0]


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("n", [1, 2, 3, 50, 3072, 65_536])
def test_the_quantile_is_torch_s_to_the_bit(n: int, ratio: float) -> None:
    options = PredictionOptions(thresholding=True, dynamic_thresholding_ratio=ratio, sample_max_value=1e9)
    x = 100 * torch.randn(3, n, generator=torch.Generator().manual_seed(n))
    s = torch.quantile(x.abs(), ratio, dim=1, keepdim=True).clamp(min=1.0)
    assert torch.equal(clip_x0(x, options), x.clamp(-s, s) / s)


@pytest.mark.parametrize("ratio", RATIOS)
def test_no_tail_is_longer_than_half(ratio: float) -> None:
    for n in (1, 2, 3, 50, 7679):
        part = tail(ratio, n)
        assert part.count <= n / 2 + 1
        assert {part.below, part.above} <= set(range(part.count))
