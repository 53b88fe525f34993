"""A module in front of the sampler: an encoder of what the caller has, a normaliser."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from samplegraph.models.spec import CONDITION_DTYPES, Condition
from samplegraph.models.stages.spec import FrontSpec
from samplegraph.schedulers import OptionError


class Front(nn.Module):
    """``forward(**inputs) -> {name: tensor}``, one row per sample: the module with its results under their names.

    Floating-point results become float32. The module may return one tensor, a tuple in the order of ``gives``, or a
    dictionary with exactly those keys. It keeps its own precision: the compiler's ``precision`` is the network's.

    Args:
        module: called with its inputs by keyword.
        spec: a declaration that stands in for the module's own attribute ``spec``.
        source: what the module was made from, as ``package.module:factory``; the manifest records it.

    Raises:
        OptionError: its inputs cannot be worked out, or it holds float64.
    """

    def __init__(self, module: nn.Module, spec: FrontSpec | None = None, *, source: str = "") -> None:
        super().__init__()
        self.module, self.source = module, source
        own = getattr(module, "spec", None)
        self.spec = spec or (own if isinstance(own, FrontSpec) else FrontSpec())
        self.label = f"pre={source or type(module).__name__}"
        refuse_double(module, self.label)
        self.inputs: Mapping[str, Condition | None] = _inputs(module, self.spec, self.label)

    def giving(self, *names: str) -> Front:
        """The same over the same module, with its results called ``names``."""
        return Front(self.module, replace(self.spec, gives=names), source=self.source)

    @property
    def gives(self) -> tuple[str, ...]:
        """Names of its results; none before ``giving``, where the spec does not name them."""
        return self.spec.gives or ()

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """Its results by name.

        Raises:
            OptionError: the module returns something else, float64, or another number of rows.
        """
        results = _named(self.module(**inputs), self.gives, self.label)
        rows = next(iter(inputs.values())).shape[0]
        return {name: checked(value, rows, f"{self.label} returns {name} ") for name, value in results.items()}


def checked(value: object, rows: int, what: str) -> Tensor:
    """A result of a stage; floating point as float32.

    Raises:
        OptionError: it is no tensor, of another dtype than a graph has, or of another number of rows.
    """
    if not isinstance(value, Tensor):
        raise OptionError(f"{what}as {type(value).__name__}; return a torch.Tensor")
    if value.dtype in (torch.float16, torch.bfloat16):
        value = value.float()
    if (dtype := str(value.dtype).removeprefix("torch.")) not in CONDITION_DTYPES:
        raise OptionError(f"{what}in {dtype}; return one of {', '.join(CONDITION_DTYPES)}, as .float() makes it")
    if value.ndim == 0 or value.shape[0] != rows:
        shape = tuple(value.shape)
        raise OptionError(f"{what}of shape {shape} for {rows} rows; it has to keep the batch axis, (B, ...)")
    return value


def refuse_double(module: nn.Module, label: str) -> None:
    """Raise where the module holds float64, as statistics that numpy made do.

    Raises:
        OptionError: it does.
    """
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.dtype == torch.float64:
            raise OptionError(f"{label} holds {name} in float64; call .float() on the module")


def _inputs(module: nn.Module, spec: FrontSpec, label: str) -> dict[str, Condition | None]:
    parameters = inspect.signature(module.forward).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if spec.inputs is not None:
        unknown = [c.name for c in spec.inputs if c.name not in named]
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise OptionError(f"{label} declares the input {unknown[0]!r}, and its forward takes {', '.join(named)}")
        return {c.name: c for c in spec.inputs}
    found = [name for name, p in named.items() if p.default is p.empty]
    if not found or any(p.kind is p.VAR_POSITIONAL or p.kind is p.POSITIONAL_ONLY for p in parameters):
        raise OptionError(
            f"{label}: what its forward takes cannot be worked out; name its parameters, or declare "
            "spec = FrontSpec(inputs=...)"
        )
    return dict.fromkeys(found)


def _named(result: object, names: tuple[str, ...], label: str) -> dict[str, object]:
    if isinstance(result, Mapping):
        if set(result) != set(names):
            raise OptionError(f"{label} returns {', '.join(map(str, result))}, and is to give {', '.join(names)}")
        return {name: result[name] for name in names}
    values = tuple(result) if isinstance(result, tuple | list) else (result,)
    if len(values) != len(names):
        raise OptionError(f"{label} returns {len(values)} tensors, and is to give {', '.join(names)}")
    return dict(zip(names, values, strict=True))
