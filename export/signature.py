"""The inputs and output of the graph that a sampler compiles to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from samplegraph.export.edge.caller import Edge, edge_of
from samplegraph.export.edge.shapes import front_results
from samplegraph.export.errors import ExportError
from samplegraph.models import Sampler
from samplegraph.models.guidance import NEGATIVE, SCALE
from samplegraph.models.spec import CONDITION_DTYPES, Condition
from samplegraph.runtime.manifest import RESERVED, Tensor

BATCH_AXIS = "batch"
#: Names that no condition can have: other graph inputs and outputs, the denoiser's arguments, a call's keywords.
TAKEN = ("noise", "step_noise", "init_sample", "mask", "sample", "timestep", SCALE, *RESERVED)
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
    front = _front_examples(sampler, given, count)
    made, shown = front_results(sampler, front)
    _check_results(sampler, made, shape)
    for c in sampler.spec.conditions:
        _check_name(c.name)
        if c.name not in given and c.name not in made:
            given[c.name] = np.full(_usual_shape(c), _example(c), dtype=c.dtype)
    names = sampler.model_conditions([*made, *given])
    for name in names:
        _check_name(name)
    for name in given:
        if name in made or name not in (known := sampler.condition_inputs(names)):
            takes = ", ".join([*front, *(each for each in known if each not in made)]) or "none"
            raise ExportError(f"condition {name!r} is not used by this sampler, which takes {takes}")
    examples = {
        name: made[name] if name in made else _rows(name, given[name], sampler.spec.condition(name), count)
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
    inputs += [_condition(n, n, "condition", examples[n], sampler.spec.condition(n), axis) for n in names]
    for name in sampler.condition_inputs(names)[len(names) :]:
        if name == SCALE:
            text = "classifier-free guidance scale; 1 is the conditional prediction alone"
            inputs.append(Tensor(SCALE, "float32", (), "guidance_scale", text, default=sampler.spec.guidance_scale))
        else:
            twin = name.removeprefix(NEGATIVE)
            inputs.append(_condition(name, twin, "negative", examples[twin], sampler.spec.condition(twin), axis))
    text = _OUTPUT.get(sampler.task.kind, "the sample")
    output = Tensor("sample", sampler.scheduler.sample_dtype, (axis, *shape[1:]), "sample", text)
    fronts = sampler.entrance.inlet.inputs
    asked = {name: _condition(name, name, "condition", front[name], fronts[name], axis) for name in front}
    edge = edge_of(sampler, inputs, output, asked, front, shown)
    return Signature(rows, shape[1:], examples, guided, tuple(inputs), output, edge)


def _front_examples(sampler: Sampler, given: dict[str, Any], count: int) -> dict[str, torch.Tensor]:
    """Examples of what modules in front take, taken out of ``given`` where they are there."""
    examples = {}
    for name, declared in sampler.entrance.inlet.inputs.items():
        _check_name(name)
        if name in given:
            value = given.pop(name)
        elif declared is not None:
            value = np.full(_usual_shape(declared), _example(declared), dtype=declared.dtype)
        else:
            raise ExportError(
                f"condition {name!r} is missing: a module in front takes it and does not declare its shape; give an "
                f"example, as --condition {name}=float32:8 does, or declare spec = FrontSpec(inputs=...)"
            )
        examples[name] = _rows(name, value, declared, count)
    return examples


def _check_results(sampler: Sampler, made: Mapping[str, torch.Tensor], shape: Sequence[int]) -> None:
    """What modules in front give has to be what the sampler takes."""
    for name, value in made.items():
        own = next((each for each in sampler.inputs if each.name == name), None)
        declared, found = sampler.spec.condition(name), tuple(value.shape[1:])
        if own is not None:
            axes = own.shape(tuple(shape[1:]))
            fits, wanted = found == axes and value.dtype == torch.float32, f"float32 {('B', *axes)}"
        elif declared is not None:
            fits = declared.takes(found) and _dtype(value) == declared.dtype
            wanted = f"{declared.dtype} {_axes(declared)}"
        else:
            continue
        if not fits:
            label = next(each.label for each in sampler.entrance.inlet.fronts if name in each.gives)
            raise ExportError(f"{label} gives {name} as {_dtype(value)} {('B', *found)}; the model takes {wanted}")


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


def _usual_shape(c: Condition) -> tuple[int, ...]:
    shape = c.usual_shape
    if shape is None:
        raise ExportError(
            f"condition {c.name} has no usual shape, the model takes {_axes(c)}; give an example, as --condition "
            f"{c.name}={c.dtype}:{','.join('8' if n is None else str(n) for n in c.shape)} does"
        )
    return shape


def _axes(c: Condition) -> str:
    axes = (None, *c.shape[1:]) if c.any_length else c.shape
    return f"({', '.join(['B', *('any' if n is None else str(n) for n in axes)])})"


def _example(c: Condition) -> float:
    return 0.0 if c.minimum is None else c.minimum


def _check_name(name: str) -> None:
    """Names of conditions are names of graph inputs and keywords of a runtime's call."""
    if name in TAKEN or name.startswith(NEGATIVE) or not name.isidentifier():
        raise ExportError(
            f"condition {name!r} is a name that is taken ({', '.join(TAKEN)}, {NEGATIVE}...) or no identifier; rename "
            "the model's argument"
        )


def _rows(name: str, value: Any, declared: Condition | None, batch: int) -> torch.Tensor:
    """``value`` as a tensor of B rows."""
    try:
        tensor = value.detach().cpu() if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value))
    except (TypeError, ValueError) as error:
        raise ExportError(f"condition {name}={value!r} is not an array; give numbers, (B, ...)") from error
    if tensor.dtype == torch.float64:
        tensor = tensor.float()
    if tensor.is_complex() or (declared is None and _dtype(tensor) not in CONDITION_DTYPES):
        raise ExportError(f"condition {name} is {tensor.dtype}; give one of {', '.join(CONDITION_DTYPES)}")
    if declared is not None:
        _check_values(tensor, declared)
        tensor = tensor.to(getattr(torch, declared.dtype))
        if tensor.ndim == len(declared.shape) and declared.takes(tensor.shape):
            tensor = tensor[None]
        if not declared.takes(tensor.shape[1:]):
            raise ExportError(f"condition {name} has shape {tuple(tensor.shape)}; the model takes {_axes(declared)}")
    if tensor.ndim == 0:
        tensor = tensor[None]
    if tensor.shape[0] not in (1, batch):
        raise ExportError(f"condition {name} has {tensor.shape[0]} rows; give 1 row or {batch}")
    return tensor.expand(batch, *tensor.shape[1:]).contiguous()


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _check_values(tensor: torch.Tensor, c: Condition) -> None:
    low, high = c.minimum if c.minimum is not None else -math.inf, c.maximum if c.maximum is not None else math.inf
    for value in tensor.flatten().tolist():
        if not low <= value <= high:
            raise ExportError(f"condition {c.name}={value:g} is out of range; give values from {low:g} to {high:g}")
        if c.dtype.startswith("int") and value != int(value):
            raise ExportError(f"condition {c.name}={value:g} is not a whole number; the model takes {c.dtype}")


def _condition(
    name: str, own: str, role: str, example: torch.Tensor, declared: Condition | None, axis: int | str
) -> Tensor:
    text = declared.description if declared else ""
    return Tensor(
        name,
        _dtype(example),
        (axis, *example.shape[1:]),
        role,
        f"unconditional twin of {own}" if role == "negative" else text,
        minimum=declared.minimum if declared else None,
        maximum=declared.maximum if declared else None,
    )
