"""Names that people type, and what they mean here."""

from __future__ import annotations

import diffusers
import pytest

from samplegraph.schedulers import OptionError, create, find, names
from samplegraph.schedulers.catalogue.find import _joined
from samplegraph.schedulers.catalogue.refused import REFUSED
from samplegraph.schedulers.catalogue.registry import scheduler_class
from samplegraph.schedulers.catalogue.vocabulary import GRID_NAMES, IDENTIFIERS, SPOKEN

MEANT = {
    "dpm++ 2m karras": ("dpm_multistep", {"respacing": "karras"}),
    "DPM++ 2M SDE Exponential": ("dpmpp_2m_sde", {"respacing": "exponential"}),
    "dpmpp_3m_sde": ("dpmpp_3m_sde", {}),
    "Euler a": ("euler_ancestral", {}),
    "k_euler_a": ("euler_ancestral", {}),
    "dpm2 a Karras": ("kdpm2_ancestral", {"respacing": "karras"}),
    "euler SGM Uniform": ("euler", {"respacing": "sgm_uniform"}),
    "PLMS": ("pndm", {"skip_prk_steps": True}),
    "EulerDiscreteScheduler": ("euler", {}),
    "FlowMatchEulerDiscreteScheduler": ("flow_match_euler", {}),
    "sample_dpm_2": ("kdpm2", {}),
    "res multistep ancestral": ("res_multistep", {"eta": 1.0}),
    "heun align your steps": ("heun", {"respacing": "ays_sd1"}),
    "euler ays sdxl": ("euler", {"respacing": "ays_sdxl"}),
    "dpmpp 2m karas": ("dpm_multistep", {}),
}


@pytest.mark.parametrize("words", MEANT)
def test_the_first_that_is_found_is_what_is_meant(words: str) -> None:
    best = find(words)[0]
    assert (best.scheduler, dict(best.options)) == MEANT[words]


@pytest.mark.parametrize("named", [*IDENTIFIERS, *SPOKEN], ids=lambda named: f"{named.program}-{named.name}")
def test_every_name_is_found_and_can_be_made(named: object) -> None:
    assert isinstance(named, type(SPOKEN[0]))
    assert (named.scheduler, dict(named.options)) in [(f.scheduler, dict(f.options)) for f in find(named.name)]
    assert create(named.scheduler, 8, **named.options).name == named.scheduler


@pytest.mark.parametrize("named", IDENTIFIERS, ids=lambda named: named.name)
def test_identifiers_are_taken_by_create(named: object) -> None:
    assert isinstance(named, type(SPOKEN[0]))
    made = create(named.name, 8)
    assert made.name == named.scheduler
    assert {key: made.config[key] for key in named.options} == dict(named.options)


