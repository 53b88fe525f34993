"""Keys of diffusers' scheduler configs that belong to another class than the one at hand."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

#: Any value: the parameter of a switch that is not there.
ANY: tuple[object, ...] = ()

#: Key -> values at which it asks nothing of a scheduler that lacks it; null does so for every key. Configs carry
#: such keys because diffusers hands them on from class to class.
INERT: Mapping[str, tuple[object, ...]] = {
    "algorithm_type": ("dpmsolver++", "deis", "data_prediction"),
    "base_image_seq_len": ANY,
    "base_shift": ANY,
    "clip_sample": (False,),
    "clip_sample_range": ANY,
    "disable_corrector": ([],),
    "dynamic_thresholding_ratio": ANY,
    "euler_at_final": (False,),
    "final_sigmas_type": ("zero",),
    "flow_shift": (1.0,),
    "interpolation_type": ("linear",),
    "invert_sigmas": (False,),
    "lambda_min_clipped": (-inf,),
    "lower_order_final": (True, False),
    "max_image_seq_len": ANY,
    "max_shift": ANY,
    "mu": (None,),
    "original_inference_steps": ANY,
    "predict_epsilon": (True,),
    "predict_x0": (True,),
    "rescale_betas_zero_snr": (False,),
    "sample_max_value": ANY,
    "scale_factors": (None,),
    "set_alpha_to_one": (True, False),
    "shift": (1.0,),
    "shift_terminal": (None,),
    "sigma_max": (None,),
    "sigma_min": (None,),
    "skip_prk_steps": (True, False),
    "solver_order": (2,),
    "solver_p": (None,),
    "solver_type": ("midpoint", "logrho", "bh2"),
    "steps_offset": ANY,
    "stochastic_sampling": (False,),
    "tau_func": (None,),
    "tensor_format": ("pt",),
    "thresholding": (False,),
    "time_shift_type": ("exponential",),
    "timestep_scaling": ANY,
    "timestep_spacing": ANY,
    "timestep_type": ("discrete",),
    "trained_betas": (None,),
    "use_beta_sigmas": (False,),
    "use_dynamic_shifting": (False,),
    "use_exponential_sigmas": (False,),
    "use_flow_sigmas": (False,),
    "use_karras_sigmas": (False,),
    "use_lu_lambdas": (False,),
    "variance_type": ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"),
}


def is_inert(key: str, value: object) -> bool:
    """Whether ``key`` is known and asks nothing at ``value``."""
    return key in INERT and (value is None or INERT[key] is ANY or value in INERT[key])
