"""Names for the array types that this package passes around."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Float32s: TypeAlias = npt.NDArray[np.float32]
Float64s: TypeAlias = npt.NDArray[np.float64]
Words: TypeAlias = npt.NDArray[np.uint32]  # 32 random bits each
NoiseArray: TypeAlias = npt.NDArray[np.floating[Any]]  # float32 or float16
NoiseType: TypeAlias = np.dtype[np.floating[Any]]
