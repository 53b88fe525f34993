"""Finds the modules of ``--pre`` and ``--post`` by what a user types: ``package.module:factory``."""

from __future__ import annotations

from samplegraph.models.load import make_module
from samplegraph.models.stages.back import Back
from samplegraph.models.stages.front import Front


def load_front(source: str) -> Front:
    """The module that ``source`` makes, in front of a sampler.

    Args:
        source: ``package.module:factory``, where the factory takes no arguments and returns a ``torch.nn.Module``; the
            current folder is searched too.

    Raises:
        OptionError: a factory that cannot be imported or called, or a module that cannot stand there.
    """
    return Front(make_module("pre", source), source=source)


def load_back(source: str) -> Back:
    """The module that ``source`` makes, behind a sampler; see ``load_front``.

    Raises:
        OptionError: a factory that cannot be imported or called, or a module that cannot stand there.
    """
    return Back(make_module("post", source), source=source)
