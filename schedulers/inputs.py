"""What a sampler is given besides noise and conditions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Input:
    """An input of the sampler that its scheduler asks for besides noise.

    It has the sample's shape, or with ``one_channel`` one channel for all where the sample has channels and places.
    """

    name: str
    description: str
    one_channel: bool = False
    minimum: float | None = None
    maximum: float | None = None

    def shape(self, sample_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one row for samples of this shape, both without the batch axis."""
        return (1, *sample_shape[1:]) if self.one_channel and len(sample_shape) > 1 else sample_shape
