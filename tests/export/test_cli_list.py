"""``samplegraph list``: every scheduler with what its code does, and one in full."""

from __future__ import annotations

import json
from typing import Any

import pytest

from samplegraph.export.cli import main
from samplegraph.export.cli.list_facts import facts_of
from samplegraph.export.cli.list_options import SHARED, options_of, written
from samplegraph.schedulers import create, names, option_defaults, scheduler_class

#: What the code was seen to do by hand: order, NFE, noise, state, affine.
KNOWN: dict[str, tuple[int, str, str, int, bool]] = {
    "ddim": (1, "N", "0", 0, True),
    "ddpm": (1, "N", "N - 1", 0, True),
    "heun": (2, "2N - 1", "0", 0, True),
    "pndm": (2, "N + 9", "0", 3, True),
    "lms": (4, "N", "0", 3, True),
    "kdpm2_ancestral": (2, "2N - 1", "N - 1", 0, True),
    "score_sde_ve": (1, "2N", "2N", 0, False),
    "repaint": (1, "205 at N = 25", "7405 at N = 25", 2, False),
}
K_DIFFUSION = {
    "euler": "sample_euler",
    "euler_ancestral": "sample_euler_ancestral",
    "heun": "sample_heun",
    "karras_ve": "sample_heun",
    "kdpm2": "sample_dpm_2",
    "kdpm2_ancestral": "sample_dpm_2_ancestral",
    "lms": "sample_lms",
    "dpm_multistep": "sample_dpmpp_2m",
}


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["list", *arguments], program="samplegraph") == 0
    return capsys.readouterr().out


def test_the_table_has_a_row_for_every_scheduler(capsys: pytest.CaptureFixture[str]) -> None:
    header, rule, *rows, caption = listed(capsys).splitlines()
    assert header.split()[0] == "scheduler"
    assert set(rule) == {"─"}
    by_name = {row.split()[0]: row.split() for row in rows}
    assert tuple(by_name) == names()
    assert by_name["heun"] == [
        *("heun", "2", "2N", "-", "1", "0", "0", "yes", "2206.00364", "HeunDiscreteScheduler", "sample_heun")
    ]
    assert {"205*", "7405*", "no"} <= set(by_name["repaint"])
    assert "* at N = 25" in caption


@pytest.mark.parametrize("name", KNOWN)
def test_facts_are_those_of_the_code(name: str) -> None:
    facts = facts_of(name)
    assert (facts.order, facts.nfe, facts.noise, facts.state, facts.affine) == KNOWN[name]


def test_k_diffusion_is_named_where_the_method_is_the_same() -> None:
    found = {name: scheduler_class(name).k_diffusion for name in names()}
    assert {name: function for name, function in found.items() if name in K_DIFFUSION} == K_DIFFUSION
    assert found["ddim"] is found["unipc"] is None


def test_json_holds_what_the_table_says(capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, Any] = json.loads(listed(capsys, "--json"))
    assert tuple(found) == names()
    for name, facts in found.items():
        assert set(facts["options"]) == set(option_defaults(name))
        assert facts["compatibles"]
    assert found["dpm_multistep"]["options"]["algorithm_type"]["allowed"][0] == "dpmsolver++"
    assert found["dpm_multistep"]["options"]["lambda_min_clipped"]["default"] == "-inf"
    assert json.loads(listed(capsys, "heun", "--json")) == found["heun"]


@pytest.mark.parametrize("name", names())
def test_one_in_full_shows_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = listed(capsys, name)
    assert facts_of(name).summary.split()[0] in text.split("\n")[0]
    shown = [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]
    assert set(option_defaults(name)) <= set(shown)


def test_choices_are_those_that_the_scheduler_takes() -> None:
    by_name = {option.name: option for option in options_of("ddpm")}
    assert by_name["variance_type"].own
    assert not by_name["beta_schedule"].own
    assert by_name["clip_sample"].allowed == "true or false"
    assert by_name["clip_sample_range"].allowed == "number of at least 0"
    for option in options_of("ddpm"):
        for choice in option.choices:
            create("ddpm", 5, **{option.name: choice})


def test_meanings_come_from_the_docstring_or_the_shared_table() -> None:
    by_name = {option.name: option for option in options_of("karras_ve")}
    assert by_name["s_min"].meaning == by_name["s_churn"].meaning
    assert by_name["s_min"].meaning.endswith("deviation of its noise")
    assert by_name["sigma_min"].meaning == SHARED["sigma_min"]
    used = {key for name in names() for key in option_defaults(name)}
    assert set(SHARED) <= used


def test_defaults_are_written_as_the_command_line_reads_them() -> None:
    assert [written(v) for v in (None, True, (), (1.5, 2), 0.5, "linear")] == [
        *("none", "true", "[]", "[1.5, 2]", "0.5", "linear")
    ]


def test_an_unknown_name_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "dpm_multstep"], program="samplegraph") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "did you mean 'dpm_multistep'?" in err
    assert err.count("\n") == 1


def test_a_name_of_other_programs_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--scheduler dpm_multistep --set respacing=karras" in listed(capsys, "--find", "dpm++ 2m karras")
    (best, *_) = json.loads(listed(capsys, "--find", "Euler a", "--json"))
    assert best["scheduler"] == "euler_ancestral"


@pytest.mark.parametrize(("arguments", "said"), [(["--find", "zzz"], "zzz"), (["ddim", "--find", "lcm"], "--find")])
def test_what_cannot_be_found_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["list", *arguments], program="samplegraph") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
