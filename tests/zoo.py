"""The scheduler zoo: every property test loops over these rows. Adding a scheduler adds a row.

``order`` is what refinement measures, ``keeps_variance`` whether the sampler's law is the marginal one at every step
for data at a single point. Where that fails by theory the row says why. ``exact_start`` steps end on the exact
solution before order is measured: a multistep method starts with lower orders. ``solves`` is whether it solves the
equation at all: samplers of consistency models leave that to the model. ``least`` is the fewest steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from samplegraph.schedulers import Scheduler, create, option_defaults


@dataclass(frozen=True)
class Row:
    """A scheduler with options, none of which clips."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    order: float = 1
    keeps_variance: bool = True
    exact_start: int = 0
    solves: bool = True
    least: int = 1

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.options.items())])

    def create(self, steps: int | None, **options: Any) -> Scheduler:
        """The scheduler over float64 tables, clipping off."""
        plain = {"exact_tables": True, "clip_sample": False, "clip_denoised": False}
        taken = {key: value for key, value in plain.items() if key in option_defaults(self.name)}
        return create(self.name, steps, **{**taken, **self.options, **options})


def _dpm(
    order: float, algorithm: str = "dpmsolver++", keeps_variance: bool = True, exact_start: int = 0, **options: Any
) -> Row:
    final = {} if algorithm.endswith("++") else {"final_sigmas_type": "sigma_min"}
    return Row("dpm_multistep", {"algorithm_type": algorithm, **final, **options}, order, keeps_variance, exact_start)


#: Schedulers whose steps are not those of a discretised x0-eps pair; their tests of law are in test_parity_sde.py.
APART = {
    "score_sde_vp": "Euler-Maruyama steps of length 1/N: not exact even for a constant x0",
    "repaint": "needs a mask and an image: not affine",
    "vq_diffusion": "samples are tokens",
    "score_sde_ve": "the corrector depends on norms: not affine",
}


def _unipc(p: int, **options: Any) -> Row:
    """UniPC-p of order p + 1, started on exact values that the corrector leaves alone."""
    plain = {"final_sigmas_type": "sigma_min", "lower_order_final": False, "disable_corrector": list(range(p))}
    return Row("unipc", {"solver_order": p, **plain, **options}, p + 1, exact_start=p)


def _singlestep(p: int, algorithm: str, solver_type: str = "midpoint", order: int | None = None) -> Row:
    options = {"solver_order": p, "algorithm_type": algorithm, "solver_type": solver_type}
    order = (1 if "sde" in algorithm else p) if order is None else order
    return Row("dpm_singlestep", {**options, "final_sigmas_type": "sigma_min"}, order)


#: So many timesteps that any number of steps finds evenly spaced ones.
_DISTILLED: dict[str, Any] = {"original_inference_steps": 1000}

#: One path instead of three stages, from where there is some signal.
_STRAIGHT: dict[str, Any] = {"stages": 1}

