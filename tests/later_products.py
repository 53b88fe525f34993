"""Option products of diffusers' classes for flow matching, for preconditioned and for distilled models."""

from __future__ import annotations

from math import inf

from dimensions import (
    BETAS,
    CLIPPING,
    COMMON,
    FINAL,
    PREDICTION,
    RESPACING,
    THRESHOLDING,
    ZERO_SNR,
    Dimension,
    values,
)

#: Keys of these products that are arguments of ``set_timesteps``.
SET_ARGUMENTS = (
    "mu",
    "strength",
    "original_inference_steps",
    "max_timesteps",
    "intermediate_timesteps",
    "stage_index",
)

DYNAMIC: Dimension = [
    {},
    {"use_dynamic_shifting": True, "mu": 0.9},
    {"use_dynamic_shifting": True, "mu": 1.15, "time_shift_type": "exponential", "shift": 3.0},
    {"use_dynamic_shifting": True, "mu": 2.0, "time_shift_type": "linear"},
]
FLOW = [
    values("shift", 1.0, 3.0, 0.6),
    DYNAMIC,
    values("shift_terminal", None, 0.1),
    RESPACING,
    values("invert_sigmas", False, True),
]
EDM = [
    values("prediction_type", "epsilon", "v_prediction"),
    values("sigma_schedule", "karras", "exponential"),
    FINAL,
    [{}, {"sigma_min": 0.1, "sigma_max": 10.0}, {"sigma_data": 1.0, "rho": 5.0}],
]
DISTILLED = [
    PREDICTION,
    BETAS,
    ZERO_SNR,
    CLIPPING,
    [{}, {"original_inference_steps": 100}, {"strength": 0.7}],
]
MULTISTEP = [
    values("solver_order", 1, 2, 3),
    values("solver_type", "midpoint", "heun"),
    values("lower_order_final", True, False),
    values("euler_at_final", False, True),
]

SCHEDULE_OR_INVERTED_FLOW: Dimension = [
    {},
    {},
    {
        "use_flow_sigmas": True,
        "prediction_type": "flow_prediction",
        "flow_shift": 2.0,
        **{f"use_{name}_sigmas": False for name in ("karras", "exponential", "beta")},
    },
]
STAGED: list[Dimension] = [
    [
        {"stages": 1},
        *({"stages": 3, "stage_index": k} for k in range(3)),
        {"stages": 2, "stage_range": [0.0, 0.4, 1.0], "gamma": 0.5, "stage_index": 1},
    ],
    [{"shift": 1.0}, {"shift": 3.0}, {"use_dynamic_shifting": True, "mu": 0.8}],
    values("time_shift_type", "linear", "exponential"),
    values("num_train_timesteps", 1000, 500),
]
MAX_ANGLES: Dimension = [{}, {"max_timesteps": 1.5}]
COGVIDEOX = [
    *COMMON,
    [*BETAS, {"beta_schedule": "scaled_linear", "beta_start": 1e-5, "beta_end": 0.005}],
    ZERO_SNR,
    values("snr_shift_scale", 3.0, 1.0),
    values("set_alpha_to_one", True, False),
]

