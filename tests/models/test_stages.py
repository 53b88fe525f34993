"""Modules in front of and behind the sampler, in eager torch: what they are given, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from networks import Unconditional, seeded
from probe import Probe
from stage_modules import (
    decoder,
    head,
    normaliser,
    observation_encoder,
    text_denoiser,
    text_encoder,
    un_normaliser,
)
from torch import Tensor, nn

from samplegraph.models import BackSpec, Condition, Front, FrontSpec, ModelSpec, Sampler
from samplegraph.schedulers import OptionError, create

NOISE = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
IDS = torch.tensor([[1, 2, 3, 4, 5, 6, 7], [9, 8, 7, 6, 5, 4, 20]])
OTHER = torch.tensor([[0, 0, 3, 0, 0, 6, 0], [2, 2, 2, 2, 2, 2, 2]])


@pytest.fixture
def plain() -> Sampler:
    return Sampler(text_denoiser(), create("euler", 4))


@pytest.mark.parametrize("scale", ["input", 4.0, None])
def test_it_is_the_sampler_between_the_two_modules(scale: float | str | None) -> None:
    encode, decode, model = text_encoder(), decoder(), text_denoiser()
    whole = Sampler(model, create("euler", 4), scale, pre=[encode], post=decode)
    between = Sampler(model, create("euler", 4), scale)
    hidden, pooled = encode(IDS)
    conditions = {"encoder_hidden_states": hidden, "text_embeds": pooled}
    given = {"input_ids": IDS}
    if scale is not None:
        hidden, pooled = encode(OTHER)
        conditions |= {"negative_encoder_hidden_states": hidden, "negative_text_embeds": pooled}
        given["negative_input_ids"] = OTHER
    expected = decode(between(NOISE, **conditions))
    found = whole(NOISE, **given)
    assert found.shape == (2, 3, 8, 8)
    assert torch.allclose(found, expected, atol=1e-6)
    if scale is not None:
        swapped = whole(NOISE, input_ids=OTHER, negative_input_ids=IDS)
        assert not torch.allclose(found, swapped, atol=1e-3)


def test_steps_are_those_of_the_sample(plain: Sampler) -> None:
    whole = Sampler(plain.model, plain.scheduler, 1.0, pre=[text_encoder()], post=decoder())
    steps = list(whole.samples(NOISE, input_ids=IDS))
    assert [tuple(each.shape) for each in steps] == [tuple(NOISE.shape)] * 4
    assert torch.equal(whole.decoded(steps[-1]), whole(NOISE, input_ids=IDS))


def test_fronts_follow_one_another_and_leave_other_conditions_alone() -> None:
    normalise, encode = normaliser(), observation_encoder()
    whole = Sampler(head(), create("ddim", 3), pre=[normalise, encode], post=un_normaliser())
    obs, other, goal = torch.randn(2, 5, 3), torch.randn(2, 5, 3), torch.randn(2, 2)
    noise = torch.randn(2, 4, 2)
    found = whole(noise, obs=obs, negative_obs=other, goal=goal)
    conditions = {"global_cond": encode(normalise(obs)), "negative_global_cond": encode(normalise(other))}
    between = Sampler(head(), create("ddim", 3))(noise, goal=goal, **conditions)
    assert torch.allclose(found, un_normaliser()(between), atol=1e-6)


class Spy(nn.Module):
    """``a`` and ``b`` -> ``label``: their sum; notes what it is given."""

    def __init__(self, b: Condition, gives: tuple[str, ...] = ("label",)) -> None:
        super().__init__()
        self.spec = FrontSpec((Condition("a", (2,)), b), gives)
        self.calls: list[dict[str, Tensor]] = []

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        self.calls.append({"a": a.clone(), "b": b.clone()})
        return dict.fromkeys(self.spec.gives or (), a + b)


LABELLED = ModelSpec(sample_shape=(2,), conditions=(Condition("label", (2,)),))


@pytest.mark.parametrize(
    ("b", "expected"),
    [
        (Condition("b", (2,), null=-1.0), [[-1.0, -1.0], [4.0, 5.0]]),
        (Condition("b", (2,), guided=False), [[4.0, 5.0], [4.0, 5.0]]),
    ],
    ids=["null", "shared"],
)
def test_a_front_sees_both_branches_at_once(b: Condition, expected: list[list[float]]) -> None:
    spy = Spy(b)
    sampler = Sampler(Probe(LABELLED), create("euler", 5), pre=[spy])
    values = {"a": [[1.0, 2.0]], "negative_a": [[8.0, 9.0]], "b": [[4.0, 5.0]]}
    sampler(torch.randn(1, 2), **{name: torch.tensor(rows) for name, rows in values.items()})
    assert len(spy.calls) == 1
    assert spy.calls[0]["a"].tolist() == [[8.0, 9.0], [1.0, 2.0]]
    assert spy.calls[0]["b"].tolist() == expected


def test_a_front_of_one_branch_is_called_on_that_alone() -> None:
    """Where the model itself has a null value for the condition, the front need not know of the other branch."""
    spec = ModelSpec(sample_shape=(2,), conditions=(Condition("label", (2,), null=0.0),))
    spy = Spy(Condition("b", (2,)))
    sampler = Sampler(Probe(spec), create("euler", 5), pre=[spy])
    sampler(torch.randn(3, 2), a=torch.ones(3, 2), b=torch.ones(3, 2))
    assert [call["a"].shape[0] for call in spy.calls] == [3]


def test_a_front_can_give_the_sample_to_start_from() -> None:
    class Encode(nn.Module):
        spec = FrontSpec((Condition("image", (4,)),), ("init_sample",))

        def forward(self, image: Tensor) -> Tensor:
            return image[:, ::2] * 0.1

    spec = ModelSpec(sample_shape=(2,))
    sampler = Sampler(Probe(spec), create("euler", 6), strength=0.5, pre=[Encode()])
    noise, image = torch.randn(3, 2), torch.randn(3, 4)
    plain = Sampler(Probe(spec), create("euler", 6), strength=0.5)
    assert torch.equal(sampler(noise, image=image), plain(noise, init_sample=image[:, ::2] * 0.1))


def test_half_precision_inside() -> None:
    encode, decode = text_encoder().half(), decoder().half()
    sampler = Sampler(text_denoiser(), create("euler", 2), None, pre=[encode], post=decode)
    found = sampler(NOISE, input_ids=IDS)
    assert found.dtype == torch.float32
    full = Sampler(text_denoiser(), create("euler", 2), None, pre=[text_encoder()], post=decoder())
    assert torch.allclose(found, full(NOISE, input_ids=IDS), atol=2e-2)


# what is refused


class Returning(nn.Module):
    """Passes ``act`` of its input on."""

    def __init__(self, act: Callable[[Tensor], object], spec: FrontSpec | BackSpec | None = None) -> None:
        super().__init__()
        self.act = act
        if spec is not None:
            self.spec = spec

    def forward(self, a: Tensor) -> object:
        return self.act(a)


def made(*pre: nn.Module, post: nn.Module | None = None, conditions: tuple[str, ...] = ("label",)) -> Sampler:
    spec = ModelSpec(sample_shape=(2,), conditions=tuple(Condition(name, (2,)) for name in conditions))
    return Sampler(Probe(spec), create("euler", 2), None, pre=pre, post=post)


def declaring(*gives: str, inputs: tuple[str, ...] = ("a",)) -> Returning:
    return Returning(lambda a: a, FrontSpec(tuple(Condition(name, (2,)) for name in inputs), gives))


class Double(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("std", torch.ones(2, dtype=torch.float64))

    def forward(self, a: Tensor) -> Tensor:
        return a


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: made(declaring("labels")), "gives 'labels', which the model does not take; it takes label; did you "),
        (lambda: Sampler(Unconditional(), create("euler", 2), pre=[declaring("x")]), "take; it takes no conditions"),
        (lambda: Sampler(Probe(), create("euler", 2), pre=[Returning(str)]), "since the model takes any condition"),
        (lambda: made(declaring("label"), declaring("label")), "gives 'label', which an earlier pre module takes or"),
        (lambda: made(Returning(lambda a: a), conditions=("x", "y")), "which condition it gives is not known, since "),
        (lambda: made(declaring("x"), conditions=("x", "a")), "'a' is an input of a pre module and of the model"),
        (lambda: made(declaring("label", inputs=("b",))), "declares the input 'b', and its forward takes a"),
        (lambda: made(Double()), "pre=Double holds std in float64; call .float() on the module"),
        (lambda: made(post=Double()), "post=Double holds std in float64; call .float() on the module"),
        (lambda: FrontSpec(gives=()), "gives=[] of a FrontSpec is empty"),
        (lambda: BackSpec(name="an image"), "name='an image' of a BackSpec"),
        (lambda: BackSpec(minimum=1.0), "give both in order, or neither"),
    ],
)
def test_refused_at_construction(make: Callable[[], object], message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)) as found:
        make()
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda a: a.double(), "pre=Returning returns label in float64; return one of float32, "),
        (lambda a: a[:1], "pre=Returning returns label of shape (1, 2) for 3 rows; it has to keep the batch axis"),
        (lambda a: a.tolist(), "returns 3 tensors, and is to give label"),
        (lambda a: {"lable": a}, "returns lable, and is to give label"),
        (lambda a: "text", "returns label as str; return a torch.Tensor"),
    ],
)
def test_results_that_are_refused(act: Callable[[Tensor], object], message: str) -> None:
    sampler = made(Returning(act, FrontSpec(gives=("label",))))
    with pytest.raises(OptionError, match=re.escape(message)):
        sampler(torch.randn(3, 2), a=torch.ones(3, 2))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda a: a.double(), "post=Returning returns sample in float64"),
        (lambda a: a.sum(), "post=Returning returns sample of shape () for 3 rows; it has to keep the batch axis"),
        (lambda a: {"action": a}, "returns action, and the output is called 'sample'; return that alone"),
    ],
)
def test_outputs_that_are_refused(act: Callable[[Tensor], object], message: str) -> None:
    sampler = made(post=Returning(act), conditions=())
    with pytest.raises(OptionError, match=re.escape(message)):
        sampler(torch.randn(3, 2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "condition 'a' is missing; what stands in front takes a"),
        ({"a": 1, "label": 1}, "condition 'label' is not used by this sampler; in its place it takes a"),
        ({"a": 1, "negative_a": 1}, "condition 'negative_a' is not used by this sampler; in its place it takes a"),
        ({"a": 1, "other": 1}, "condition 'other' is not known to the model, which takes label"),
    ],
)
def test_wrong_inputs(given: dict[str, int], message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        made(declaring("label"))(torch.randn(3, 2), **{name: torch.ones(3, 2) for name in given})


def test_guidance_needs_an_input_that_differs() -> None:
    front = Front(declaring("label"), FrontSpec((Condition("a", (2,), guided=False),), ("label",)))
    sampler = Sampler(Probe(LABELLED), create("euler", 2), pre=[front])
    with pytest.raises(OptionError, match="gives 'label', which differs between guidance's branches"):
        sampler(torch.randn(3, 2), a=torch.ones(3, 2))


def test_a_sampler_without_conditions_has_a_back() -> None:
    sampler = Sampler(seeded(Unconditional()), create("euler", 2), post=un_normaliser_of_signals())
    plain = Sampler(seeded(Unconditional()), create("euler", 2))
    noise = torch.randn(2, 3, 16)
    assert torch.equal(sampler(noise), plain(noise) * 5)


def un_normaliser_of_signals() -> nn.Module:
    class Louder(nn.Module):
        def forward(self, sample: Tensor) -> dict[str, Tensor]:
            return {"sample": sample * 5}

    return Louder()
