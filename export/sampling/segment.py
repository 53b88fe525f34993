"""A segment: consecutive steps of a sampler that become one graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from samplegraph.export.errors import ExportError
from samplegraph.export.signature import BATCH_AXIS, Signature
from samplegraph.models import Sampler
from samplegraph.runtime.manifest import CARRIED, Tensor


@dataclass(frozen=True)
class Segment:
    """Steps ``first`` to ``last - 1`` as a graph of these inputs and outputs.

    Every segment but the first takes the sample and the solver's state as ``sample_in``, ``state_0_in``.., and every
    one but the last hands them on as ``sample``, ``state_0``... ``slices`` are the draws ``[from, to)`` it makes;
    ``chunked`` says that it is one of a set.
    """

    first: int
    last: int
    slices: tuple[int, int]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    chunked: bool = False

    @property
    def indices(self) -> range:
        """The steps."""
        return range(self.first, self.last)

    @property
    def names(self) -> list[str]:
        """Names of the inputs, in order."""
        return [t.name for t in self.inputs]

    @property
    def carried(self) -> list[str]:
        """Names of the inputs that an earlier segment hands on."""
        return [t.name for t in self.inputs if t.role == "carried"]

    def narrowed(self, inputs: Sequence[str], outputs: Sequence[str]) -> Segment:
        """With these inputs and outputs only."""
        return replace(
            self,
            inputs=tuple(t for t in self.inputs if t.name in inputs),
            outputs=tuple(t for t in self.outputs if t.name in outputs),
        )


def whole(sampler: Sampler, sig: Signature) -> Segment:
    """The whole sampler."""
    slices = 0, sampler.profile.noise_slices
    return Segment(sampler.task.begin, sampler.scheduler.steps, slices, sig.inputs, (sig.output,))


def chunks(sampler: Sampler, sig: Signature, size: int) -> list[Segment]:
    """Segments of ``size`` steps; the last may be shorter. Each also gives the ``x0`` that it last predicted.

    Raises:
        ExportError: the size is no whole number from 1 to N.
    """
    begin, n = sampler.task.begin, sampler.scheduler.steps
    if not 1 <= size <= n - begin:
        taken = f"steps={n}" if not begin else f"the {n - begin} steps that are taken"
        raise ExportError(f"layout='chunked:{size}' does not fit {taken}; give chunks of 1 to {n - begin} steps")
    carried = carried_tensors(sampler, sig)
    made = []
    for first in range(begin, n, size):
        last = min(first + size, n)
        slices = slices_before(sampler, first), slices_before(sampler, last)
        own = [replace(t, name=t.name + CARRIED, role="carried") for t in carried] if first > begin else []
        inputs = [*own, *(_sliced(t, slices) for t in sig.inputs if t.role != "step_noise" or slices[1] > slices[0])]
        outputs = [sig.output, *(carried[1:] if last < n else [])]
        if not sampler.scheduler.classes and any(sampler.profile.evaluations[first:last]):
            outputs.append(replace(sig.output, name="x0", role="x0", description="the clean sample predicted last"))
        made.append(Segment(first, last, slices, tuple(inputs), tuple(outputs), chunked=True))
    return made


def carried_tensors(sampler: Sampler, sig: Signature) -> list[Tensor]:
    """The sample and the solver's state, as one step hands them to the next."""
    rows, scheduler = sig.example_batch, sampler.scheduler
    x = torch.zeros((rows, *sig.sample_shape), dtype=getattr(torch, scheduler.sample_dtype))
    own = {each.name: torch.zeros(rows, *each.shape(sig.sample_shape)) for each in sampler.inputs}
    made = [sig.output]
    for j, state in enumerate(scheduler.begin(x, own)):
        dtype, shape = str(state.dtype).removeprefix("torch."), (sig.batch or BATCH_AXIS, *state.shape[1:])
        made.append(Tensor(f"state_{j}", dtype, shape, "carried", "state of the solver"))
    return made


def slices_before(sampler: Sampler, step: int) -> int:
    """The number of slices of ``step_noise`` that the steps before ``step`` draw; ``noise`` itself is none."""
    return max(0, sampler.profile.noise_slices - sum(sampler.profile.draws[step:])) if step else 0


def _sliced(tensor: Tensor, slices: tuple[int, int]) -> Tensor:
    if tensor.role != "step_noise":
        return tensor
    return replace(tensor, shape=(slices[1] - slices[0], *tensor.shape[1:]))
