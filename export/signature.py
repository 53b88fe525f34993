"""The inputs and output of the graph that a sampler compiles to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from samplegraph.export.edge.caller import Edge, edge_of
from samplegraph.export.edge.examples import check_name, condition_tensor, example_of, rows_of, usual_shape
from samplegraph.export.edge.front import check_results, front_examples
from samplegraph.export.edge.shapes import front_results
from samplegraph.export.errors import ExportError
from samplegraph.models import Sampler
from samplegraph.models.guidance import NEGATIVE, SCALE
from samplegraph.runtime.manifest import Tensor

BATCH_AXIS = "batch"
_OUTPUT = {"invert": "the noise, unit normal as far as the model knows the sample"}
#: Rows used where the batch axis is symbolic and an example is needed.
EXAMPLE_BATCH = 2


@dataclass(frozen=True)
class Signature:
    """The sampler's inputs in order, its output, and example conditions (B, ...) for tracing and verification.

    ``rows`` is the number of rows of a denoiser call, in the examples: twice the batch where it is guided. ``edge`` has
    what the caller gives and gets: inputs and output of the graph, modules in front and behind included.
    """

    batch: int | None
    sample_shape: tuple[int, ...]
    conditions: dict[str, torch.Tensor]
    guided: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    output: Tensor
    edge: Edge

    @property
    def example_batch(self) -> int:
        """Batch of the example tensors."""
        return self.batch or EXAMPLE_BATCH

    @property
    def rows(self) -> int:
        """Rows of a denoiser call in the examples."""
        return self.example_batch * (2 if self.guided else 1)

    @property
    def names(self) -> list[str]:
        """Names of the sampler's inputs, in order."""
        return [t.name for t in self.inputs]

    def model_conditions(self) -> list[str]:
        """Names of the model's own conditions, in order."""
        return [t.name for t in self.inputs if t.role == "condition"]


def signature(
    sampler: Sampler, sample_shape: Sequence[int] | None, conditions: Mapping[str, Any] | None, batch: int | str | None
) -> Signature:
    """Work out the graph's inputs.

    Args:
        sample_shape: (B, ...) or None for the model's declared shape at batch 1.
        conditions: an example value per model condition, or per input of a module in front that gives it, one row or B
            rows; declared ones may be left out.
        batch: B, ``"dynamic"``, or None for the first axis of ``sample_shape``.

    Raises:
        ExportError: a shape or batch that is not allowed, or an undeclared condition without an example.
    """
    declared = sampler.spec.sample_shape
    if sample_shape is None:
        if declared is None:
            raise ExportError("sample_shape is missing; give (B, ...), since the model declares none")
        sample_shape = (1, *declared)
    shape = tuple(sample_shape)
    if len(shape) < 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in shape):
        raise ExportError(f"sample_shape={shape} is not allowed; give (B, ...) of positive whole numbers")
    if declared is not None and not sampler.spec.takes_sample(shape[1:]):
        takes = ", ".join(map(str, declared))
        takes = f"{declared[0]}, ..." if sampler.spec.any_size else takes
        raise ExportError(f"sample_shape={shape} contradicts the model, which takes (B, {takes})")
    rows = _batch(batch, shape[0])
    given, count = dict(conditions or {}), rows or EXAMPLE_BATCH
    front = front_examples(sampler, given, count)
    made, shown = front_results(sampler, front)
    check_results(sampler, made, shape)
    for c in sampler.spec.conditions:
        check_name(c.name)
        if c.name not in given and c.name not in made:
            given[c.name] = np.full(usual_shape(c), example_of(c), dtype=c.dtype)
    names = sampler.model_conditions([*made, *given])
    for name in names:
        check_name(name)
    for name in given:
        if name in made or name not in (known := sampler.condition_inputs(names)):
            takes = ", ".join([*front, *(each for each in known if each not in made)]) or "none"
            raise ExportError(f"condition {name!r} is not used by this sampler, which takes {takes}")
    examples = {
        name: made[name] if name in made else rows_of(name, given[name], sampler.spec.condition(name), count)
        for name in names
    }
    guided = tuple(sampler.guided(names))
    axis: int | str = rows or BATCH_AXIS
    noise_shape = sampler.scheduler.noise_shape(shape[1:])
    uniform = sampler.scheduler.noise_kind == "uniform"
    span: dict[str, float | None] = {"minimum": 0.0, "maximum": 1.0} if uniform else {}
    text = "uniform in [0, 1): the first step's draw" if uniform else "unit normal; scaled in the graph"
    inputs = []
    if sampler.task.draws:
        inputs.append(Tensor("noise", "float32", (axis, *noise_shape), "noise", text, **span))
    slices = sampler.profile.noise_slices
    if slices:
        text = f"{'uniform in [0, 1)' if uniform else 'unit normal'}, one slice per draw in step order"
        inputs.append(Tensor("step_noise", "float32", (slices, axis, *noise_shape), "step_noise", text, **span))
    for own in sampler.inputs:
        size, span = (axis, *own.shape(shape[1:])), {"minimum": own.minimum, "maximum": own.maximum}
        inputs.append(Tensor(own.name, "float32", size, own.name, own.description, **span))
    inputs += [condition_tensor(n, n, "condition", examples[n], sampler.spec.condition(n), axis) for n in names]
    for name in sampler.condition_inputs(names)[len(names) :]:
        if name == SCALE:
            text = "classifier-free guidance scale; 1 is the conditional prediction alone"
            inputs.append(Tensor(SCALE, "float32", (), "guidance_scale", text, default=sampler.spec.guidance_scale))
        else:
            twin = name.removeprefix(NEGATIVE)
            inputs.append(condition_tensor(name, twin, "negative", examples[twin], sampler.spec.condition(twin), axis))
    text = _OUTPUT.get(sampler.task.kind, "the sample")
    output = Tensor("sample", sampler.scheduler.sample_dtype, (axis, *shape[1:]), "sample", text)
    fronts = sampler.entrance.inlet.inputs
    asked = {name: condition_tensor(name, name, "condition", front[name], fronts[name], axis) for name in front}
    edge = edge_of(sampler, inputs, output, asked, front, shown)
    return Signature(rows, shape[1:], examples, guided, tuple(inputs), output, edge)


def _batch(batch: int | str | None, first: int) -> int | None:
    if batch is None:
        return first
    if batch == "dynamic":
        return None
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ExportError(f"batch={batch!r} is not allowed; give a whole number of at least 1, or 'dynamic'")
    if first not in (1, batch):
        raise ExportError(f"batch={batch} contradicts sample_shape, whose first axis is {first}; give one of them")
    return batch
