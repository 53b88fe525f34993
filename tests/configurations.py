"""Draws configurations from the option cross-products of diffusers' classes.

A product is far too large to run (2 million for Euler), so it is thinned: every value of every option appears with
every step count, the other options drawn at random from a fixed seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from dimensions import (
    BETAS,
    CLIPPING,
    COMMON,
    FINAL,
    FLOW_PATH,
    PREDICTION,
    RESPACING,
    SCHEDULE_OR_FLOW,
    THRESHOLDING,
    ZERO_SNR,
    Dimension,
    values,
)
from later_products import LATER_ARGUMENTS, LATER_CUSTOM, LATER_PRODUCTS, SET_ARGUMENTS

STEPS = (1, 2, 3, 8, 25)
Options = Mapping[str, Any]

PRODUCTS: dict[str, list[Dimension]] = {
    "DDIMScheduler": [*COMMON, BETAS, ZERO_SNR, CLIPPING, values("set_alpha_to_one", True, False)],
    "DDPMScheduler": [
        *COMMON,
        [*BETAS, {"beta_schedule": "sigmoid"}, {"beta_schedule": "laplace"}],
        ZERO_SNR,
        CLIPPING,
        values("variance_type", "fixed_small", "fixed_small_log", "fixed_large", None),
    ],
    "EulerDiscreteScheduler": [
        *COMMON,
        BETAS,
        ZERO_SNR,
        FINAL,
        RESPACING,
        values("interpolation_type", "linear", "log_linear"),
        values("timestep_type", "discrete", "continuous"),
        [{}, {"sigma_min": 0.05, "sigma_max": 40.0}, {"sigma_min": 0.002, "sigma_max": 700.0}],
    ],
    "EulerAncestralDiscreteScheduler": [*COMMON, BETAS, ZERO_SNR],
    "HeunDiscreteScheduler": [
        *COMMON,
        [*BETAS, {"beta_schedule": "exp"}, {"beta_start": 0.0001, "beta_end": 0.02}],
        RESPACING,
        [{}, {"clip_sample": True}, {"clip_sample": True, "clip_sample_range": 3.0}],
    ],
    "DPMSolverMultistepScheduler": [
        FLOW_PATH,
        *COMMON,
        BETAS,
        ZERO_SNR,
        [
            {"algorithm_type": "dpmsolver++"},
            {"algorithm_type": "dpmsolver++", "final_sigmas_type": "sigma_min"},
            {"algorithm_type": "sde-dpmsolver++"},
            {"algorithm_type": "sde-dpmsolver++", "final_sigmas_type": "sigma_min"},
            {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"},
            {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"},
            {"algorithm_type": "dpmsolver"},
            {"algorithm_type": "deis", "solver_type": "bh2", "final_sigmas_type": "sigma_min"},
        ],
        values("solver_order", 1, 2, 3),
        values("solver_type", "midpoint", "heun"),
        values("lower_order_final", True, False),
        values("euler_at_final", False, True),
        values("lambda_min_clipped", -inf, -5.1),
        [{}, {"thresholding": True, "sample_max_value": 2.0}],
        [*RESPACING, {"use_lu_lambdas": True}],
    ],
    "DEISMultistepScheduler": [
        SCHEDULE_OR_FLOW,
        *COMMON,
        BETAS,
        values("solver_order", 1, 2, 3),
        values("algorithm_type", "deis", "dpmsolver"),
        values("solver_type", "logrho", "heun"),
        values("lower_order_final", True, False),
        THRESHOLDING,
        RESPACING,
    ],
    "UniPCMultistepScheduler": [
        SCHEDULE_OR_FLOW,
        *COMMON,
        BETAS,
        ZERO_SNR,
        FINAL,
        values("solver_order", 1, 2, 3, 4),
        values("predict_x0", True, False),
        values("solver_type", "bh1", "bh2"),
        values("lower_order_final", True, False),
        values("disable_corrector", [], [0], [0, 1, 2]),
        THRESHOLDING,
        RESPACING,
    ],
    "DPMSolverSinglestepScheduler": [
        FLOW_PATH,
        PREDICTION,
        BETAS,
        [
            {"algorithm_type": "dpmsolver++"},
            {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"},
            {"algorithm_type": "sde-dpmsolver++"},
            {"algorithm_type": "sde-dpmsolver++", "final_sigmas_type": "sigma_min"},
        ],
        values("solver_order", 1, 2, 3),
        values("solver_type", "midpoint", "heun"),
        values("lower_order_final", True, False),
        values("lambda_min_clipped", -inf, -5.1),
        THRESHOLDING,
        RESPACING,
    ],
    "LMSDiscreteScheduler": [*COMMON, BETAS, RESPACING],
    "PNDMScheduler": [
        values("prediction_type", "epsilon", "v_prediction"),
        *COMMON[1:],
        BETAS,
        values("skip_prk_steps", True, False),
        values("set_alpha_to_one", True, False),
    ],
    "IPNDMScheduler": [values("num_train_timesteps", 1000, 500)],
    "KDPM2DiscreteScheduler": [*COMMON, BETAS, RESPACING],
    "KDPM2AncestralDiscreteScheduler": [*COMMON, BETAS, RESPACING],
    "DDIMInverseScheduler": [
        PREDICTION,
        values("timestep_spacing", "leading", "trailing"),  # linspace is refused
        COMMON[2],
        BETAS,
        ZERO_SNR,
        CLIPPING[:3],
        values("set_alpha_to_one", True, False),
    ],
    **LATER_PRODUCTS,
}
#: Arguments of ``set_timesteps`` in place of a step count; mostly none.
CUSTOM: dict[str, Dimension] = {
    "DDPMScheduler": [{"timesteps": [999, 700, 400, 80, 0]}, {"timesteps": [950, 20]}],
    "EulerDiscreteScheduler": [
        {"timesteps": [999, 700, 400, 80, 0]},
        {"timesteps": [950, 20.5]},
        {"sigmas": [30.0, 10.0, 3.0, 0.5, 0.0]},
        {"sigmas": [200.0, 1.0, 0.05]},
    ],
    "HeunDiscreteScheduler": [{"timesteps": [999, 700, 400, 80, 0]}, {"timesteps": [950, 20.5]}],
    "DPMSolverMultistepScheduler": [{"timesteps": [999, 700, 400, 80, 0]}, {"timesteps": [950, 20]}],
    **LATER_CUSTOM,
}
#: Arguments of ``step``.
ARGUMENTS: dict[str, Dimension] = {
    "DDIMScheduler": [
        {},
        {"eta": 0.5},
        {"eta": 1.0},
        {"use_clipped_model_output": True},
        {"eta": 1.0, "use_clipped_model_output": True},
    ],
    "EulerDiscreteScheduler": [
        {},
        {"s_churn": 3.0},
        {"s_churn": 1.0, "s_tmin": 0.1, "s_tmax": 50.0, "s_noise": 1.01},
    ],
    **LATER_ARGUMENTS,
}


@dataclass(frozen=True)
class Configuration:
    """One run: a diffusers config, a step count or custom timesteps, and arguments of ``step``."""

    class_name: str
    config: Options
    steps: int | None
    custom: Options = field(default_factory=dict)
    arguments: Options = field(default_factory=dict)

    def __str__(self) -> str:
        shown = {k: v for k, v in self.config.items() if k != "trained_betas"}
        betas = " trained_betas" if "trained_betas" in self.config else ""
        return f"{self.class_name} N={self.steps} {shown}{betas} {dict(self.custom)} {dict(self.arguments)}"


def drawn(class_name: str, rounds: int = 1, seed: int = 0) -> Iterator[Configuration]:
    """Configurations in which every value of every option meets every step count ``rounds`` times."""
    chance = random.Random(f"{class_name} {seed}")
    product, arguments = PRODUCTS[class_name], ARGUMENTS.get(class_name, [{}])
    dimensions = [*product, arguments]
    for _ in range(rounds):
        for fixed, dimension in enumerate(dimensions):
            for value in dimension:
                for steps in STEPS:
                    picked = [value if k == fixed else chance.choice(d) for k, d in enumerate(dimensions)]
                    yield _configuration(class_name, picked, steps, {})
        for custom in CUSTOM.get(class_name, []):
            for respaced in (True, False, False, False, False):
                picked = [chance.choice(d) for d in dimensions]
                # a respacing excludes custom timesteps, but for flows
                drop = () if respaced or class_name in LATER_CUSTOM else ("use_",)
                picked = [{k: v for k, v in chosen.items() if not k.startswith(drop)} for chosen in picked]
                yield _configuration(class_name, picked, None, custom)


def _configuration(class_name: str, picked: list[dict[str, Any]], steps: int | None, custom: Options) -> Configuration:
    config: dict[str, Any] = {}
    for chosen in reversed(picked[:-1]):
        config |= chosen
    if "timesteps" in custom:
        config.pop("strength", None)
    custom = {**custom, **{key: config.pop(key) for key in SET_ARGUMENTS if key in config}}
    return Configuration(class_name, config, steps, custom, picked[-1])


#: Configs that people's images were made with, as published, with the step counts they are used at.
PUBLISHED = {
    "sdxl-base": (
        {
            "_class_name": "EulerDiscreteScheduler",
            "_diffusers_version": "0.19.0.dev0",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "clip_sample": False,
            "interpolation_type": "linear",
            "num_train_timesteps": 1000,
            "prediction_type": "epsilon",
            "sample_max_value": 1.0,
            "set_alpha_to_one": False,
            "skip_prk_steps": True,
            "steps_offset": 1,
            "timestep_spacing": "leading",
            "trained_betas": None,
            "use_karras_sigmas": False,
        },
        (25, 30, 50),
    ),
    "sdxl-turbo": (
        {
            "_class_name": "EulerAncestralDiscreteScheduler",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "clip_sample": False,
            "interpolation_type": "linear",
            "num_train_timesteps": 1000,
            "prediction_type": "epsilon",
            "rescale_betas_zero_snr": False,
            "sample_max_value": 1.0,
            "set_alpha_to_one": False,
            "skip_prk_steps": True,
            "steps_offset": 1,
            "timestep_spacing": "trailing",
            "trained_betas": None,
            "use_karras_sigmas": False,
        },
        (1, 2, 4),
    ),
    "stable-diffusion-2": (
        {
            "_class_name": "DDIMScheduler",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "clip_sample": False,
            "num_train_timesteps": 1000,
            "prediction_type": "v_prediction",
            "set_alpha_to_one": False,
            "skip_prk_steps": True,
            "steps_offset": 1,
            "trained_betas": None,
        },
        (20, 50),
    ),
    "stable-video-diffusion": (
        {
            "_class_name": "EulerDiscreteScheduler",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "clip_sample": False,
            "interpolation_type": "linear",
            "num_train_timesteps": 1000,
            "prediction_type": "v_prediction",
            "set_alpha_to_one": False,
            "sigma_max": 700.0,
            "sigma_min": 0.002,
            "skip_prk_steps": True,
            "steps_offset": 1,
            "timestep_spacing": "leading",
            "timestep_type": "continuous",
            "trained_betas": None,
            "use_karras_sigmas": True,
        },
        (25,),
    ),
    "dpm++-2m-karras": (
        {
            "_class_name": "DPMSolverMultistepScheduler",
            "algorithm_type": "dpmsolver++",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "clip_sample": False,
            "dynamic_thresholding_ratio": 0.995,
            "euler_at_final": False,
            "final_sigmas_type": "zero",
            "lambda_min_clipped": -inf,
            "lower_order_final": True,
            "num_train_timesteps": 1000,
            "prediction_type": "epsilon",
            "sample_max_value": 1.0,
            "set_alpha_to_one": False,
            "skip_prk_steps": True,
            "solver_order": 2,
            "solver_type": "midpoint",
            "steps_offset": 1,
            "thresholding": False,
            "timestep_spacing": "leading",
            "trained_betas": None,
            "use_karras_sigmas": True,
            "use_lu_lambdas": False,
            "variance_type": None,
        },
        (10, 20, 30),
    ),
    "diffusion-policy": (
        {
            "_class_name": "DDPMScheduler",
            "beta_schedule": "squaredcos_cap_v2",
            "clip_sample": True,
            "num_train_timesteps": 100,
            "prediction_type": "epsilon",
            "variance_type": "fixed_small",
        },
        (16, 100),
    ),
}
