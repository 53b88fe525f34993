"""Dimensions of option products that several of diffusers' classes share."""

from __future__ import annotations

from typing import Any

import numpy as np

#: One dimension of a product: alternatives, each a set of config keys.
Dimension = list[dict[str, Any]]
TRAINED_BETAS = np.linspace(1e-4, 0.03, 1000).tolist()


def values(key: str, *alternatives: object) -> Dimension:
    """The dimension of one key."""
    return [{key: value} for value in alternatives]


BETAS: Dimension = [
    {},
    {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    {"beta_schedule": "squaredcos_cap_v2"},
    {"trained_betas": TRAINED_BETAS, "beta_schedule": "exp"},  # which is not read then
]
PREDICTION = values("prediction_type", "epsilon", "sample", "v_prediction")
SPACING = values("timestep_spacing", "linspace", "leading", "trailing")
COMMON = [PREDICTION, SPACING, values("steps_offset", 0, 1)]
ZERO_SNR = values("rescale_betas_zero_snr", False, True)
CLIPPING: Dimension = [
    {"clip_sample": True},
    {"clip_sample": True, "clip_sample_range": 2.0},
    {"clip_sample": False},
    {"thresholding": True, "sample_max_value": 1.5},
    {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 3.0},
]
RESPACING: Dimension = [{}, *({f"use_{name}_sigmas": True} for name in ("karras", "exponential", "beta"))]
#: The path of a flow in place of a noise schedule; first in a product, so that it decides what the model predicts.
FLOW_PATH: Dimension = [
    {},
    {},
    {"use_flow_sigmas": True, "prediction_type": "flow_prediction"},
    {"use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction", "algorithm_type": "dpmsolver++"},
    {"use_flow_sigmas": True, "use_dynamic_shifting": True, "mu": 0.8},
]
SCHEDULE_OR_FLOW: Dimension = [{k: v for k, v in each.items() if k != "algorithm_type"} for each in FLOW_PATH]
THRESHOLDING: Dimension = [{}, {"thresholding": True, "sample_max_value": 2.0}]
FINAL = values("final_sigmas_type", "zero", "sigma_min")
