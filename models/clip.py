"""Keeping the predicted clean sample in range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from samplegraph.schedulers import PredictionOptions


@dataclass(frozen=True)
class Tail:
    """Where a quantile lies in the sorted ``count`` largest, else smallest, values: between two of them.

    It is ``below + weight * (above - below)``, where both are positions, counted from the outermost value.
    """

    count: int
    largest: bool
    below: int
    above: int
    weight: float


def tail(ratio: float, n: int) -> Tail:
    """The shorter tail of ``n`` values that holds their ``ratio``-quantile, with the rank rounded as torch rounds it.

    A whole sort is a TopK of n, and TensorRT takes none above 3,840.
    """
    rank = min(float(np.float32(ratio) * np.float32(n - 1)), n - 1)
    low = math.floor(rank)
    high = math.ceil(rank)
    if n - low <= high + 1:
        return Tail(n - low, True, n - low - 1, n - high - 1, rank - low)
    return Tail(high + 1, False, low, high, rank - low)


def clip_x0(x0: torch.Tensor, options: PredictionOptions) -> torch.Tensor:
    """Clamp or dynamically threshold ``x0`` (B, ...) as ``options`` ask.

    Dynamic thresholding, Saharia et al. 2022 (arXiv:2205.11487), section 2.3: per sample, the given percentile s of
    ``|x0|`` clamps to ``[-s, s]`` and divides by s, where s is at least 1 and at most ``sample_max_value``.
    """
    if options.thresholding:
        flat = x0.flatten(1)
        s = _quantile(flat.abs(), options.dynamic_thresholding_ratio)
        s = torch.clamp(s, min=1.0, max=options.sample_max_value).unsqueeze(1)
        return (torch.clamp(flat, -s, s) / s).reshape(x0.shape)
    if options.clip_sample:
        return x0.clamp(-options.clip_sample_range, options.clip_sample_range)
    return x0


def _quantile(values: torch.Tensor, ratio: float) -> torch.Tensor:
    """``torch.quantile(values, ratio, dim=1)`` of finite values (B, n): shape (B,)."""
    part = tail(ratio, values.shape[1])
    found = torch.topk(values, part.count, dim=1, largest=part.largest).values
    return torch.lerp(found[:, part.below], found[:, part.above], part.weight)
