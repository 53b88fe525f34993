"""k-diffusion's ``sampling.py``, loaded by itself: its package imports training code that needs many packages more."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


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
