"""The sampler in eager torch: what the network is told, what it may return, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from networks import CrossAttention, TinyUNet, seeded
from probe import Probe
from torch import Tensor, nn

from samplegraph.models import Condition, ModelSpec, Sampler
from samplegraph.schedulers import NoiseSchedule, OptionError, create

TIMED = ModelSpec(sample_shape=(2,))


@pytest.mark.parametrize("name", ["ddim", "euler", "heun", "dpm_multistep"])
def test_timesteps_are_one_entry_per_row_at_each_evaluation(name: str) -> None:
    probe = Probe(TIMED)
    sampler = Sampler(probe, create(name, 5))
    sampler(torch.randn(3, 2))
    points = [point for step in sampler.profile.evaluations for point in step]
    assert len(probe.calls) == sampler.profile.nfe == len(points)
    for call, point in zip(probe.calls, points, strict=True):
        assert call.timestep.dtype == torch.float32
        assert call.timestep.tolist() == pytest.approx([sampler.scheduler.grid.timesteps[point]] * 3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
@pytest.mark.parametrize("guided", [False, True])
def test_timesteps_have_the_declared_dtype(dtype: str, guided: bool) -> None:
    condition = (Condition("label", dtype="int64", null=0),) if guided else ()
    probe = Probe(ModelSpec(sample_shape=(2,), timestep_dtype=dtype, conditions=condition))  # type: ignore[arg-type]
    given = {"label": torch.ones(3, dtype=torch.int64)} if guided else {}
    Sampler(probe, create("euler", 4))(torch.randn(3, 2), **given)
    for call in probe.calls:
        assert call.timestep.dtype == getattr(torch, dtype)
        assert call.timestep.shape == (6 if guided else 3,)
        assert (call.timestep == call.timestep[0]).all()


def test_a_half_precision_network_in_a_float32_sampler() -> None:
    probe = Probe(TIMED, torch.float16)
    sample = Sampler(probe, create("ddim", 3, clip_sample=False))(torch.randn(4, 2))
    assert all(call.sample.dtype == torch.float16 for call in probe.calls)
    assert sample.dtype == torch.float32
    seen = Sampler(probe, create("ddim", 3)).denoiser.bind({}, [])(torch.randn(4, 2), 0)
    assert (seen.x0.dtype, seen.eps.dtype) == (torch.float32, torch.float32)
    # the state was never rounded to half precision
    assert not torch.equal(sample, sample.half().float())
    full = Sampler(Probe(TIMED), create("ddim", 3, clip_sample=False))(torch.randn(4, 2))
    assert full.dtype == torch.float32


def test_a_float64_state_stays_float64() -> None:
    sample = Sampler(Probe(TIMED), create("ddim", 3))(torch.randn(4, 2, dtype=torch.float64))
    assert sample.dtype == torch.float64


def test_inputs_are_scaled_as_the_grid_says() -> None:
    probe = Probe(TIMED)
    sampler = Sampler(probe, create("euler", 3))
    noise = torch.randn(4, 2)
    sampler(noise)
    grid = sampler.scheduler.grid
    first = noise * grid.init_noise_sigma / np.sqrt(grid.sigma[0] ** 2 + 1)
    assert torch.allclose(probe.calls[0].sample, first, rtol=1e-5)


# what a network returns


class Returns(nn.Module):
    """Passes its answer on in some wrapping."""

    spec = TIMED

    def __init__(self, wrap: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, sample: Tensor, timestep: Tensor) -> object:
        return self.wrap(0.5 * sample)


@pytest.mark.parametrize("wrap", [lambda x: (x, 1), lambda x: [x], lambda x: SimpleNamespace(sample=x)])
def test_answers_in_a_tuple_or_a_field(wrap: Callable[[Tensor], object]) -> None:
    noise = torch.randn(2, 2)
    found = Sampler(Returns(wrap), create("ddim", 2))(noise)
    assert torch.equal(found, Sampler(Returns(lambda x: x), create("ddim", 2))(noise))


@pytest.mark.parametrize(
    "wrap", [lambda x: None, lambda x: "x", lambda x: (), lambda x: {"sample": x}, lambda x: ("x",)]
)
def test_answers_that_hold_no_tensor(wrap: Callable[[Tensor], object]) -> None:
    with pytest.raises(OptionError, match="it has to return a tensor shaped like sample"):
        Sampler(Returns(wrap), create("ddim", 2))(torch.randn(2, 2))


# prediction types


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_the_models_own_prediction_type_is_the_default(kind: str) -> None:
    x, grid = torch.randn(3, 2), create("ddim", 4).grid
    spec = ModelSpec(sample_shape=(2,), prediction_type=kind)
    found = Sampler(Probe(spec), create("ddim", 4, clip_sample=False)).denoiser.bind({}, [])(x, 1)
    asked = Sampler(Probe(TIMED), create("ddim", 4, clip_sample=False, prediction_type=kind)).denoiser.bind({}, [])(
        x, 1
    )
    assert torch.equal(found.x0, asked.x0)
    alpha, sigma, output = float(grid.alpha[1]), float(grid.sigma[1]), 0.5 * x
    x0 = {
        "epsilon": (x - sigma * output) / alpha,
        "sample": output,
        "v_prediction": alpha * x - sigma * output,
    }[kind]
    assert torch.allclose(found.x0, x0, atol=1e-5)
    assert torch.allclose(found.eps, (x - alpha * x0) / sigma, atol=1e-5)


@pytest.mark.parametrize(
    ("own", "asked"), [("epsilon", "v_prediction"), ("v_prediction", "epsilon"), ("sample", "epsilon")]
)
def test_a_contradiction(own: str, asked: str) -> None:
    with pytest.raises(OptionError, match=f"prediction_type='{asked}' of the scheduler contradicts .* '{own}'"):
        Sampler(Probe(ModelSpec(prediction_type=own)), create("ddim", 2, prediction_type=asked))
    Sampler(Probe(ModelSpec(prediction_type=own)), create("ddim", 2, prediction_type=own))


# keeping x0 in range


def test_clipping() -> None:
    sampler = Sampler(Probe(TIMED), create("ddim", 4, clip_sample=True, clip_sample_range=0.7))
    free = Sampler(Probe(TIMED), create("ddim", 4, clip_sample=False))
    x = 5 * torch.randn(8, 2)
    clipped, whole = (s.denoiser.bind({}, [])(x, 2) for s in (sampler, free))
    assert torch.equal(clipped.x0, whole.x0.clamp(-0.7, 0.7))
    assert whole.x0.abs().max() > 0.7
    assert torch.equal(clipped.eps, whole.eps)


def test_dynamic_thresholding_against_its_formula() -> None:
    """Per sample: the ratio-quantile s of |x0|, at least 1 and at most the maximum; clamp to +-s, divide by s."""
    options = {"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 3.0}
    spec = ModelSpec(sample_shape=(2, 5, 5))
    x = torch.randn(6, 2, 5, 5) * torch.tensor([0.1, 0.5, 1, 2, 4, 40])[:, None, None, None]
    found = Sampler(Probe(spec), create("ddim", 4, **options)).denoiser.bind({}, [])(x, 2).x0
    free = Sampler(Probe(spec), create("ddim", 4, clip_sample=False)).denoiser.bind({}, [])(x, 2).x0
    limits = []
    for row, whole in zip(found.detach(), free.detach().numpy(), strict=True):
        s = min(max(float(np.quantile(np.abs(whole), 0.8)), 1.0), 3.0)
        limits.append(s)
        assert np.allclose(row.numpy(), np.clip(whole, -s, s) / s, atol=1e-5)
    assert limits[0] == 1.0
    assert limits[-1] == 3.0
    assert any(1 < s < 3 for s in limits)


# noise of the steps


@pytest.mark.parametrize("slices", [None, 2, 4])
def test_the_number_of_slices(slices: int | None) -> None:
    sampler = Sampler(Probe(TIMED), create("ddim", 3, eta=1.0))
    assert sampler.profile.noise_slices == 3
    step_noise = None if slices is None else torch.randn(slices, 2, 2)
    with pytest.raises(OptionError, match="step_noise has to hold 3 slices for ddim"):
        sampler(torch.randn(2, 2), step_noise)


def test_noise_for_a_scheduler_that_draws_none() -> None:
    with pytest.raises(OptionError, match="step_noise has to hold 0 slices"):
        Sampler(Probe(TIMED), create("ddim", 3))(torch.randn(2, 2), torch.randn(3, 2, 2))


def test_slices_are_taken_in_order() -> None:
    """The last step's noise, and it alone, reaches the sample without passing through the network."""
    options = {"clip_sample": False, "set_alpha_to_one": False, "timestep_spacing": "trailing"}
    sampler = Sampler(Probe(TIMED), create("ddim", 3, eta=1.0, **options))
    noise, slices = torch.randn(1, 2), torch.randn(3, 1, 2)
    base = sampler(noise, slices)
    moved = []
    for k in range(3):
        changed = slices.clone()
        changed[k] += 1
        moved.append(float((sampler(noise, changed) - base).abs().max()))
    alpha, sigma, alpha_next, sigma_next = sampler.scheduler.pair(2)
    std = sigma_next / sigma * np.sqrt(1 - (alpha / alpha_next) ** 2)
    assert std > 0.005
    assert moved[2] == pytest.approx(std, rel=1e-3)
    assert moved[0] != pytest.approx(std, rel=1e-2)


