"""Reading and writing diffusers' scheduler_config.json."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from configurations import PUBLISHED, drawn

from samplegraph.schedulers import (
    OptionError,
    create,
    find,
    from_config,
    names,
    option_defaults,
    save_config,
    scheduler_class,
)
from samplegraph.schedulers.catalogue.refused import REFUSED
from samplegraph.schedulers.catalogue.respacing_flags import RESPACING_FLAGS

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = {scheduler_class(name).diffusers_class: name for name in names()}
#: Classes with one timestep per step, whose options are spelled as diffusers'; test_config_every.py has all.
PLAIN = ["DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"]
PLAIN += ["HeunDiscreteScheduler", "DPMSolverMultistepScheduler", "DEISMultistepScheduler", "LMSDiscreteScheduler"]
EULER = {"_class_name": "EulerDiscreteScheduler"}


@pytest.mark.parametrize("class_name", PLAIN)
def test_defaults_are_those_of_the_diffusers_class(class_name: str) -> None:
    ours = option_defaults(NAMES[class_name])
    parameters = inspect.signature(getattr(diffusers, class_name).__init__).parameters
    theirs = {k: p.default for k, p in parameters.items() if k in ours and k != "prediction_type"}
    assert {k: ours[k] for k in theirs} == theirs
    assert parameters["prediction_type"].default == "epsilon"
    assert ours["prediction_type"] is None


@pytest.mark.parametrize("class_name", PLAIN)
def test_what_diffusers_saves_is_read(class_name: str, tmp_path: Path) -> None:
    getattr(diffusers, class_name)().save_pretrained(tmp_path)
    by_folder, by_file = from_config(tmp_path, 5), from_config(tmp_path / "scheduler_config.json", 5)
    content = json.loads((tmp_path / "scheduler_config.json").read_text())
    by_content = from_config(content, 5)
    assert by_folder.config == by_file.config == by_content.config
    assert by_content.config == create(NAMES[class_name], 5, prediction_type="epsilon").config


@pytest.mark.parametrize("class_name", PLAIN)
def test_what_we_save_loads_in_diffusers_to_the_same_grid(class_name: str, tmp_path: Path) -> None:
    path, compared = tmp_path / "scheduler_config.json", 0
    for c in list(drawn(class_name))[::7]:
        try:
            ours = from_config({"_class_name": class_name, **c.config}, c.steps, **c.custom, **c.arguments)
        except OptionError:
            continue
        save_config(ours, path)
        again = from_config(path, c.steps)
        assert again.config == ours.config
        assert np.array_equal(again.grid.sigma, ours.grid.sigma)
        theirs = getattr(diffusers, class_name).from_pretrained(tmp_path)
        theirs.set_timesteps(c.steps, **c.custom) if c.steps else theirs.set_timesteps(**c.custom)
        timesteps = theirs.timesteps.double().numpy()
        if class_name == "HeunDiscreteScheduler":
            timesteps = np.append(timesteps[::2], timesteps[-1:])[: ours.steps]
        assert np.array_equal(ours.grid.timesteps, timesteps)
        compared += 1
    assert compared >= 5


def test_step_arguments_are_saved_where_diffusers_ignores_them(tmp_path: Path) -> None:
    path = tmp_path / "scheduler_config.json"
    save_config(create("ddim", 5, eta=0.5), path)
    content = json.loads(path.read_text())
    assert content["eta"] == 0.5
    assert "use_clipped_model_output" not in content
    assert "exact_tables" not in content
    assert from_config(path, 5).config["eta"] == 0.5
    diffusers.DDIMScheduler.from_pretrained(tmp_path).set_timesteps(5)


def test_a_respacing_is_spelled_as_diffusers_does(tmp_path: Path) -> None:
    path = tmp_path / "scheduler_config.json"
    save_config(create("dpm_multistep", 5, respacing="lu"), path)
    content = json.loads(path.read_text())
    assert {k: content[k] for k in RESPACING_FLAGS} == {k: k == "use_lu_lambdas" for k in RESPACING_FLAGS}
    assert "respacing" not in content


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("euler", {"respacing": "lu"}, ["EulerDiscreteScheduler", "respacing='lu'", "karras"]),
        ("euler_ancestral", {"respacing": "karras"}, ["EulerAncestralDiscreteScheduler", "respacing"]),
        ("ddim", {"beta_schedule": "sigmoid"}, ["DDIMScheduler", "beta_schedule='sigmoid'"]),
        ("heun", {"rescale_betas_zero_snr": True}, ["HeunDiscreteScheduler", "rescale_betas_zero_snr"]),
        ("dpm_fast", {}, ["dpm_fast has no class in diffusers", "create()"]),
    ],
)
def test_what_diffusers_cannot_say_is_not_saved(
    name: str, options: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(OptionError) as error:
        save_config(create(name, 5, **options), tmp_path / "c.json")
    assert all(word in str(error.value) for word in words)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_names_the_path_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "no" / "such" / "folder" / "c.json"
    with pytest.raises(OptionError, match="cannot be written") as error:
        save_config(create("ddim", 5), target)
    assert str(target) in str(error.value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_of_other_classes_pass_where_they_ask_for_nothing(name: str) -> None:
    config, counts = PUBLISHED[name]
    scheduler = from_config(config, counts[0])
    assert scheduler.name == NAMES[str(config["_class_name"])]


@pytest.mark.parametrize("name", ["DDIM", "DDPM"])
def test_a_parallel_twin_is_the_same_scheduler(name: str) -> None:
    twin = from_config({"_class_name": f"{name}ParallelScheduler", "beta_end": 0.01}, 5)
    assert twin.config == from_config({"_class_name": f"{name}Scheduler", "beta_end": 0.01}, 5).config


def test_what_cannot_be_unrolled_is_refused_with_the_reason() -> None:
    for name, (class_name, reason) in REFUSED.items():
        asks = [lambda name=name: create(name, 5), lambda name=name: find(name.replace("_", " "))]
        if class_name is not None:
            assert hasattr(diffusers, class_name)
            asks += [lambda c=class_name: from_config({"_class_name": c}, 5), lambda c=class_name: find(c)]
        for ask in asks:
            with pytest.raises(OptionError) as error:
                ask()
            assert reason in str(error.value)


def test_the_end_counts_as_a_step_in_one_class() -> None:
    assert from_config({"_class_name": "MiniMaxH3Scheduler"}, 5).steps == 4
    with pytest.raises(OptionError, match="steps=1"):
        from_config({"_class_name": "MiniMaxH3Scheduler"}, 1)


def test_a_decoder_of_two_steps() -> None:
    with pytest.raises(OptionError, match=r"steps=3 .* takes 2 only"):
        from_config({"_class_name": "ConsistencyDecoderScheduler"}, 3)


def test_metadata_and_inert_keys_change_nothing() -> None:
    inert = {"_diffusers_version": "0.1", "_anything": 3, "thresholding": False, "solver_order": None, "mu": None}
    assert from_config({**EULER, **inert}, 5).config == from_config(EULER, 5).config


def test_every_wrong_key_is_named_with_the_nearest_known() -> None:
    wrong = {"beta_strat": 0.1, "use_flow_sigmas": True, "nonsense": 1, "thresholding": True}
    with pytest.raises(OptionError) as error:
        from_config({**EULER, **wrong}, 5)
    text = str(error.value)
    assert all(word in text for word in (*wrong, "beta_start", "EulerDiscreteScheduler"))
    assert "\n" not in text


@pytest.mark.parametrize(
    ("alias", "meant"),
    [
        ({"algorithm_type": "deis"}, {"algorithm_type": "dpmsolver++"}),
        ({"solver_type": "bh1"}, {"solver_type": "midpoint"}),
        ({"solver_type": "logrho"}, {"solver_type": "midpoint"}),
    ],
)
def test_values_that_diffusers_reads_as_others(alias: dict[str, str], meant: dict[str, str]) -> None:
    config = {"_class_name": "DPMSolverMultistepScheduler", "solver_type": "heun", **alias}
    assert meant.items() <= from_config(config, 5).config.items()


def test_options_replace_keys_and_sigmas_replace_the_respacing() -> None:
    config = {**EULER, "use_karras_sigmas": True, "beta_end": 0.01}
    assert from_config(config, 5, beta_end=0.02).config["beta_end"] == 0.02
    scheduler = from_config(config, sigmas=[10.0, 1.0, 0.0])
    assert scheduler.steps == 2
    assert scheduler.config["respacing"] is None


def test_a_missing_prediction_type_is_the_models_own_but_for_where_diffusers_tells_them_apart() -> None:
    assert from_config(EULER, 5).config["prediction_type"] is None
    assert from_config(EULER, 5, s_churn=1.0).config["prediction_type"] == "epsilon"
    continuous = from_config({**EULER, "timestep_type": "continuous"}, 5)
    assert np.array_equal(continuous.grid.timesteps, from_config(EULER, 5).grid.timesteps)


BAD_FILES = {
    "missing.json": (None, "cannot be read"),
    "truncated.json": ('{"_class_name": "DDIMSch', "is not JSON"),
    "empty.json": ("", "is not JSON"),
    "binary.json": (b"\xff\xfe\x00\x81", "is not JSON"),
    "list.json": ("[1, 2]", "not an object"),
    "nameless.json": ('{"beta_start": 0.1}', "no _class_name"),
    "foreign.json": ('{"_class_name": "UNet2DModel"}', "'UNet2DModel' is not supported"),
    "near.json": ('{"_class_name": "DDIMSchedular"}', "did you mean 'DDIMScheduler'"),
    "number.json": ('{"_class_name": 3}', "_class_name=3 is not supported"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_line_that_names_it(name: str, tmp_path: Path) -> None:
    content, words = BAD_FILES[name]
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content)
    with pytest.raises(OptionError) as error:
        from_config(path, 5)
    text = str(error.value)
    assert words in text
    assert str(path) in text
    assert "\n" not in text


def test_a_folder_without_a_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"scheduler_config\.json"):
        from_config(tmp_path, 5)
