"""The names that other programs have for these schedulers and grids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Named:
    """A name of another program, and the scheduler and options that mean it."""

    name: str
    program: str
    scheduler: str
    options: Mapping[str, object] = field(default_factory=dict)


_K, _COMFY, _WEBUI = "k-diffusion", "ComfyUI", "A1111"
_SDE: Mapping[str, object] = {"algorithm_type": "sde-dpmsolver++"}
#: ComfyUI's and A1111's UniPC end at the smallest sigma of training.
_BH1: Mapping[str, object] = {"solver_type": "bh1", "final_sigmas_type": "sigma_min"}
_WITH_CFG_PP = ("euler", "euler_ancestral", "dpmpp_2s_ancestral", "res_multistep", "gradient_estimation")

#: Spelled as identifiers: ``create`` takes these too.
IDENTIFIERS: tuple[Named, ...] = (
    Named("sample_euler", _K, "euler"),
    Named("sample_euler_ancestral", _K, "euler_ancestral"),
    Named("sample_heun", _K, "heun"),
    Named("sample_dpm_2", _K, "kdpm2"),
    Named("sample_dpm_2_ancestral", _K, "kdpm2_ancestral"),
    Named("sample_lms", _K, "lms"),
    Named("sample_dpmpp_2s_ancestral", _K, "dpmpp_2s_ancestral"),
    Named("sample_dpmpp_sde", _K, "dpm_sde"),
    Named("sample_dpmpp_2m", _K, "dpm_multistep"),
    Named("sample_dpmpp_2m_sde", _K, "dpmpp_2m_sde"),
    Named("sample_dpmpp_3m_sde", _K, "dpmpp_3m_sde"),
    Named("sample_dpm_fast", _K, "dpm_fast"),
    *(Named(f"{name}_cfg_pp", _COMFY, name, {"cfg_pp": True}) for name in _WITH_CFG_PP),
    Named("dpmpp_2m_cfg_pp", _COMFY, "dpm_multistep", {"cfg_pp": True}),
    Named("res_multistep_ancestral_cfg_pp", _COMFY, "res_multistep", {"eta": 1.0, "cfg_pp": True}),
    Named("dpm_2", _COMFY, "kdpm2"),
    Named("dpm_2_ancestral", _COMFY, "kdpm2_ancestral"),
    Named("dpmpp_sde", _COMFY, "dpm_sde"),
    Named("dpmpp_2m", _COMFY, "dpm_multistep"),
    Named("dpmpp_2m_sde_heun", _COMFY, "dpmpp_2m_sde", {"solver_type": "heun"}),
    Named("dpmpp_sde_gpu", _COMFY, "dpm_sde"),
    Named("dpmpp_2m_sde_gpu", _COMFY, "dpmpp_2m_sde"),
    Named("dpmpp_2m_sde_heun_gpu", _COMFY, "dpmpp_2m_sde", {"solver_type": "heun"}),
    Named("dpmpp_3m_sde_gpu", _COMFY, "dpmpp_3m_sde"),
    Named("sa_solver_pece", _COMFY, "sa_solver", {"predictor_order": 3, "corrector_order": 4, "pece": True}),
    Named("res_multistep_ancestral", _COMFY, "res_multistep", {"eta": 1.0}),
    Named("exp_heun_2_x0", _COMFY, "exp_heun_2"),
    Named("exp_heun_2_x0_sde", _COMFY, "seeds_2", {"r": 1.0, "solver_type": "phi_2"}),
    Named("uni_pc", _COMFY, "unipc", _BH1),
    Named("uni_pc_bh2", _COMFY, "unipc", {"final_sigmas_type": "sigma_min"}),
)

#: As people read and write them; the first of equal names comes first.
SPOKEN: tuple[Named, ...] = (
    Named("Euler", _WEBUI, "euler"),
    Named("Euler a", _WEBUI, "euler_ancestral"),
    Named("Heun", _WEBUI, "heun"),
    Named("LMS", _WEBUI, "lms"),
    Named("DPM2", _WEBUI, "kdpm2"),
    Named("DPM2 a", _WEBUI, "kdpm2_ancestral"),
    Named("DPM fast", _WEBUI, "dpm_fast"),
    Named("Restart", _WEBUI, "restart", {"respacing": "karras"}),
    Named("DPM++ 2S a", _WEBUI, "dpmpp_2s_ancestral"),
    Named("DPM++ SDE", _WEBUI, "dpm_sde"),
    Named("DPM++ 2M", _WEBUI, "dpm_multistep"),
    Named("DPM++ 2M SDE", _WEBUI, "dpmpp_2m_sde"),
    Named("DPM++ 2M SDE", "diffusers", "dpm_multistep", _SDE),
    Named("DPM++ 2M SDE Heun", _WEBUI, "dpmpp_2m_sde", {"solver_type": "heun"}),
    Named("DPM++ 3M", "diffusers", "dpm_multistep", {"solver_order": 3}),
    Named("DPM++ 3M SDE", _WEBUI, "dpmpp_3m_sde"),
    Named("DPM++ 2S", "diffusers", "dpm_singlestep"),
    Named("DDIM", _WEBUI, "ddim"),
    Named("DDIM CFG++", _WEBUI, "ddim", {"cfg_pp": True}),
    Named("PLMS", _WEBUI, "pndm", {"skip_prk_steps": True}),
    Named("UniPC", _WEBUI, "unipc", {"final_sigmas_type": "sigma_min"}),
    Named("LCM", _WEBUI, "lcm"),
    Named("Flow Match Euler", "diffusers", "flow_match_euler"),
    Named("Euler flow", "diffusers", "flow_match_euler"),
)

#: Names of grids -> options; the longest that occurs in a query is meant.
GRID_NAMES: Mapping[str, Mapping[str, object]] = {
    "karras": {"respacing": "karras"},
    "exponential": {"respacing": "exponential"},
    "polyexponential": {"respacing": "polyexponential"},
    "beta": {"respacing": "beta"},
    "lu": {"respacing": "lu"},
    "normal": {"respacing": "normal"},
    "simple": {"respacing": "simple"},
    "sgm uniform": {"respacing": "sgm_uniform"},
    "ddim uniform": {"respacing": "ddim_uniform"},
    "linear quadratic": {"respacing": "linear_quadratic"},
    "kl optimal": {"respacing": "kl_optimal"},
    "align your steps": {"respacing": "ays_sd1"},
    "ays": {"respacing": "ays_sd1"},
    "ays sdxl": {"respacing": "ays_sdxl"},
    "ays svd": {"respacing": "ays_svd"},
    "trailing": {"timestep_spacing": "trailing"},
    "leading": {"timestep_spacing": "leading"},
    "linspace": {"timestep_spacing": "linspace"},
    "uniform": {"timestep_spacing": "linspace"},
    "ka": {"respacing": "karras"},
}