#: Every name in ComfyUI's ``KSAMPLER_NAMES`` and ``SAMPLER_NAMES`` (comfy/samplers.py), in its order.
COMFY = (
    "euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 exp_heun_2_x0 exp_heun_2_x0_sde dpm_2 "
    "dpm_2_ancestral lms dpm_fast dpm_adaptive dpmpp_2s_ancestral dpmpp_2s_ancestral_cfg_pp dpmpp_sde dpmpp_sde_gpu "
    "dpmpp_2m dpmpp_2m_cfg_pp dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu dpmpp_3m_sde "
    "dpmpp_3m_sde_gpu ddpm lcm ipndm ipndm_v deis res_multistep res_multistep_cfg_pp res_multistep_ancestral "
    "res_multistep_ancestral_cfg_pp gradient_estimation gradient_estimation_cfg_pp er_sde seeds_2 seeds_3 sa_solver "
    "sa_solver_pece ddim uni_pc uni_pc_bh2"
).split()
#: Every label and alias in A1111's lists of samplers (modules/sd_samplers_kdiffusion.py and ..._timesteps.py).
WEBUI = (
    "DPM++ 2M,DPM++ SDE,DPM++ 2M SDE,DPM++ 2M SDE Heun,DPM++ 2S a,DPM++ 3M SDE,Euler a,Euler,LMS,Heun,DPM2,DPM2 a,"
    "DPM fast,DPM adaptive,Restart,DDIM,DDIM CFG++,PLMS,UniPC,LCM,k_dpmpp_2m,k_dpmpp_sde,k_dpmpp_2m_sde,k_dpmpp_2s_a,"
    "k_dpmpp_3m_sde,k_euler_a,k_euler_ancestral,k_euler,k_lms,k_heun,k_dpm_2,k_dpm_2_a,k_dpm_fast,k_lms_ka,"
    "k_dpm_2_ka,k_dpm_2_a_ka,k_dpmpp_2s_a_ka,k_dpmpp_2m_ka,k_dpmpp_sde_ka,k_dpmpp_2m_sde_ka"
).split(",")
#: The names of their grids, but A1111's "DDIM", which is a sampler's too.
GRIDS = (
    "simple sgm_uniform karras exponential ddim_uniform beta normal linear_quadratic kl_optimal Uniform "
    "Polyexponential Align_Your_Steps"
).split()
#: Of these, what cannot be a graph.
NONE_HERE = ("dpm_adaptive", "DPM adaptive")


@pytest.mark.parametrize("name", [*COMFY, *WEBUI])
def test_every_sampler_of_comfyui_and_a1111_is_found_or_refused_with_the_reason(name: str) -> None:
    if name in NONE_HERE:
        with pytest.raises(OptionError, match="is not among the schedulers: it"):
            find(name)
        return
    best = find(name)[0]
    assert create(best.scheduler, 8, **best.options).name == best.scheduler
    assert _joined(name) == _joined(best.named.split(" (")[0]) or name.endswith("_ka")


@pytest.mark.parametrize("name", [name for name in COMFY if name not in NONE_HERE])
def test_create_takes_every_sampler_of_comfyui(name: str) -> None:
    best = find(name)[0]
    assert create(name, 8).name == best.scheduler


@pytest.mark.parametrize("grid", GRIDS)
def test_every_grid_of_theirs_goes_with_dpmpp_2m(grid: str) -> None:
    best = find(f"dpmpp_2m {grid}")[0]
    assert create(best.scheduler, 8, **best.options).name == "dpm_multistep"
    assert best.options


EXPORTED = [name for name in dir(diffusers) if name.endswith("Scheduler")]


@pytest.mark.parametrize("name", EXPORTED)
def test_every_scheduler_class_of_diffusers_is_created_or_refused_with_the_reason(name: str) -> None:
    if name in [refused for refused, _ in REFUSED.values()]:
        for ask in (lambda: create(name, 4), lambda: find(name)):
            with pytest.raises(OptionError, match="is not among the schedulers: it"):
                ask()
        return
    options = {"num_vec_classes": 9} if name == "VQDiffusionScheduler" else {}
    assert create(name, 4, **options).name == find(name)[0].scheduler


def test_options_replace_those_that_a_name_stands_for() -> None:
    assert create("res_multistep_ancestral", 4, eta=0.5).config["eta"] == 0.5


def test_the_functions_that_schedulers_name_are_known() -> None:
    functions = {named.name for named in IDENTIFIERS} | set(names())
    assert {scheduler_class(name).k_diffusion for name in names()} - {None} <= functions


@pytest.mark.parametrize("grid", GRID_NAMES)
def test_every_grid_goes_with_euler(grid: str) -> None:
    best = find(f"Euler {grid.title()}")[0]
    assert create(best.scheduler, 8, **best.options).name == "euler"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("DPM adaptive", "depend on the sample"),
        ("align your steps", "is a grid"),
        ("LCM sgm uniform", "with that grid"),
        ("zzz", "no scheduler is called so"),
    ],
)
def test_what_there_is_not_is_said(words: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        find(words)