# conditions


LABELLED = ModelSpec(sample_shape=(2,), conditions=(Condition("class_labels", dtype="int64", null=9),))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "'class_labels' is missing; the model takes class_labels"),
        ({"class_label": 1}, "'class_label' is not known .* did you mean 'class_labels'?"),
        ({"class_labels": 1, "tokens": 1}, "'tokens' is not known to the model, which takes class_labels"),
        ({"class_labels": 1, "negative_class_labels": 1}, "'negative_class_labels' is not used"),
    ],
)
def test_conditions(given: dict[str, int], words: str) -> None:
    values = {name: torch.ones(2, dtype=torch.int64) for name in given}
    with pytest.raises(OptionError, match=words):
        Sampler(Probe(LABELLED), create("ddim", 2))(torch.randn(2, 2), **values)


def test_a_model_that_declares_nothing_is_read_off_its_signature() -> None:
    sampler = Sampler(seeded(CrossAttention()), create("ddim", 2), None)
    tokens = torch.randn(2, 7, 6)
    assert sampler(torch.randn(2, 4, 4, 4), encoder_hidden_states=tokens).shape == (2, 4, 4, 4)
    with pytest.raises(OptionError, match="'encoder_hidden_states' is missing"):
        sampler(torch.randn(2, 4, 4, 4))
    with pytest.raises(OptionError, match=r"'encoder_hidden_state' is not known.*mean 'encoder_hidden_states'"):
        sampler(torch.randn(2, 4, 4, 4), encoder_hidden_state=tokens)


