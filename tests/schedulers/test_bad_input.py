"""Bad input is one OptionError at construction: argument, value, what is allowed, the fix."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from samplegraph.models import Sampler
from samplegraph.schedulers import NotAffineError, OptionError, create, from_config, plan

CASES: list[tuple[str, Any, dict[str, Any], list[str]]] = [
    # name, steps, options, words that the message has to hold
    ("dimm", 5, {}, ["'dimm'", "did you mean 'ddim'"]),
    ("DDIM", 5, {}, ["'DDIM'", "ddim"]),
    ("ddim", 5, {"etta": 0.5}, ["'etta'", "did you mean 'eta'", "ddim"]),
    ("ddim", 5, {"use_karras_sigmas": True}, ["use_karras_sigmas", "ddim"]),
    ("ddim", None, {}, ["steps"]),
    ("ddim", 0, {}, ["steps=0", "at least 1"]),
    ("ddim", -3, {}, ["steps=-3", "at least 1"]),
    ("ddim", True, {}, ["steps=True"]),
    ("ddim", 2.5, {}, ["steps=2.5"]),
    ("ddim", "5", {}, ["steps='5'"]),
    ("ddim", 1001, {}, ["steps=1001", "1000"]),
    ("euler", 1001, {}, ["steps=1001", "1000"]),
    ("dpm_multistep", 1001, {"respacing": "karras"}, ["steps=1001", "1000"]),
    ("ddim", 5, {"eta": 1.5}, ["eta=1.5", "0 to 1"]),
    ("ddim", 5, {"eta": nan}, ["eta=nan"]),
    ("ddim", 5, {"eta": "half"}, ["eta='half'"]),
    ("ddim", 5, {"clip_sample": "yes"}, ["clip_sample='yes'", "true or false"]),
    ("ddim", 5, {"clip_sample_range": -1.0}, ["clip_sample_range=-1.0"]),
    ("ddim", 5, {"sample_max_value": 0.5}, ["sample_max_value=0.5"]),
    ("ddim", 5, {"dynamic_thresholding_ratio": 1.5}, ["dynamic_thresholding_ratio=1.5"]),
    ("ddim", 5, {"beta_schedule": "cosine"}, ["beta_schedule='cosine'", "squaredcos_cap_v2"]),
    ("ddim", 5, {"beta_start": -0.1}, ["beta_start=-0.1"]),
    ("ddim", 5, {"beta_end": nan}, ["beta_end=nan"]),
    ("ddim", 5, {"trained_betas": [0.1, 0.2]}, ["trained_betas", "2", "1000"]),
    ("ddim", 2, {"trained_betas": [0.1, nan], "num_train_timesteps": 2}, ["trained_betas"]),
    ("ddim", 2, {"trained_betas": [0.1, 1.5], "num_train_timesteps": 2}, ["trained_betas"]),
    ("ddim", 2, {"trained_betas": "linear"}, ["trained_betas='linear'"]),
    ("ddim", 5, {"num_train_timesteps": 0}, ["num_train_timesteps=0"]),
    ("ddim", 5, {"num_train_timesteps": 10.5}, ["num_train_timesteps=10.5"]),
    ("ddim", 5, {"timestep_spacing": "even"}, ["timestep_spacing='even'", "leading"]),
    ("ddim", 5, {"steps_offset": -1}, ["steps_offset=-1"]),
    ("ddim", 1000, {"steps_offset": 1}, ["steps_offset=1", "999"]),
    ("ddim", 5, {"prediction_type": "noise"}, ["prediction_type='noise'", "epsilon"]),
    ("ddpm", 5, {"variance_type": "fixed_large_log"}, ["fixed_large_log", "NaN", "fixed_small"]),
    ("ddpm", 5, {"variance_type": "fixed_smal"}, ["variance_type='fixed_smal'", "did you mean 'fixed_small'"]),
    ("ddpm", None, {"timesteps": [10, 20]}, ["timesteps=[10, 20]", "descend"]),
    ("ddpm", None, {"timesteps": [20, 20]}, ["timesteps=[20, 20]", "descend"]),
    ("ddpm", None, {"timesteps": [1000, 20]}, ["timesteps=[1000, 20]", "999"]),
    ("ddpm", None, {"timesteps": [20, -1]}, ["timesteps=[20, -1]"]),
    ("ddpm", None, {"timesteps": [20.5, 1]}, ["timesteps=[20.5, 1]", "whole"]),
    ("ddpm", None, {"timesteps": []}, ["timesteps"]),
    ("ddpm", None, {"timesteps": 5}, ["timesteps=5", "list"]),
    ("ddpm", None, {"timesteps": ["a"]}, ["timesteps=['a']", "list"]),
    ("ddpm", 3, {"timesteps": [20, 1]}, ["steps=3", "2 steps"]),
    ("euler", None, {"timesteps": [20, 1], "sigmas": [1.0, 0.0]}, ["timesteps and sigmas"]),
    ("euler", None, {"sigmas": [1.0, 2.0, 0.0]}, ["sigmas=[1, 2, 0]", "descend"]),
    ("euler", None, {"sigmas": [2.0, 2.0, 0.0]}, ["sigmas=[2, 2, 0]", "descend"]),
    ("euler", None, {"sigmas": [2.0, -1.0]}, ["sigmas=[2, -1]", "negative"]),
    ("euler", None, {"sigmas": [inf, 1.0]}, ["sigmas"]),
    ("euler", None, {"sigmas": [2.0]}, ["sigmas", "two"]),
    ("euler", None, {"sigmas": [2.0, 0.0], "respacing": "karras"}, ["sigmas", "respacing='karras'"]),
    ("euler", None, {"timesteps": [20, 1], "respacing": "beta"}, ["timesteps", "respacing='beta'"]),
    ("euler", 5, {"use_karras_sigmas": True, "use_beta_sigmas": True}, ["use_karras_sigmas and use_beta_sigmas"]),
    ("euler", 5, {"use_karras_sigmas": True, "respacing": "beta"}, ["use_karras_sigmas", "respacing='beta'"]),
    ("euler", 5, {"use_karras_sigmas": 1}, ["use_karras_sigmas=1", "true or false"]),
    ("euler", 5, {"respacing": "karass"}, ["respacing='karass'", "did you mean 'karras'"]),
    ("euler", 5, {"sigma_min": 3.0, "sigma_max": 2.0, "respacing": "karras"}, ["sigma_min=3.0", "sigma_max=2.0"]),
    ("euler", 5, {"sigma_min": 0.0, "respacing": "karras"}, ["sigma_min=0.0"]),
    ("euler", 5, {"sigma_min": 500.0, "respacing": "karras"}, ["sigma_min", "descend"]),
    ("euler", 5, {"final_sigmas_type": "one"}, ["final_sigmas_type='one'", "sigma_min"]),
    ("euler", 5, {"interpolation_type": "cubic"}, ["interpolation_type='cubic'", "log_linear"]),
    ("euler", 5, {"timestep_type": "real"}, ["timestep_type='real'", "continuous"]),
    ("euler", 5, {"s_churn": -1.0}, ["s_churn=-1.0"]),
    ("euler", 5, {"corrected": 3}, ["corrected=3"]),
    ("dpm_multistep", 5, {"lambda_min_clipped": "x"}, ["lambda_min_clipped='x'"]),
    ("karras_ve", 5001, {}, ["steps=5001", "5000"]),
    ("score_sde_ve", 100, {"correct_steps": 10**9}, ["more than 10,000 evaluations", "fewer"]),
    ("euler", 5, {"s_churn": 1.0}, ["s_churn=1.0", "prediction_type"]),
    ("euler", 5, {"beta_start": 0.0, "beta_end": 0.0}, ["sigma = 0", "beta_start"]),
    (
        "euler",
        None,
        {"timesteps": [9], "timestep_type": "continuous", "prediction_type": "v_prediction"},
        ["timesteps", "continuous"],
    ),
    ("dpm_multistep", 5, {"solver_order": 4}, ["solver_order=4", "1 to 3"]),
    ("dpm_multistep", 5, {"solver_order": "2"}, ["solver_order='2'"]),
    ("dpm_multistep", 5, {"algorithm_type": "dpmsolver+"}, ["'dpmsolver+'", "did you mean 'dpmsolver++'"]),
    ("dpm_multistep", 5, {"algorithm_type": "dpmsolver"}, ["algorithm_type='dpmsolver'", "sigma_min"]),
    ("dpm_multistep", 5, {"solver_type": "rk4"}, ["solver_type='rk4'", "midpoint"]),
    ("dpm_multistep", 5, {"sigma_min": 0.1, "respacing": "lu"}, ["sigma_min", "lu"]),
    ("dpm_multistep", 1000, {}, ["step 500", "sigma does not change"]),
    ("flow_match_euler", 5, {"shift": 0.0}, ["shift=0.0", "above 0"]),
    ("flow_match_euler", 5, {"use_dynamic_shifting": True}, ["use_dynamic_shifting=True", "mu", "image_seq_len"]),
    ("flow_match_euler", 5, {"use_dynamic_shifting": True, "mu": 1.0, "image_seq_len": 9}, ["mu", "image_seq_len"]),
    ("flow_match_euler", 5, {"time_shift_type": "square"}, ["time_shift_type='square'", "exponential, linear"]),
    ("flow_match_euler", 5, {"shift_terminal": 1}, ["shift_terminal=1", "below 1"]),
    ("flow_match_euler", 1, {"shift_terminal": 0.1}, ["shift_terminal=0.1", "NaN", "more steps"]),
    ("flow_match_euler", None, {"sigmas": [0.2, 0.9]}, ["sigmas=[0.2, 0.9]", "descend"]),
    ("flow_match_euler", None, {"sigmas": [1.5, 0.9]}, ["sigmas=[1.5, 0.9]", "at most 1"]),
    ("flow_match_euler", None, {"sigmas": [1.0], "timesteps": [900, 1]}, ["timesteps and sigmas", "one length"]),
    ("flow_match_euler", 5, {"stochastic_sampling": 1}, ["stochastic_sampling=1"]),
    ("flow_match_heun", 5, {"s_churn": -1}, ["s_churn=-1"]),
    ("dpm_multistep", 5, {"use_flow_sigmas": True, "respacing": "karras"}, ["respacing", "use_flow_sigmas=True"]),
    ("dpm_multistep", 5, {"mu": 1.0}, ["mu", "use_dynamic_shifting"]),
    ("dpm_multistep", None, {"sigmas": [2.0, 0.0], "use_flow_sigmas": True}, ["sigmas", "below 1"]),
    (
        "dpm_multistep",
        5,
        {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min", "prediction_type": "flow_prediction"},
        ["prediction_type='flow_prediction'", "algorithm_type='dpmsolver'"],
    ),
    ("unipc", 5, {"shift_terminal": 0.1}, ["shift_terminal", "use_flow_sigmas=True"]),
    ("unipc", 5, {"use_dynamic_shifting": True, "use_flow_sigmas": True}, ["use_dynamic_shifting=True", "mu"]),
    ("amused", 5, {}, ["'amused'", "is not among the schedulers", "tokens"]),
    ("sa_solver", 5, {"predictor_order": 5}, ["predictor_order=5", "1 to 4"]),
    (
        "sa_solver",
        5,
        {"algorithm_type": "noise_prediction", "thresholding": True},
        ["thresholding=True", "noise_prediction"],
    ),
    ("unclip", 1, {}, ["steps=1", "at least 2"]),
    ("scm", None, {"angles": [0.2, 1.0]}, ["angles", "descend"]),
    ("scm", 4, {"intermediate_timesteps": 1.0}, ["intermediate_timesteps=1.0", "steps=2"]),
    ("wuerstchen", None, {"times": [0.2, 1.0]}, ["times", "descend"]),
    ("wuerstchen", 4, {"scaler": 0}, ["scaler=0"]),
    ("cogvideox_ddim", 4, {"snr_shift_scale": -1}, ["snr_shift_scale=-1"]),
    ("ltx_euler_ancestral", None, {"sigmas": [1.0, 0.5]}, ["sigmas", "to 0"]),
    ("minimax_h3", None, {"sigmas": [1.0, 0.5]}, ["sigmas", "to 0"]),
    ("cosine_dpm", 20, {"solver_order": 3}, ["solver_order=3", "cosine_dpm"]),
    ("lcm", 51, {}, ["steps=51", "original_inference_steps=50", "at most 50"]),
    ("lcm", 5, {"original_inference_steps": 2000}, ["original_inference_steps=2000", "1000"]),
    ("lcm", 5, {"strength": 0.0}, ["strength=0.0"]),
    ("lcm", None, {"timesteps": [900, 100], "strength": 0.5}, ["strength=0.5", "timesteps"]),
    ("tcd", 5, {"eta": 1.5}, ["eta=1.5", "0 to 1"]),
    ("edm_euler", 5, {"sigma_schedule": "linear"}, ["sigma_schedule='linear'", "karras, exponential"]),
    ("edm_euler", 5, {"sigma_data": 0}, ["sigma_data=0"]),
    ("edm_euler", None, {"ramp": [0.9, 0.1]}, ["ramp", "descend"]),
    ("edm_dpm", 20, {"solver_order": 3, "algorithm_type": "sde-dpmsolver++"}, ["solver_order=3", "edm_dpm"]),
    ("edm_dpm", 5, {"algorithm_type": "dpmsolver"}, ["algorithm_type='dpmsolver'"]),
    ("consistency", 5, {"clip_denoised": "no"}, ["clip_denoised='no'"]),
    ("consistency", 41, {}, ["steps=41", "40"]),
    (
        "dpm_multistep",
        20,
        {"solver_order": 3, "algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"},
        ["solver_order=3", "sde-dpmsolver"],
    ),
    (
        "ddim",
        5,
        {
            "prediction_type": "epsilon",
            "clip_sample": False,
            "rescale_betas_zero_snr": True,
            "timestep_spacing": "trailing",
        },
        ["prediction_type='epsilon'", "timestep 999", "rescale_betas_zero_snr"],
    ),
]


@pytest.mark.parametrize(("name", "steps", "options", "words"), CASES, ids=lambda v: str(v)[:60])
def test_it_is_refused_in_one_line(name: str, steps: Any, options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(OptionError) as error:
        create(name, steps, **options)
    text = str(error.value)
    assert [word for word in words if word not in text] == [], text
    assert "\n" not in text
    assert len(text) < 700


def test_arrays_and_tensors_are_sequences_too() -> None:
    lists = create("euler", sigmas=[5.0, 1.0, 0.0])
    assert create("euler", sigmas=np.array([5.0, 1.0, 0.0])).config == lists.config
    assert create("euler", sigmas=torch.tensor([5.0, 1.0, 0.0])).config == lists.config


def test_steps_may_repeat_what_a_custom_table_says() -> None:
    assert create("ddpm", 2, timesteps=[20, 1]).steps == 2


def test_nan_by_float32_rounding_is_refused_and_exact_tables_are_the_way_out() -> None:
    options = {"eta": 1.0, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    options |= {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    with pytest.raises(OptionError, match="exact_tables=True"):
        create("ddim", 25, **options)
    assert create("ddim", 25, exact_tables=True, **options).steps == 25


def test_a_model_that_says_epsilon_is_refused_where_no_signal_is_left() -> None:
    scheduler = create("ddim", 5, clip_sample=False, rescale_betas_zero_snr=True, timestep_spacing="trailing")
    with pytest.raises(OptionError, match="timestep 999"):
        Sampler(nn.Identity(), scheduler)


def test_a_plan_of_what_is_not_affine_is_refused() -> None:
    with pytest.raises(NotAffineError, match="thresholding"):
        plan(create("ddim", 5, thresholding=True))


def test_config_options_are_checked_as_those_of_create() -> None:
    config = {"_class_name": "DDIMScheduler"}
    for options in ({"eta": 2.0}, {"sigmas": [1.0, 0.0]}, {"s_churn": 1.0}):
        with pytest.raises(OptionError, match=next(iter(options))):
            from_config(config, 5, **options)
