"""The built-in digits model: what it declares, that it is whole, and that it draws good digits."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from samplegraph.models.digits import WEIGHTS, DigitsUNet, data, digits
from samplegraph.models.digits import evaluate as quality
from samplegraph.models.digits.targets import Source, in_range_target
from samplegraph.models.digits.unet import NOISE_SCHEDULE, NULL_CLASS, signal_and_noise
from samplegraph.models.sampler import Sampler
from samplegraph.schedulers import create


@pytest.fixture(scope="module")
def model() -> DigitsUNet:
    return digits()


@pytest.fixture(scope="module")
def real() -> tuple[torch.Tensor, torch.Tensor]:
    return data.load()


def test_spec_declares_what_the_compiler_needs(model: DigitsUNet) -> None:
    spec = model.spec
    (condition,) = spec.conditions
    assert (spec.name, spec.sample_shape, spec.prediction_type) == ("digits", (1, 16, 16), "epsilon")
    assert spec.timestep_dtype == "float32"
    assert (condition.name, condition.shape, condition.dtype) == ("class_labels", (), "int64")
    assert (condition.null, condition.minimum, condition.maximum) == (NULL_CLASS, 0, 10)


def test_noise_schedule_is_diffusers_default(model: DigitsUNet) -> None:
    diffusers = pytest.importorskip("diffusers")
    assert model.spec.noise_schedule == NOISE_SCHEDULE
    assert torch.equal(NOISE_SCHEDULE.alphas_cumprod(), diffusers.DDPMScheduler().alphas_cumprod)


def test_model_is_ready_for_inference(model: DigitsUNet) -> None:
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_weights_are_finite_small_and_all_trained(model: DigitsUNet) -> None:
    assert WEIGHTS.stat().st_size < 5_000_000
    assert 900_000 <= sum(parameter.numel() for parameter in model.parameters()) <= 1_200_000
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), name
        assert parameter.abs().max() > 0, f"{name} is still at its zero initialisation"


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_each_row_is_treated_alone(model: DigitsUNet, rows: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, 1, 16, 16, generator=generator)
    t = torch.rand(rows, generator=generator) * 999
    labels = torch.randint(0, NULL_CLASS + 1, (rows,), generator=generator)
    together = model(x, t, labels)
    alone = torch.cat([model(x[i : i + 1], t[i : i + 1], labels[i : i + 1]) for i in range(rows)])
    assert together.shape == x.shape
    assert together.dtype == torch.float32
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_time_and_class_matter(model: DigitsUNet) -> None:
    x = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    one, t = torch.tensor([1]), torch.tensor([500.0])
    assert not torch.allclose(model(x, t, one), model(x, t, torch.tensor([NULL_CLASS])), atol=1e-3)
    assert not torch.allclose(model(x, t, one), model(x, t + 200, one), atol=1e-3)
    near = model(x, t + 0.5, one) - model(x, t, one)
    assert 0 < near.abs().max() < 0.1, "the model should be smooth in t, for samplers with fractional timesteps"


def test_signal_and_noise_follow_the_schedule() -> None:
    alpha, sigma = signal_and_noise(torch.arange(1000.0))
    abar = NOISE_SCHEDULE.alphas_cumprod().view(-1, 1, 1, 1)
    torch.testing.assert_close(alpha, abar.sqrt(), rtol=1e-4, atol=0)
    torch.testing.assert_close(sigma, (1 - abar).sqrt(), rtol=1e-3, atol=0)


def test_predicts_the_noise(model: DigitsUNet) -> None:
    batch = Source(seed=0).draw(256)
    with torch.no_grad():
        error = model(batch.x, batch.t, batch.labels) - batch.eps
    assert error.square().mean() < 0.08


def test_guidance_stays_in_range(model: DigitsUNet) -> None:
    """Samplers that clip x0 and keep eps need it; an ordinary model overshoots by 0.16 to 0.2 (root mean square)."""
    batch = Source(seed=0).draw(256)
    with torch.no_grad():
        u = model(batch.x, batch.t, torch.full_like(batch.labels, NULL_CLASS))
        c = model(batch.x, batch.t, batch.labels)
    for eps, limit in ((in_range_target(model, batch), 0.03), (c, 0.06)):
        x0 = (batch.x - batch.sigma * (u + 2 * (eps - u))) / batch.alpha
        assert (x0.abs() - 1).clamp(min=0).square().mean().sqrt() < limit


def test_enlarging_is_undone_by_block_means(real: tuple[torch.Tensor, torch.Tensor]) -> None:
    images = data.enlarge(real[0])
    assert images.shape == (1797, 1, 16, 16)
    assert images.abs().max() <= 1
    torch.testing.assert_close(data.reduce(images), real[0], rtol=0, atol=1e-5)


def test_augmentation_keeps_digits_readable(real: tuple[torch.Tensor, torch.Tensor]) -> None:
    moved = data.augment(data.enlarge(real[0]), torch.Generator().manual_seed(0))
    verdict = quality.judge(moved, real[1])
    assert moved.abs().max() <= 1
    assert verdict.accuracy > 0.95
    assert min(verdict.diversity) > 0.85
    assert verdict.distance > 0.02


@pytest.mark.parametrize(
    ("sampler", "seed"),
    [
        ("ddim-25", 0),
        ("dpm_multistep-10", 1),
        pytest.param("ddim-25", 2, marks=pytest.mark.slow),
        pytest.param("ddim-25-noclip", 3, marks=pytest.mark.slow),
        pytest.param("ddpm-50", 4, marks=pytest.mark.slow),
    ],
)
def test_samples_meet_the_quality_bar(model: DigitsUNet, sampler: str, seed: int) -> None:
    pytest.importorskip("diffusers")
    labels = quality.hundred_labels()
    verdict = quality.judge(quality.sample(model, labels, sampler, seed), labels)
    assert verdict.passes, verdict


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("ddim", 0),
        pytest.param("euler", 1, marks=pytest.mark.slow),
        pytest.param("dpm_multistep", 2, marks=pytest.mark.slow),
    ],
)
def test_our_own_samplers_meet_the_quality_bar(model: DigitsUNet, name: str, seed: int) -> None:
    labels = quality.hundred_labels()
    noise = torch.randn(100, 1, 16, 16, generator=torch.Generator().manual_seed(100 + seed))
    with torch.no_grad():
        drawn = Sampler(model, create(name, steps=25), guidance_scale=2.0)(noise, class_labels=labels)
    verdict = quality.judge(drawn, labels)
    assert verdict.passes, verdict


def test_the_judge_can_say_no(real: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = data.enlarge(real[0])[:500], real[1][:500]
    copies = quality.judge(images, labels)
    assert copies.distance < 1e-3
    assert not copies.passes
    averages = torch.stack([images[labels == digit].mean(dim=0) for digit in range(10)])
    alike = quality.judge(averages.repeat_interleave(10, dim=0), quality.hundred_labels())
    assert max(alike.diversity) < 1e-6
    assert not alike.passes
    wrong = quality.judge(images + 0.1, (labels + 1) % 10)
    assert wrong.accuracy < 0.1
    good = quality.Quality(0.95, (0.6,) * 10, 0.02)
    assert good.passes
    assert not replace(good, accuracy=0.94).passes
    assert not replace(good, distance=math.nan).passes


def test_importing_the_model_does_not_import_scikit_learn() -> None:
    code = "import sys, samplegraph.models.digits; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
