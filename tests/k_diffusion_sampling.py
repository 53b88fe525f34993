"""k-diffusion's ``sampling.py``, loaded by itself: its package imports training code that needs many packages more.
And a run of ours over the same model and draws."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from samplegraph.schedulers import Prediction, Scheduler

SHAPE = (2, 3, 4)


def _append_dims(x: torch.Tensor, rank: int) -> torch.Tensor:
    return x[(...,) + (None,) * (rank - x.ndim)]


@cache
def sampling() -> Any:
    """The module. Of ``k_diffusion.utils`` its samplers use ``append_dims`` alone; ``torchdiffeq`` and ``torchsde``
    serve functions that are not compared.
    """
    found = importlib.util.find_spec("k_diffusion")
    assert found is not None, 'k-diffusion is missing; run "make test", which installs it'
    (folder,) = found.submodule_search_locations or ()
    package, tools = ModuleType("k_diffusion"), ModuleType("k_diffusion.utils")
    tools.append_dims = _append_dims  # type: ignore[attr-defined]
    package.utils, package.__path__ = tools, [folder]  # type: ignore[attr-defined]
    ode = ModuleType("torchdiffeq")
    ode.odeint = None  # type: ignore[attr-defined]
    stand_ins = {"k_diffusion": package, "k_diffusion.utils": tools, "torchdiffeq": ode}
    stand_ins["torchsde"] = ModuleType("torchsde")
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        spec = importlib.util.spec_from_file_location("k_diffusion.sampling", Path(folder) / "sampling.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        for name, old in before.items():
            if old is None:
                del sys.modules[name]
            else:
                sys.modules[name] = old


def model(x: torch.Tensor, sigma: torch.Tensor, **_: Any) -> torch.Tensor:
    """A smooth clean sample for any (B, ...) and sigmas (B,)."""
    level = torch.log1p(sigma).reshape(-1, *[1] * (x.ndim - 1))
    return torch.tanh(x / (1 + level)) + 0.3 * torch.sin(level + x)


def ours(scheduler: Scheduler, x: torch.Tensor, draws: Callable[[], torch.Tensor]) -> torch.Tensor:
    """A run over the same model in float64."""
    grid = scheduler.grid

    def denoise(x: torch.Tensor, i: int) -> Prediction[torch.Tensor]:
        sigma = float(grid.sigma[i])
        x0 = model(x, torch.full((len(x),), sigma, dtype=torch.float64))
        return Prediction(x0, (x - x0) / sigma)

    return scheduler(x, denoise, draws)


def normals() -> Callable[..., torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return lambda *_: torch.randn(SHAPE, generator=generator, dtype=torch.float64)


def start(scheduler: Scheduler) -> torch.Tensor:
    first = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return first * float(scheduler.grid.sigma[0])