LATER_PRODUCTS: dict[str, list[Dimension]] = {
    "FlowMatchEulerDiscreteScheduler": [*FLOW, values("stochastic_sampling", False, True)],
    "FlowMatchHeunDiscreteScheduler": [FLOW[0]],
    "FlowMatchLCMScheduler": FLOW,
    "FlowMapEulerDiscreteScheduler": [FLOW[0], values("num_train_timesteps", 1000, 500)],
    "LCMScheduler": [*DISTILLED, values("timestep_scaling", 10.0, 0.01)],
    "TCDScheduler": DISTILLED,
    "EDMEulerScheduler": EDM,
    "EDMDPMSolverMultistepScheduler": [
        *EDM,
        *MULTISTEP,
        values("algorithm_type", "dpmsolver++", "sde-dpmsolver++"),
        THRESHOLDING,
    ],
    "CMStochasticIterativeScheduler": [
        values("clip_denoised", True, False),
        values("s_noise", 1.0, 0.9),
        [
            {},
            {"sigma_max": 10.0, "rho": 5.0},
            {"sigma_data": 1.0, "sigma_min": 0.01},
            {"num_train_timesteps": 100},
            # its square in float32 is not that of its float32
            {"sigma_data": 0.1, "sigma_min": 0.1, "rho": 3.0},
        ],
    ],
    "DPMSolverMultistepInverseScheduler": [
        SCHEDULE_OR_INVERTED_FLOW,
        *COMMON,
        BETAS,
        *MULTISTEP,
        values("algorithm_type", "dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver"),
        values("lambda_min_clipped", -inf, -5.1),
        THRESHOLDING,
        RESPACING,
    ],
    "SASolverScheduler": [
        SCHEDULE_OR_INVERTED_FLOW,
        *COMMON,
        BETAS[:3],
        values("predictor_order", 1, 2, 3, 4),
        values("corrector_order", 1, 2, 3, 4),
        values("algorithm_type", "data_prediction", "noise_prediction"),
        values("lower_order_final", True, False),
        THRESHOLDING,
        RESPACING,
    ],
    "SCMScheduler": [values("sigma_data", 0.5, 1.0), values("intermediate_timesteps", None), MAX_ANGLES],
    "ConsistencyDecoderScheduler": [values("sigma_data", 0.5, 1.0)],
    "UnCLIPScheduler": [
        values("prediction_type", "epsilon", "sample"),
        CLIPPING[:3],
        values("num_train_timesteps", 1000, 500),
    ],
    "DDPMWuerstchenScheduler": [values("scaler", 1.0, 2.0, 0.5), values("s", 0.008, 0.02)],
    "CogVideoXDDIMScheduler": COGVIDEOX,
    "CogVideoXDPMScheduler": COGVIDEOX,
    "LTXEulerAncestralRFScheduler": [values("eta", 1.0, 0.0, 0.5), values("s_noise", 1.0, 0.9, 0.0)],
    "MiniMaxH3Scheduler": [values("shift", 12.0, 1.0)],
    "HeliosScheduler": [
        *STAGED,
        values("scheduler_type", "unipc", "euler"),
        values("solver_order", 1, 2, 3),
        values("solver_type", "bh1", "bh2"),
        values("lower_order_final", True, False),
        values("disable_corrector", [], [0]),
    ],
    "HeliosDMDScheduler": STAGED,
}
FLOW_TABLES: Dimension = [
    {"sigmas": [1.0, 0.75, 0.2]},
    {"timesteps": [900.0, 500.5, 10.0]},
    {"sigmas": [0.9, 0.1], "timesteps": [800.0, 20.0]},
]
WHOLE_TABLES: Dimension = [{"timesteps": [999, 759, 499, 259]}, {"timesteps": [901, 400, 0]}]
LATER_CUSTOM: dict[str, Dimension] = {
    "FlowMatchEulerDiscreteScheduler": FLOW_TABLES,
    "FlowMatchLCMScheduler": FLOW_TABLES,
    "FlowMapEulerDiscreteScheduler": FLOW_TABLES[:1],
    "LCMScheduler": WHOLE_TABLES,
    "TCDScheduler": WHOLE_TABLES,
    "DDPMWuerstchenScheduler": [{"timesteps": [1.0, 0.5, 0.2, 0.0]}, {"timesteps": [1.0, 0.66]}],
    "LTXEulerAncestralRFScheduler": [{"sigmas": [1.0, 0.7, 0.3, 0.0]}, {"timesteps": [1.0, 0.7, 0.3, 0.0]}],
    "MiniMaxH3Scheduler": [{"sigmas": [1.0, 0.7, 0.3, 0.0]}],
    "CMStochasticIterativeScheduler": [{"timesteps": [39, 22, 5]}, {"timesteps": [22, 0]}, {"timesteps": [0]}],
}
CHURN: Dimension = [{}, {"s_churn": 2.0}, {"s_churn": 9.0, "s_tmin": 0.1, "s_tmax": 0.8, "s_noise": 1.01}]
LATER_ARGUMENTS: dict[str, Dimension] = {
    "FlowMatchHeunDiscreteScheduler": CHURN,
    "EDMEulerScheduler": CHURN,
    "TCDScheduler": values("eta", 0.3, 0.0, 0.5, 1.0),
}
