"""Every registered scheduler from a diffusers config and back: diffusers loads what is saved to the same grid."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from diffusers.schedulers.scheduling_consistency_decoder import ConsistencyDecoderScheduler

from samplegraph.schedulers import OptionError, Scheduler, from_config, names, save_config, scheduler_class
from samplegraph.schedulers.catalogue.config_keys import is_inert

pytestmark = pytest.mark.filterwarnings("ignore")
#: Classes that diffusers keeps apart.
DEPRECATED = {"KarrasVeScheduler": "karras_ve", "ScoreSdeVpScheduler": "sde_vp"}
RESPACED: list[dict[str, Any]] = [{f"use_{kind}_sigmas": True} for kind in ("karras", "exponential", "beta")]
SPACED: list[dict[str, Any]] = [
    {"timestep_spacing": "trailing", "beta_schedule": "scaled_linear"},
    {"timestep_spacing": "leading", "steps_offset": 1, "prediction_type": "v_prediction"},
]
TO_SIGMA_MIN = {"final_sigmas_type": "sigma_min"}
#: Configs besides the empty one; a scheduler that is not here has that one only.
CONFIGS: dict[str, list[dict[str, Any]]] = {
    "ddim": [*SPACED, {"rescale_betas_zero_snr": True, "set_alpha_to_one": False, "thresholding": True}],
    "ddpm": [*SPACED, {"variance_type": "fixed_large", "clip_sample_range": 2.0}],
    "euler": [*SPACED, *RESPACED, {"sigma_min": 0.1, "sigma_max": 10.0, "use_karras_sigmas": True}],
    "euler_ancestral": SPACED,
    "heun": [*SPACED, *RESPACED],
    "dpm_multistep": [*SPACED, *RESPACED, {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}],
    "deis": [*SPACED, *RESPACED, {"solver_order": 3, "lower_order_final": False}],
    "unipc": [
        *(SPACED + RESPACED),
        {"solver_order": 3, "solver_type": "bh1", "predict_x0": False, **TO_SIGMA_MIN},
        {"disable_corrector": [0, 1], "rescale_betas_zero_snr": True},
    ],
    "lms": [*SPACED, *RESPACED],
    "pndm": [*SPACED, {"skip_prk_steps": True, "set_alpha_to_one": True}, {"num_train_timesteps": 1200}],
    "kdpm2": [*SPACED, *RESPACED],
    "kdpm2_ancestral": [*SPACED, *RESPACED],
    "ddim_inverse": [*SPACED, {"set_alpha_to_one": False, "clip_sample": False}],
    "score_sde_vp": [{"beta_min": 0.05, "beta_max": 10.0, "sampling_eps": 1e-2, "num_train_timesteps": 500}],
    "karras_ve": [{"sigma_min": 0.1, "sigma_max": 20.0}, {"s_churn": 5.0, "s_noise": 1.0, "s_min": 0.1, "s_max": 9.0}],
    "score_sde_ve": [{"sigma_max": 50.0, "snr": 0.3, "correct_steps": 2}, {"sigma_min": 0.1, "sampling_eps": 1e-3}],
    "repaint": [{"eta": 0.5, "beta_schedule": "sigmoid", "clip_sample": False}],
    "flow_match_euler": [
        {"shift": 3.0, "shift_terminal": 0.1, "stochastic_sampling": True},
        {"use_karras_sigmas": True, "invert_sigmas": True, "base_shift": 0.4},
    ],
    "flow_match_heun": [{"shift": 3.0}],
    "dpm_singlestep": [
        *RESPACED,
        {"solver_order": 3, "algorithm_type": "dpmsolver", **TO_SIGMA_MIN},
        {"use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction"},
    ],
    "flow_match_lcm": [{"shift": 3.0, "use_beta_sigmas": True}],
    "flow_map": [{"shift": 3.0, "num_train_timesteps": 500}],
    "lcm": [{"timestep_scaling": 5.0, "original_inference_steps": 100, "thresholding": True}, {"clip_sample": True}],
    "tcd": [{"original_inference_steps": 100, "beta_schedule": "linear"}],
    "edm_euler": [{"sigma_schedule": "exponential", "prediction_type": "v_prediction", "rho": 5.0}],
    "edm_dpm": [{"solver_order": 3, "sigma_data": 1.0, "final_sigmas_type": "sigma_min", "thresholding": True}],
    "consistency": [{"sigma_max": 10.0, "clip_denoised": False, "num_train_timesteps": 100, "s_noise": 0.9}],
    "dpm_multistep_inverse": [*SPACED, {"use_flow_sigmas": True, "solver_order": 1}, {"lambda_min_clipped": -5.1}],
    "dpm_sde": [*SPACED, *RESPACED],
    "cosine_dpm": [{"sigma_schedule": "karras", "prediction_type": "epsilon", "solver_order": 1}],
    "sa_solver": [*SPACED, {"predictor_order": 3, "corrector_order": 4, "algorithm_type": "noise_prediction"}],
    "scm": [{"sigma_data": 1.0}],
    "unclip": [{"num_train_timesteps": 500, "prediction_type": "sample", "clip_sample": False}],
    "wuerstchen": [{"scaler": 2.0, "s": 0.02}],
    "cogvideox_ddim": [*SPACED, {"snr_shift_scale": 1.0, "rescale_betas_zero_snr": True}],
    "cogvideox_dpm": [*SPACED, {"snr_shift_scale": 1.0, "set_alpha_to_one": False}],
    "ltx_euler_ancestral": [{"eta": 0.5, "s_noise": 0.9}],
    "minimax_h3": [{"shift": 3.0}],
    "helios": [{"stages": 1, "scheduler_type": "euler", "shift": 3.0}, {"gamma": 0.5, "solver_order": 3}],
    "helios_dmd": [{"stages": 2, "stage_range": [0.0, 0.5, 1.0], "time_shift_type": "exponential"}],
    "vq_diffusion": [{"num_vec_classes": 17, "alpha_cum_start": 0.999, "gamma_cum_end": 0.99}],
}
CASES = [(name, config) for name in names() for config in ({}, *CONFIGS.get(name, []))]
FROM_DIFFUSERS = [name for name in names() if scheduler_class(name).diffusers_class]
THEIRS = [(name, config) for name, config in CASES if name in FROM_DIFFUSERS]


def diffusers_class(name: str) -> Any:
    found = str(scheduler_class(name).diffusers_class)
    if found == "ConsistencyDecoderScheduler":
        return ConsistencyDecoderScheduler
    if found in DEPRECATED:
        return getattr(import_module(f"diffusers.schedulers.deprecated.scheduling_{DEPRECATED[found]}"), found)
    return getattr(diffusers, found)


def read(name: str, config: dict[str, Any], steps: int = 10) -> Scheduler:
    steps = 2 if name == "consistency_decoder" else steps  # the only count that diffusers takes
    return from_config({"_class_name": scheduler_class(name).diffusers_class, **config}, steps)


def theirs(name: str, folder: Path, steps: int) -> Any:
    """What diffusers makes of ``scheduler_config.json`` in ``folder``, its grid set."""
    scheduler = diffusers_class(name).from_pretrained(folder)
    if name == "consistency_decoder":
        steps = 2
    needed = {"scm": {"intermediate_timesteps": None}, "helios": {"stage_index": 0}, "helios_dmd": {"stage_index": 0}}
    scheduler.set_timesteps(steps, **needed.get(name, {}))
    if hasattr(scheduler, "set_sigmas"):
        scheduler.set_sigmas(steps)
    return scheduler


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives it back, which has no tuples."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in config.items()}


def ascending(values: Any) -> np.ndarray:
    return np.sort(np.asarray(values, dtype=np.float64))


def distinct(timesteps: Any) -> np.ndarray:
    """In order, one for all that rounding tells apart: diffusers names a point each time that it is visited."""
    t = ascending(timesteps)
    return t[np.append(True, np.diff(t) > 1e-5 * t[-1])]


@pytest.mark.parametrize(("name", "config"), THEIRS, ids=str)
def test_diffusers_loads_what_is_saved_to_the_same_grid(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "scheduler_config.json"
    for steps in (4, 10):
        ours = read(name, config, steps)
        save_config(ours, path)
        loaded = theirs(name, tmp_path, steps)
        if name == "karras_ve":
            expected, found = ascending(ours.sigmas[:-1]), ascending(loaded.schedule)
        elif name == "score_sde_ve":
            expected, found = ascending(ours.sigmas[:-1]), ascending(loaded.sigmas)
        else:
            visited = loaded.timesteps[:-1] if name in ("scm", "wuerstchen") else loaded.timesteps  # without the end
            expected, found = distinct(ours.grid.timesteps), distinct(visited)
            if hasattr(loaded, "sigmas") and loaded.sigmas is not None and len(loaded.sigmas) == steps + 1:
                sigmas = ours.grid.sigma if ours.grid.family == "flow" else ours.sigmas
                sigmas = 1 - sigmas if config.get("invert_sigmas") else sigmas
                if name == "piflow":  # it lists 0 where its policy ends at eps
                    sigmas = np.append(sigmas[:-1], 0.0)
                assert ascending(sigmas) == pytest.approx(ascending(loaded.sigmas), rel=2e-6)
        assert expected == pytest.approx(found, rel=2e-6, abs=1e-9)


@pytest.mark.parametrize(("name", "config"), CASES, ids=str)
def test_what_is_saved_is_read_back(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    if name not in FROM_DIFFUSERS:
        pytest.skip("has no class in diffusers")
    ours = read(name, config)
    save_config(ours, tmp_path / "scheduler_config.json")
    again = from_config(tmp_path, 2 if name == "consistency_decoder" else 10)
    assert again.name == name
    assert plain(again.config) == plain(ours.config)
    for table in ("timesteps", "alpha", "sigma", "alpha_next", "sigma_next"):
        assert np.array_equal(getattr(again.grid, table), getattr(ours.grid, table))


@pytest.mark.parametrize(("name", "config"), THEIRS, ids=str)
def test_every_key_that_diffusers_takes_arrives(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    """What it does not take asks for nothing, or is an argument of its ``step`` or ``set_timesteps``."""
    path = tmp_path / "scheduler_config.json"
    save_config(read(name, config), path)
    written = {k: v for k, v in json.loads(path.read_text()).items() if not k.startswith("_")}
    cls = diffusers_class(name)
    takes = set(inspect.signature(cls.__init__).parameters)
    arguments = {
        k for m in ("step", "set_timesteps") if hasattr(cls, m) for k in inspect.signature(getattr(cls, m)).parameters
    }
    assert {k for k in set(written) - takes if not is_inert(k, written[k])} <= arguments
    loaded = cls.from_pretrained(tmp_path).config
    forced = {"lower_order_final"} if name == "dpm_singlestep" else set()  # by its constructor, where sigma ends at 0
    for key in (set(written) & takes) - forced:
        assert loaded[key] == written[key], key
    assert set(config) <= set(written)


@pytest.mark.parametrize("name", FROM_DIFFUSERS)
def test_what_diffusers_saves_is_read_with_its_defaults(name: str, tmp_path: Path) -> None:
    needed = {"num_vec_classes": 9} if name == "vq_diffusion" else {}
    diffusers_class(name)(**needed).save_pretrained(tmp_path)
    scheduler = from_config(tmp_path, 2 if name == "consistency_decoder" else 10)
    saved = json.loads((tmp_path / "scheduler_config.json").read_text())
    ours = read(name, {})
    assert np.array_equal(scheduler.grid.sigma, ours.grid.sigma)
    for key in (set(ours.config) & set(saved)) - {"prediction_type"}:
        assert plain(scheduler.config)[key] == plain(ours.config)[key] == saved[key], key


@pytest.mark.parametrize("name", FROM_DIFFUSERS)
def test_keys_of_older_releases_pass(name: str) -> None:
    older = {"_diffusers_version": "0.2.0", "predict_epsilon": True, "tensor_format": "pt"}
    assert read(name, older).config == read(name, {}).config


def test_a_nested_solver_reads_diffusers_default_prediction() -> None:
    """Both schedulers read the same output, so it is told apart: diffusers' default is epsilon."""
    config = {"solver_p": {"_class_name": "DPMSolverMultistepScheduler", "solver_order": 1}}
    assert read("unipc", config).config["prediction_type"] == "epsilon"


def test_a_nested_solver_is_read_with_a_prediction_type() -> None:
    config = {"solver_p": {"_class_name": "DPMSolverMultistepScheduler", "solver_order": 1}}
    scheduler = read("unipc", {**config, "prediction_type": "v_prediction"})
    assert scheduler.config["prediction_type"] == "v_prediction"
    assert scheduler.profile().nfe == 10
    with pytest.raises(OptionError, match=r"solver_p=.*: ddim visits other timesteps"):
        read(
            "unipc", {"solver_p": {"_class_name": "DDIMScheduler", "clip_sample": False}, "prediction_type": "epsilon"}
        )
