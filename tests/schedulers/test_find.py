"""Names that people type, and what they mean here."""

from __future__ import annotations

import pytest

from samplegraph.schedulers import OptionError, create, find, names
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
