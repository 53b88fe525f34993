"""Conditions that say themselves whether guidance's branches differ in them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from networks import TinyUNet, seeded

from samplegraph.models import Condition, ModelSpec, Sampler
from samplegraph.schedulers import OptionError, create

NAMES = ["text", "size"]


def sampler(text: bool, size: bool, guided: list[str] | None = None, scale: float | str = "input") -> Sampler:
    conditions = (Condition("text", guided=text), Condition("size", guided=size))
    spec: ModelSpec = replace(TinyUNet.spec, conditions=conditions)
    return Sampler(seeded(TinyUNet()), create("ddim", 2), scale, spec=spec, guided=guided)


@pytest.mark.parametrize(
    ("text", "size", "guided", "negatives"),
    [
        (True, True, None, ["negative_text", "negative_size", "guidance_scale"]),
        (True, False, None, ["negative_text", "guidance_scale"]),
        (False, False, None, []),
        (False, False, ["text"], ["negative_text", "guidance_scale"]),
        (True, True, ["size"], ["negative_size", "guidance_scale"]),
    ],
)
def test_what_is_guided(text: bool, size: bool, guided: list[str] | None, negatives: list[str]) -> None:
    assert sampler(text, size, guided).condition_inputs(NAMES) == NAMES + negatives


def test_a_scale_where_nothing_is_guided() -> None:
    with pytest.raises(OptionError, match=r"guidance_scale=2\.0 needs a condition to guide"):
        sampler(False, False, scale=2.0).guided(NAMES)
