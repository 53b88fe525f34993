"""A module behind the sampler: a decoder, an un-normaliser."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from samplegraph.models.stages.front import checked, refuse_double
from samplegraph.models.stages.spec import BackSpec
from samplegraph.schedulers import OptionError


class Back(nn.Module):
    """``forward(sample) -> tensor``, (B, ...) to (B, ...): the graph's output, of the final sample.

    The module may return a tensor or ``{name: tensor}``. It is given the sample in its own precision, and a
    floating-point result becomes float32; the compiler's ``precision`` is the network's.

    Args:
        module: called with the sample, (B, ...) float32.
        spec: a declaration that stands in for the module's own attribute ``spec``.
        source: what the module was made from, as ``package.module:factory``; the manifest records it.

    Raises:
        OptionError: it holds float64.
    """

    def __init__(self, module: nn.Module, spec: BackSpec | None = None, *, source: str = "") -> None:
        super().__init__()
        self.module, self.source = module, source
        own = getattr(module, "spec", None)
        self.spec = spec or (own if isinstance(own, BackSpec) else BackSpec())
        self.label = f"post={source or type(module).__name__}"
        refuse_double(module, self.label)
        weights = (p.dtype for p in module.parameters() if p.is_floating_point())
        self.dtype = next(weights, torch.float32)

    def forward(self, sample: Tensor) -> Tensor:
        """The output for a sample.

        Raises:
            OptionError: the module returns something else, float64, or another number of rows.
        """
        given = sample.to(self.dtype) if sample.is_floating_point() else sample
        result: object = self.module(given)
        if isinstance(result, Mapping):
            if list(result) != [self.spec.name]:
                raise OptionError(
                    f"{self.label} returns {', '.join(map(str, result)) or 'nothing'}, and the output is called "
                    f"{self.spec.name!r}; return that alone, or declare spec = BackSpec(name=...)"
                )
            result = result[self.spec.name]
        return checked(result, sample.shape[0], f"{self.label} returns {self.spec.name} ")