def test_a_rewired_sampler_computes_the_same() -> None:
    model, given = seeded(TinyUNet()), {"class_labels": torch.tensor([1, 2])}
    sampler = Sampler(model, create("dpm_multistep", 4))
    noise = torch.randn(2, 2, 8, 8)
    assert torch.equal(sampler.rewired(model)(noise, **given), sampler(noise, **given))
    assert not torch.equal(sampler.rewired(seeded(TinyUNet(), 1))(noise, **given), sampler(noise, **given))
    sampler = Sampler(model, create("dpm_multistep", 4), strength=0.5, inpaint=True)
    given |= {"init_sample": torch.randn(2, 2, 8, 8), "mask": torch.rand(2, 1, 8, 8)}
    assert torch.equal(sampler.rewired(model)(noise, **given), sampler(noise, **given))


# a model trained with another noise schedule


def ratio(schedule: NoiseSchedule, timestep: float) -> float:
    """Noise-to-signal ratio at a timestep, between two of them by their logarithms."""
    abar = schedule.alphas_cumprod(torch.float64).numpy()
    return float(np.exp(np.interp(timestep, np.arange(len(abar)), 0.5 * np.log((1 - abar) / abar))))


@pytest.mark.parametrize("name", ["ddim", "euler", "heun", "dpm_multistep"])
def test_timesteps_are_those_of_equal_noise_in_the_models_own_schedule(name: str) -> None:
    own = NoiseSchedule(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    probe = Probe(ModelSpec(sample_shape=(2,), noise_schedule=own))
    sampler = Sampler(probe, create(name, 6))
    assert sampler.scheduler.grid.schedule != own
    sampler(torch.randn(2, 2))
    grid, points = sampler.scheduler.grid, [p for step in sampler.profile.evaluations for p in step]
    limits = ratio(own, 0), ratio(own, 999)
    for call, point in zip(probe.calls, points, strict=True):
        wanted = np.clip(grid.sigma[point] / grid.alpha[point], *limits)
        assert ratio(own, float(call.timestep[0])) == pytest.approx(wanted, rel=1e-3)


def test_an_integer_model_is_told_the_nearest_timestep() -> None:
    own = NoiseSchedule(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    exact, whole = (Probe(ModelSpec(noise_schedule=own, timestep_dtype=t)) for t in ("float32", "int64"))  # type: ignore[arg-type]
    for probe in (exact, whole):
        Sampler(probe, create("euler", 6))(torch.randn(2, 2))
    told = [[float(call.timestep[0]) for call in probe.calls] for probe in (exact, whole)]
    assert told[1] == [round(t) for t in told[0]]
    assert told[0] != told[1]


def test_the_models_own_schedule_is_taken_as_it_is() -> None:
    own = NoiseSchedule(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    probe = Probe(ModelSpec(sample_shape=(2,), noise_schedule=own))
    options = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    sampler = Sampler(probe, create("ddim", 5, **options))
    sampler(torch.randn(1, 2))
    assert [float(c.timestep[0]) for c in probe.calls] == [float(t) for t in sampler.scheduler.grid.timesteps[:5]]
