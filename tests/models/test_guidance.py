"""Classifier-free guidance in eager torch: which rows the network sees, and what is made of its two answers."""

from __future__ import annotations

import pytest
import torch
from probe import Probe
from torch import Tensor

from samplegraph.models import Condition, ModelSpec, Sampler
from samplegraph.schedulers import OptionError, create

LABELS = Condition("class_labels", dtype="int64", null=9, minimum=0, maximum=9)
TOKENS = Condition("tokens", (3,))
SIZE = Condition("size", (2,))
SPEC = ModelSpec(name="probe", sample_shape=(2,), conditions=(LABELS, TOKENS, SIZE), guidance_scale=4.0)


def inputs(rows: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "class_labels": torch.arange(1, rows + 1),
        "tokens": torch.randn((rows, 3), generator=generator),
        "size": torch.randn((rows, 2), generator=generator),
    }


def negatives(rows: int = 2) -> dict[str, Tensor]:
    return {"negative_tokens": torch.full((rows, 3), -1.0), "negative_size": torch.full((rows, 2), -2.0)}


def answer(x: Tensor, conditions: dict[str, Tensor]) -> Tensor:
    """What ``Probe`` computes for one branch."""
    return 0.5 * x + 0.1 * sum(v.reshape(len(x), -1).float().sum(1) for v in conditions.values())[:, None]


@pytest.fixture
def probe() -> Probe:
    return Probe(SPEC)


def test_rows_are_unconditional_then_conditional(probe: Probe) -> None:
    Sampler(probe, create("ddim", 1))(torch.randn(2, 2), **inputs(), **negatives())
    (call,) = probe.calls
    assert call.sample.shape == (4, 2)
    assert torch.equal(call.sample[:2], call.sample[2:])
    assert call.conditions["class_labels"].tolist() == [9, 9, 1, 2]
    for name in ("tokens", "size"):
        assert torch.equal(call.conditions[name], torch.cat([negatives()[f"negative_{name}"], inputs()[name]]))
    assert call.conditions.keys() == inputs().keys()


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0, 7.5, -1.0])
@pytest.mark.parametrize("baked", [False, True])
def test_the_formula(probe: Probe, scale: float, baked: bool) -> None:
    """``uncond + scale * (cond - uncond)``; the prediction is read after it."""
    sampler = Sampler(probe, create("ddim", 4, clip_sample=False), scale if baked else "input")
    given = inputs() | negatives() | ({} if baked else {"guidance_scale": torch.tensor(scale)})
    guided = sampler.guidance.names(list(inputs()))
    x = torch.randn(2, 2)
    found = sampler.denoiser.bind(given, guided)(x, 1)
    null = {"class_labels": torch.full((2,), 9), "tokens": given["negative_tokens"], "size": given["negative_size"]}
    uncond, cond = answer(x, null), answer(x, inputs())
    eps = uncond + scale * (cond - uncond)
    assert torch.allclose(found.eps, eps, atol=1e-6)
    alpha, sigma = (float(table[1]) for table in (sampler.scheduler.grid.alpha, sampler.scheduler.grid.sigma))
    assert torch.allclose(found.x0, (x - sigma * eps) / alpha, atol=1e-5)


def test_forms_agree_and_the_models_scale_is_the_default(probe: Probe) -> None:
    noise, given = torch.randn(2, 2), inputs() | negatives()
    default = Sampler(probe, create("ddim", 3))(noise, **given)
    asked = Sampler(probe, create("ddim", 3))(noise, **given, guidance_scale=torch.tensor(4.0))
    baked = Sampler(probe, create("ddim", 3), 4.0)(noise, **given)
    assert torch.equal(default, asked)
    assert torch.allclose(default, baked, atol=1e-6)
    assert not torch.allclose(default, Sampler(probe, create("ddim", 3), 2)(noise, **given), atol=1e-3)


@pytest.mark.parametrize("scale", [None, 1, 1.0])
def test_without_guidance_there_is_no_second_branch(probe: Probe, scale: float | None) -> None:
    sampler = Sampler(probe, create("ddim", 2), scale)
    assert sampler.condition_inputs(inputs()) == list(inputs())
    sampler(torch.randn(2, 2), **inputs())
    assert [len(call.sample) for call in probe.calls] == [2, 2]
    with pytest.raises(OptionError, match="'negative_tokens' is not used"):
        sampler(torch.randn(2, 2), **inputs(), **negatives())
    with pytest.raises(OptionError, match="'guidance_scale' is not used"):
        sampler(torch.randn(2, 2), **inputs(), guidance_scale=torch.tensor(2.0))


def test_a_guided_subset(probe: Probe) -> None:
    """The other conditions are the same in both branches and have no negative."""
    sampler = Sampler(probe, create("ddim", 1), guided=["class_labels"])
    assert sampler.condition_inputs(inputs()) == [*inputs(), "guidance_scale"]
    sampler(torch.randn(2, 2), **inputs())
    (call,) = probe.calls
    assert call.conditions["class_labels"].tolist() == [9, 9, 1, 2]
    for name in ("tokens", "size"):
        assert torch.equal(call.conditions[name], torch.cat([inputs()[name]] * 2))


def test_inputs_in_order(probe: Probe) -> None:
    sampler = Sampler(probe, create("ddim", 1))
    assert sampler.condition_inputs(inputs()) == [*inputs(), "negative_tokens", "negative_size", "guidance_scale"]
    assert Sampler(probe, create("ddim", 1), 3.0).condition_inputs(inputs()) == [*inputs(), *negatives()]


def test_a_model_without_conditions() -> None:
    probe = Probe(ModelSpec(sample_shape=(2,)))
    sampler = Sampler(probe, create("ddim", 1))
    assert sampler.condition_inputs([]) == []
    sampler(torch.randn(3, 2))
    assert len(probe.calls[0].sample) == 3
    with pytest.raises(OptionError, match=r"guidance_scale=2\.0 needs a condition to guide"):
        Sampler(probe, create("ddim", 1), 2.0)(torch.randn(3, 2))


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), "2", True, [None], ["2"]])
def test_scales_that_are_none(probe: Probe, scale: object) -> None:
    with pytest.raises(OptionError, match=r"guidance_scale=.*give a finite number, 'input' or None"):
        Sampler(probe, create("ddim", 1), scale)  # type: ignore[arg-type]


def test_a_guided_condition_that_is_not_there(probe: Probe) -> None:
    sampler = Sampler(probe, create("ddim", 1), guided=["labels"])
    with pytest.raises(OptionError, match=r"guided=.*labels.* are not conditions"):
        sampler(torch.randn(2, 2), **inputs(), **negatives())
