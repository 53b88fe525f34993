"""What the modules in front and behind are given and give, by shape and dtype, before anything is captured."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from samplegraph.export.errors import ExportError, reason_of
from samplegraph.models import Front, Sampler
from samplegraph.models.stages.tensors import OnTensors
from samplegraph.schedulers import OptionError

T = TypeVar("T")


def front_results(
    sampler: Sampler, examples: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    """What the fronts give for their inputs ``examples``, (B, ...), and what each is shown: zeros so shaped.

    Raises:
        ExportError: a front cannot be called with such inputs, or returns something that no graph can have.
    """
    operations = _Named()
    results = _dry(lambda given: sampler.entrance.inlet.run(given, (), operations), examples)
    return results, [_zeros(operations.shown[front]) for front in sampler.entrance.inlet.fronts]


def back_result(sampler: Sampler, sample: torch.Tensor) -> torch.Tensor:
    """Zeros of the shape and dtype of the sampler's result for a final sample like ``sample``, (B, ...).

    Raises:
        ExportError: the module behind cannot be called with it, or returns something that no graph can have.
    """
    if sampler.post is None:
        return sample
    label = sampler.post.label
    return _dry(lambda given: {"": _call(lambda: sampler.decoded(given[""]), label)}, {"": sample})[""]


class _Named(OnTensors):
    """Notes what each front is shown; an error says which front it comes from."""

    def __init__(self) -> None:
        self.shown: dict[Front, Mapping[str, torch.Tensor]] = {}

    def call(self, front: Front, inputs: Mapping[str, torch.Tensor], twofold: bool) -> Mapping[str, torch.Tensor]:
        self.shown[front] = dict(inputs)
        return _call(lambda: super(_Named, self).call(front, inputs, twofold), front.label)


def _call(function: Callable[[], T], label: str) -> T:
    try:
        return function()
    except OptionError as error:
        raise ExportError(str(error)) from error
    except Exception as error:
        raise ExportError(reason_of(f"{label} cannot be called with its inputs", error)) from error


def _dry(
    function: Callable[[Mapping[str, torch.Tensor]], Mapping[str, torch.Tensor]], given: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """``function`` without computing anything where torch can do that, else as it is."""
    with torch.no_grad():
        try:
            with _unlogged(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
                made = function({name: mode.from_tensor(value) for name, value in given.items()})
        except Exception:
            made = function(given)  # looks at values; or its error is the one to be told
    return _zeros(made)


def _zeros(like: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(tuple(value.shape), dtype=value.dtype) for name, value in like.items()}


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without torch's own report of what it could not do."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
