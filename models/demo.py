"""A demo model for every scheduler, so that tools and tests can loop over all of them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from samplegraph.models.load import load_model
from samplegraph.schedulers.catalogue.registry import own_name

#: Scheduler -> built-in model, where it is not the default one.
DEMO_MODELS: Mapping[str, str] = {"vq_diffusion": "tokens", "piflow": "digits-policy"}
DEFAULT = "digits"


def demo_source(name: str | None = None) -> str:
    """The built-in model that scheduler ``name`` is shown with, or the default one.

    Raises:
        OptionError: no such scheduler.
    """
    if name is None:
        return DEFAULT
    return DEMO_MODELS.get(own_name(name), DEFAULT)


def demo_model(name: str) -> nn.Module:
    """That model, in evaluation mode.

    Raises:
        OptionError: no such scheduler, or the model cannot be made.
    """
    return load_model(demo_source(name))
