"""Keeping the predicted clean sample in range."""

from __future__ import annotations

import torch

from samplegraph.schedulers import PredictionOptions


def clip_x0(x0: torch.Tensor, options: PredictionOptions) -> torch.Tensor:
    """Clamp or dynamically threshold ``x0`` (B, ...) as ``options`` ask.

    Dynamic thresholding, Saharia et al. 2022 (arXiv:2205.11487), section 2.3: per sample, the given percentile s of
    ``|x0|`` clamps to ``[-s, s]`` and divides by s, where s is at least 1 and at most ``sample_max_value``.
    """
    if options.thresholding:
        flat = x0.flatten(1)
        s = torch.quantile(flat.abs(), options.dynamic_thresholding_ratio, dim=1)
        s = torch.clamp(s, min=1, max=options.sample_max_value).unsqueeze(1)
        return (torch.clamp(flat, -s, s) / s).reshape(x0.shape)
    if options.clip_sample:
        return x0.clamp(-options.clip_sample_range, options.clip_sample_range)
    return x0
