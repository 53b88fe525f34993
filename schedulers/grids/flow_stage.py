"""The stages of a pyramid of flows: each runs on a straight path of its own, between levels of noise of the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from samplegraph.schedulers.errors import OptionError, in_range, whole
from samplegraph.schedulers.grids.grid import Array
from samplegraph.schedulers.grids.spacing import numbers, shown


@dataclass(frozen=True)
class FlowStage:
    """One of the stages of pyramidal flow matching, Jin et al. 2024 (arXiv:2410.05954), section 3.2.

    Stage k covers the part of training between ``stage_range[k]`` and ``stage_range[k + 1]``. ``gamma`` is the
    correlation of the noise with which the sample is renoised after it was enlarged for stages 1 and up, section 3.3.

    Raises:
        OptionError: a value out of range.
    """

    stages: int = 3
    stage_range: Sequence[float] = (0.0, 1 / 3, 2 / 3, 1.0)
    gamma: float = 1 / 3
    stage_index: int = 0

    def __post_init__(self) -> None:
        whole("stages", self.stages, 1, 100)
        whole("stage_index", self.stage_index, 0, self.stages - 1)
        ends = numbers("stage_range", self.stage_range)
        if self.stages > 1 and (len(ends) <= self.stages or (np.diff(ends) <= 0).any() or ends[0] < 0 or ends[-1] > 1):
            raise OptionError(
                f"stage_range={shown(self.stage_range)} is not allowed with stages={self.stages}; give "
                f"{self.stages + 1} numbers that rise from 0 to 1"
            )
        if in_range("gamma", self.gamma, 0.0, 1.0) == 0:
            raise OptionError("gamma=0 is not allowed; give a number above 0")

    def timesteps(self, sigmas: Array) -> Array:
        """Those of the stage as a line of T numbers, for the T training ``sigmas`` of the whole, descending.

        Raises:
            OptionError: the stage covers none of them.
        """
        total = len(sigmas)
        first = [int(end * total) for end in self.stage_range[: self.stages + 1]]
        if min(np.diff(first)) < 1:
            raise OptionError(
                f"num_train_timesteps={total} leaves a stage of stage_range={shown(self.stage_range)} empty; give more"
            )
        lengths = [
            self._start(float(sigmas[low]), k) - (float(sigmas[high]) if high < total else 0.0)
            for k, (low, high) in enumerate(pairwise(first))
        ]
        whole_length = sum(lengths)
        low = sum(lengths[: self.stage_index]) / whole_length
        last = self.stage_index == self.stages - 1
        high = 0.9999999999999999 if last else sum(lengths[: self.stage_index + 1]) / whole_length
        times = sigmas * total
        ends = min(float(times[int(low * total)]), 999.0), float(times[min(int(high * total), total - 1)])
        return np.linspace(*ends, total + 1)[:-1]

    def _start(self, sigma: float, stage: int) -> float:
        """The level of noise at which ``stage`` starts: the renoised sample's, where it was enlarged."""
        if stage == 0:
            return sigma
        signal = 1 - sigma
        return 1 - (1 / (math.sqrt(1 + (1 / self.gamma)) * (1 - signal) + signal)) * signal
