"""The shift of flow matching's timesteps that grows with the number of an image's tokens (arXiv:2403.03206)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def dynamic_shift(config: Mapping[str, Any], tokens: int, largest: float) -> float:
    """``mu`` at that many tokens: linear between ``base_shift`` and ``max_shift`` of a scheduler's config.

    Args:
        largest: ``max_shift`` where the config has none.
    """
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    start, end = config.get("base_shift", 0.5), config.get("max_shift", largest)
    slope = (end - start) / (high - low)
    mu: float = tokens * slope + (start - slope * low)
    return mu
