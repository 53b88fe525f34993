"""Schedulers that are more than combinations, or evaluate between grid points: compiled, against eager."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from samplegraph.export import ExportError, compile, compiler
from samplegraph.export.denoiser.capture import Captures
from samplegraph.models import Sampler
from samplegraph.models.demo import demo_model
from samplegraph.runtime import Engine, InputError
from samplegraph.schedulers import create

CAPTURES = Captures()


@pytest.fixture(autouse=True)
def _nothing_is_traced_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(sampler: Sampler, *_: object) -> None:
        raise AssertionError(f"{sampler.scheduler.name} is traced")

    monkeypatch.setattr(compiler, "trace_sampler", refuse)


# karras_ve in 2 or 3 steps is ill-conditioned: the slope at sigma_next divides the rounding of x by sigma_next, up to
# 25 million times smaller than sigma, and a graph that folds coefficients rounds otherwise than eager does.
CASES: list[tuple[str, int, dict[str, Any], float | str | None, int | str]] = [
    ("score_sde_vp", 3, {}, "input", 1),
    ("score_sde_vp", 2, {"noise_removal": False, "sampling_eps": 0.05}, None, 2),
    ("score_sde_vp", 4, {"beta_max": 10.0}, 2.0, 1),
    ("karras_ve", 8, {}, "input", 1),
    ("karras_ve", 8, {"corrected": True, "sigma_max": 80.0}, None, 2),
    ("karras_ve", 3, {"sigmas": [50.0, 5.0, 0.5, 0.0], "s_churn": 0.0}, 2.0, "dynamic"),
    ("score_sde_ve", 2, {"sigma_max": 50.0}, "input", 1),
    ("score_sde_ve", 2, {"sigma_max": 50.0, "per_sample": True, "correct_steps": 2}, None, 3),
    ("score_sde_ve", 3, {"correct_steps": 0, "snr": 0.3}, 2.0, "dynamic"),
    ("repaint", 3, {"jump_length": 1, "jump_n_sample": 2, "single_draw": True}, "input", 1),
    ("repaint", 4, {"jump_length": 2, "jump_n_sample": 2, "eta": 1.0, "num_train_timesteps": 100}, None, 2),
    ("repaint", 2, {"eta": 0.5}, 2.0, "dynamic"),
    ("vq_diffusion", 3, {}, "input", 2),
    ("vq_diffusion", 8, {"truncation_rate": 0.9}, None, 1),
    ("vq_diffusion", 25, {"truncation_rate": None}, 2.0, "dynamic"),
    ("vq_diffusion", 1, {}, "input", 1),
]

# The same at 8 steps without ``corrected``: 1.7e-5 measured, on a machine whose convolutions round otherwise.
ILL_CONDITIONED = {("karras_ve", 8, False): 1e-4}


@cache
def model(name: str) -> nn.Module:
    return demo_model(name)


@pytest.mark.parametrize(("name", "steps", "options", "scale", "batch"), CASES, ids=str)
def test_the_graph_gives_what_eager_gives(
    name: str, steps: int, options: dict[str, Any], scale: float | str | None, batch: int | str, tmp_path: Path
) -> None:
    sampler = Sampler(model(name), create(name, steps, **options), scale)
    program = compile(sampler, batch=batch, captures=CAPTURES)
    assert program.verify(tolerance=ILL_CONDITIONED.get((name, steps, bool(options)), 1e-5)).error is not None


class Doubled(nn.Module):
    """The demo model, with a variance as further channels."""

    def __init__(self) -> None:
        super().__init__()
        self.network = model("ddpm")
        self.spec = replace(self.network.spec, learned_variance=True)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, class_labels: torch.Tensor) -> torch.Tensor:
        mean = self.network(sample, timestep, class_labels)
        return torch.cat([mean, torch.sigmoid(mean)], dim=1)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ddpm", {"variance_type": "learned"}),
        ("ddpm", {"variance_type": "learned_range"}),
        ("ddim", {}),
    ],
)
@pytest.mark.parametrize("scale", ["input", None])
def test_a_learned_variance_compiles(name: str, options: dict[str, Any], scale: str | None) -> None:
    program = compile(Sampler(Doubled(), create(name, 3, **options), scale), batch=2)
    assert program.verify().error <= 1e-5


def test_a_variance_that_the_network_lacks_is_refused_without_a_run() -> None:
    """Also where the network was captured for a sampler that asks for none."""
    captures = Captures()
    assert "nodes" in repr(compile(Sampler(model("ddpm"), create("ddpm", 2), None), captures=captures))
    with pytest.raises(ExportError, match=r"has to return a tensor of shape .*, the prediction and its variance"):
        compile(Sampler(model("ddpm"), create("ddpm", 2, variance_type="learned"), None), captures=captures)


def test_a_mask_and_an_image_reach_the_graph_through_the_engine(tmp_path: Path) -> None:
    """And the engine refuses wrong ones."""
    sampler = Sampler(model("repaint"), create("repaint", 2), None)
    path = compile(sampler, captures=CAPTURES).save(tmp_path / "r.onnx")
    engine = Engine(path)
    noise, steps = torch.randn(2, 1, 16, 16), torch.randn(2, 2, 1, 16, 16)
    image, mask = torch.rand(2, 1, 16, 16) * 2 - 1, torch.rand(2, 1, 16, 16).round()
    labels = torch.tensor([3, 4])
    expected = sampler(noise, steps, class_labels=labels, image=image, mask=mask).detach()
    given = {"class_labels": [3, 4], "image": image.numpy(), "mask": mask.numpy()}
    found = torch.from_numpy(engine(noise=noise.numpy(), step_noise=steps.numpy(), **given))
    assert torch.allclose(found, expected, atol=1e-5)
    for name, value, message in [
        ("mask", mask.numpy() * 2, "mask=2.0 .*out of range; allowed 0..1"),
        ("mask", mask.numpy()[:, :, :4], "mask has shape"),
        ("image", None, "image is missing"),
        ("image", image.numpy() * float("inf"), "image=.*is not finite"),
    ]:
        with pytest.raises(InputError, match=message):
            engine(seed=0, **{**given, name: value})


def test_tokens_run_from_a_seed(tmp_path: Path) -> None:
    """The engine draws torch.rand's numbers: what diffusers' generator gives for a batch of 1."""
    sampler = Sampler(model("vq_diffusion"), create("vq_diffusion", 8), None)
    engine = Engine(compile(sampler, captures=CAPTURES).save(tmp_path / "t.onnx"))
    generator = torch.Generator().manual_seed(5)
    draws = torch.stack([torch.rand(1, 9, 64, generator=generator) for _ in range(8)])
    expected = sampler(draws[0], draws[1:], class_labels=torch.tensor([4]))
    found = engine(seed=[7, 5], class_labels=[4, 4])
    assert found.dtype == "int64"
    assert (found[1:] == expected.numpy()).all()
    with pytest.raises(InputError, match="out of range"):
        engine(noise=draws[0].numpy() - 2, step_noise=draws[1:].numpy(), class_labels=[4])
    with pytest.raises(InputError, match="rng='philox'"):
        engine(seed=0, rng="philox", class_labels=[4])
