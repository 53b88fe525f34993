"""A guidance scale per step, intervals and rescaling, against loops over diffusers' schedulers written out here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch
from diffusers.guiders.guider_utils import rescale_noise_cfg
from networks import TinyUNet, seeded
from pipelines import relative_error
from torch import Tensor, nn

from samplegraph.models import Sampler
from samplegraph.schedulers import OptionError, create

LABELS = torch.tensor([1, 3])
NULL = torch.tensor([4, 4])
SCALES = [7.5, 1.0, 3.0, 0.0, 1.0]
STEPS = len(SCALES)
Guide = Callable[[int, float], tuple[float, float]]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return seeded(TinyUNet())


def theirs(scheduler: Any, network: nn.Module, guide: Guide, points: list[int]) -> Tensor:
    """The plain loop; ``guide(point, ratio)`` gives scale and rescaling, and evaluation k is at ``points[k]``."""
    scheduler.set_timesteps(STEPS)
    x = torch.randn((2, 2, 8, 8), generator=torch.Generator().manual_seed(0)) * scheduler.init_noise_sigma
    for point, t in zip(points, scheduler.timesteps, strict=True):
        seen = scheduler.scale_model_input(x, t)
        abar = scheduler.alphas_cumprod[int(t)]
        scale, phi = guide(point, float(((1 - abar) / abar) ** 0.5))
        row = t.float().expand(2)
        cond, uncond = network(seen, row, LABELS), network(seen, row, NULL)
        output = uncond + scale * (cond - uncond)
        if phi:
            output = rescale_noise_cfg(output, cond, phi)
        x = scheduler.step(output, t, x).prev_sample
    return x


def ours(name: str, network: nn.Module, scale: Any, **guidance: Any) -> Tensor:
    sampler = Sampler(network, create(name, STEPS), scale, **guidance)
    given = {"guidance_scale": torch.tensor(5.0)} if scale == "input" else {}
    noise = torch.randn((2, 2, 8, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        sample: Tensor = sampler(noise, class_labels=LABELS, **given)
    return sample


#: Scheduler -> diffusers' class, and the grid point of each evaluation.
CASES: dict[str, tuple[Any, list[int]]] = {
    "ddim": (diffusers.DDIMScheduler, [0, 1, 2, 3, 4]),
    "euler": (diffusers.EulerDiscreteScheduler, [0, 1, 2, 3, 4]),
    "dpm_multistep": (diffusers.DPMSolverMultistepScheduler, [0, 1, 2, 3, 4]),
    "heun": (diffusers.HeunDiscreteScheduler, [0, 1, 1, 2, 2, 3, 3, 4, 4]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_scale_per_step(name: str, network: nn.Module) -> None:
    """Both evaluations of Heun's method at one point take the scale of the step that begins there."""
    made, points = CASES[name]
    expected = theirs(made(), network, lambda point, _: (SCALES[point], 0.0), points)
    assert relative_error(ours(name, network, SCALES), expected) <= 5e-6


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("scale", "phi"), [("input", 0.0), (5.0, 0.7)])
def test_an_interval_in_sigma(name: str, scale: Any, phi: float, network: nn.Module) -> None:
    made, points = CASES[name]
    expected = theirs(made(), network, lambda _, ratio: (5.0 if 0.3 <= ratio <= 5 else 1.0, phi), points)
    found = ours(name, network, scale, guidance_interval="sigma:0.3,5", guidance_rescale=phi)
    assert relative_error(found, expected) <= 5e-6


@pytest.mark.parametrize(
    ("interval", "guided"),
    [
        ("steps:0,1", "ggggg"),
        ("steps:0.2,0.6", ".gg.."),
        ("steps:0.3,1", ".gggg"),
        ("steps:0.45,0.55", "..g.."),
        ("steps:0.1,0.5", "gg..."),
    ],
)
def test_an_interval_in_steps(interval: str, guided: str, network: nn.Module) -> None:
    """A step counts by its middle."""
    sampler = Sampler(network, create("ddim", STEPS), guidance_interval=interval)
    found = [sampler.denoiser.scale_at(point) for point in range(STEPS)]
    assert found == ["input" if each == "g" else None for each in guided]


def test_one_branch_where_there_is_nothing_to_guide(network: nn.Module) -> None:
    sampler = Sampler(network, create("ddim", STEPS), SCALES)
    rows: list[int] = []
    with torch.no_grad():
        hook = network.register_forward_hook(lambda _m, given, _o: rows.append(len(given[0])))
        sampler(torch.randn(2, 2, 8, 8), class_labels=LABELS)
        hook.remove()
    assert rows == [4, 2, 4, 4, 2]


@pytest.mark.parametrize("phi", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ["ddim", "heun"])
def test_rescaling(name: str, phi: float, network: nn.Module) -> None:
    made, points = CASES[name]
    expected = theirs(made(), network, lambda *_: (5.0, phi), points)
    assert relative_error(ours(name, network, 5.0, guidance_rescale=phi), expected) <= 5e-6


@pytest.mark.parametrize(
    ("guidance", "error"),
    [
        ({"guidance_scale": [2.0, 3.0]}, "guidance_scale has 2 entries, and ddim 5 steps; give one for each"),
        ({"guidance_scale": [2.0, float("nan")]}, "guidance_scale=nan is not allowed"),
        ({"guidance_interval": "sigma:5,0.3"}, r"guidance_interval=sigma:5\.0,0\.3 is empty or out of range"),
        ({"guidance_interval": "steps:0.5,0.5"}, "is empty or out of range; give LO < HI, both from 0 to 1"),
        ({"guidance_interval": "steps:0.5,7"}, "both from 0 to 1"),
        ({"guidance_interval": "sigma:-1,7"}, "both from 0 to inf"),
        ({"guidance_interval": "sigma:nan,7"}, "is empty or out of range"),
        ({"guidance_interval": "time:0,1"}, "has the unit 'time'; give for example sigma:0.3,5"),
        ({"guidance_interval": "0.3,5"}, "'0.3,5' is not UNIT:LO,HI"),
        ({"guidance_interval": "sigma:0.3"}, "'sigma:0.3' is not UNIT:LO,HI"),
        ({"guidance_interval": "sigma:1e3,1e4"}, r"covers no guided evaluation: the 5 points lie at .* none"),
        ({"guidance_interval": "sigma:0,1", "guidance_scale": None}, "guidance_interval=sigma:0.0,1.0 needs guidance"),
        ({"guidance_rescale": 1.5}, "guidance_rescale=1.5 is not allowed; give a number from 0 to 1"),
        ({"guidance_rescale": 0.5, "guidance_scale": None}, "guidance_rescale=0.5 needs guidance"),
    ],
)
def test_what_is_refused(guidance: dict[str, Any], error: str, network: nn.Module) -> None:
    with pytest.raises(OptionError, match=error):
        Sampler(network, create("ddim", STEPS), **guidance)


@pytest.mark.parametrize("guidance", [{"guidance_scale": [2.0, 3.0]}, {"guidance_interval": "steps:0,1"}])
def test_a_model_without_conditions(guidance: dict[str, Any]) -> None:
    sampler = Sampler(nn.Identity(), create("ddim", 2), **guidance)
    with pytest.raises(OptionError, match="needs a condition to guide; this model has none"):
        sampler.condition_inputs([])


def test_a_list_of_ones_is_no_guidance(network: nn.Module) -> None:
    assert Sampler(network, create("ddim", STEPS), [1.0] * STEPS).guidance.scale is None