ZOO = [
    Row("ddim"),
    Row("ddim", {"eta": 0.5}),
    Row("ddim", {"eta": 1.0}),
    # Every step leads to where the next one starts.
    Row("ddim", {"corrected": True, "timestep_spacing": "linspace"}),
    Row("ddpm"),
    Row("ddpm", {"variance_type": "fixed_small_log"}),
    # The forward variance in place of the posterior's: larger than the marginal one at every step.
    Row("ddpm", {"variance_type": "fixed_large"}, keeps_variance=False),
    Row("euler"),
    # Churn as in diffusers, noise after the model has seen the sample: right for a constant x0.
    Row("euler", {"s_churn": 5.0, "prediction_type": "sample"}),
    # Churn as in the paper.
    Row("euler", {"s_churn": 5.0, "corrected": True}),
    Row("euler_ancestral"),
    Row("heun", order=2),
    # Only the corrected form uses the x0 of the first step.
    Row("ipndm", {"corrected": True}, order=2),
    Row("karras_ve", {"s_churn": 0.0, "corrected": True}, order=2),
    Row("karras_ve", {"s_churn": 20.0, "s_noise": 1.0, "corrected": True}, order=2),
    _dpm(1, solver_order=1),
    _dpm(2),
    _dpm(2, solver_type="heun"),
    # DPM++ 3M: D2 lacks a factor 2 in diffusers, so its third order is second.
    _dpm(2, solver_order=3),
    _dpm(2, exact_start=2, solver_order=3),
    _dpm(3, exact_start=2, solver_order=3, corrected=True),
    _dpm(1, "dpmsolver", solver_order=1),
    _dpm(2, "dpmsolver"),
    _dpm(2, "dpmsolver", solver_type="heun"),
    _dpm(2, "dpmsolver", solver_order=3),
    _dpm(3, "dpmsolver", exact_start=2, solver_order=3, corrected=True),
    _dpm(1, "sde-dpmsolver++", solver_order=1),
    _dpm(2, "sde-dpmsolver++"),
    _dpm(2, "sde-dpmsolver++", solver_type="heun"),
    # A sign in diffusers' third-order term makes it first order.
    _dpm(1, "sde-dpmsolver++", solver_order=3),
    _dpm(2, "sde-dpmsolver++", solver_order=3, corrected=True),
    # Integrates eps, which is not constant where x0 is: 1 + 2 (e^h - 1)^2 times the variance after one step.
    _dpm(1, "sde-dpmsolver", solver_order=1, keeps_variance=False),
    _dpm(2, "sde-dpmsolver", keeps_variance=False),
    _dpm(2, "sde-dpmsolver", solver_type="heun", keeps_variance=False),
    Row("deis", {"solver_order": 1}),
    Row("deis", order=2),
    Row("deis", {"solver_order": 3}, order=3, exact_start=2),
    _unipc(1),
    _unipc(1, solver_type="bh1"),
    _unipc(1, predict_x0=False),
    _unipc(2),
    _unipc(2, solver_type="bh1"),
    _unipc(2, predict_x0=False),
    _unipc(3),
    Row("unipc", {"disable_corrector": list(range(1000))}, order=2),
    *(_singlestep(p, a, s) for p in (1, 2, 3) for a in ("dpmsolver++", "dpmsolver") for s in ("midpoint", "heun")),
    _singlestep(1, "sde-dpmsolver++"),
    _singlestep(2, "sde-dpmsolver++"),
    _singlestep(3, "sde-dpmsolver++"),
    # The sign again: here it multiplies outputs at samples of independent noise, and refinement does not converge.
    _singlestep(3, "sde-dpmsolver++", "heun", order=0),
    Row("dpm_singlestep", {**_singlestep(3, "sde-dpmsolver++", "heun").options, "corrected": True}),
    Row("lms", {"order": 1}),
    Row("lms", {"order": 2}, order=2, exact_start=1),
    Row("lms", order=4, exact_start=3),
    Row("pndm", {"skip_prk_steps": True}, order=2),
    # T // N is even at 8 and 25 steps: elsewhere the half steps of diffusers' warm-up miss the model's timestep.
    Row("pndm", {"num_train_timesteps": 1200}, order=2, least=4),
    Row("kdpm2", order=2),
    Row("kdpm2_ancestral", order=2),
    Row("ddim_inverse", {"set_alpha_to_one": False}),
    Row("flow_match_euler"),
    Row("flow_match_euler", {"shift": 3.0}),
    Row("flow_match_euler", {"stochastic_sampling": True}, solves=False),
    Row("flow_match_euler", {"use_dynamic_shifting": True, "mu": 0.8, "invert_sigmas": True}),
    Row("flow_match_heun", order=2),
    _dpm(2, use_flow_sigmas=True, flow_shift=3.0),
    _dpm(2, "sde-dpmsolver++", use_flow_sigmas=True),
    Row("deis", {"use_flow_sigmas": True}, order=2),
    Row("unipc", {**_unipc(2).options, "use_flow_sigmas": True}, 3, exact_start=2),
    Row("flow_match_lcm", solves=False),
    Row("flow_map"),
    # Far from t = 0 the boundary scalings leave x0 alone.
    Row("lcm", {"timestep_scaling": 1e8}, solves=False),
    Row("tcd", _DISTILLED, solves=False),
    Row("tcd", {"eta": 0.0, **_DISTILLED}),
    Row("edm_euler"),
    Row("edm_dpm", order=2),
    Row("edm_dpm", {"algorithm_type": "sde-dpmsolver++"}, order=2),
    # x0 is that at sigma_min, so the noise put on it is smaller.
    Row("consistency", keeps_variance=False, solves=False),
    Row("dpmpp_2s_ancestral", order=2),
    Row("dpmpp_2s_ancestral", {"eta": 0.0}, order=2),
    Row("dpmpp_2m_sde", order=2),
    Row("dpmpp_2m_sde", {"eta": 0.5, "solver_type": "heun"}, order=2),
    # As DPM++ 3M in diffusers, the second difference lacks a factor of 2.
    Row("dpmpp_3m_sde", order=2),
    Row("dpmpp_3m_sde", {"eta": 0.0}, order=2, exact_start=2),
    Row("res_multistep", order=2),
    Row("res_multistep", {"eta": 1.0}, order=2),
    Row("exp_heun_2", order=2),
    Row("seeds_2", order=2),
    Row("seeds_2", {"eta": 0.5, "solver_type": "phi_2", "r": 0.7}, order=2),
    Row("seeds_3", order=2),
    Row("seeds_3", {"eta": 0.0}, order=3),
    Row("er_sde", order=2),
    Row("dpm_fast", order=2),
    Row("restart", order=2),
    Row("dpm_fast", {"eta": 1.0}, order=2),
    Row("er_sde", {"max_stage": 1}),
    Row("gradient_estimation"),
    Row("gradient_estimation", {"gamma": 1.5}, order=2),
    Row("heunpp2"),
    Row("ipndm_v", order=4, exact_start=3),
    Row("ipndm_v", {"order": 3}, order=3, exact_start=2),
    Row("dpm_multistep_inverse", {"solver_order": 1}),
    Row("dpm_sde", order=2),
    Row("sa_solver", order=2, exact_start=2),
    Row("sa_solver", {"tau": 0.0, "algorithm_type": "noise_prediction"}, 2, exact_start=2),
    Row("sa_solver", {"pece": True}, order=2, exact_start=2),
    Row("cosine_dpm", order=2),
    Row("scm", {"sigma_data": 1.0}, solves=False),
    Row("consistency_decoder", solves=False),
    Row("unclip", least=2),
    # Ends at abar = 0.9999, without the noise of its last step.
    Row("wuerstchen", keeps_variance=False),
    Row("cogvideox_ddim"),
    Row("cogvideox_dpm", order=2),
    Row("ltx_euler_ancestral"),
    Row("ltx_euler_ancestral", {"eta": 0.5}),
    Row("minimax_h3"),
    Row("helios", {**_STRAIGHT, "scheduler_type": "euler"}),
    # UniPC, whose own rows show its order on sigmas that refine evenly.
    Row("helios", _STRAIGHT, order=3, solves=False),
    Row("helios", {"stage_index": 1, "scheduler_type": "euler"}),
    # One grid of its own for every number of steps.
    Row("piflow"),
    # Puts back the noise that the run began with.
    Row("helios_dmd", {"stages": 1}, solves=False),
]
