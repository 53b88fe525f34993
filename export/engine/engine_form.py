"""The form of a graph that is given to a builder: the same values from fewer, larger operators."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes import Sequential, common

from samplegraph.export.passes.group_normalization import GroupNormalizationPass
from samplegraph.export.passes.modulated_norm import ModulatedNormPass
from samplegraph.export.passes.site_products import SiteProductsPass
from samplegraph.runtime.manifest import Tensor

#: GroupNormalization has a scale and a bias per channel from here on.
_OPSET = 21
#: Roles of inputs that hold no sample.
_STILL = ("condition", "negative", "guidance_scale", "coefficients", "constants")


def engine_form(path: Path, inputs: Iterable[Tensor]) -> bytes:
    """The graph at ``path`` in that form; external weights are referred to as they were. ``inputs`` are the manifest's.

    A builder's time grows faster than the graph, and normalisations are a fifth to a third of its nodes.
    """
    model = ir.load(path)
    still = {tensor.name for tensor in inputs if tensor.role in _STILL}
    Sequential(
        common.ShapeInferencePass(),
        GroupNormalizationPass(),
        ModulatedNormPass(),
        SiteProductsPass(still),
        common.RemoveUnusedNodesPass(),
    )(model)
    model.graph.opset_imports[""] = max(model.graph.opset_imports[""], _OPSET)
    data: bytes = ir.serde.serialize_model(model).SerializeToString()
    return data
