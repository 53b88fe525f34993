"""The pipelines: passes on the denoiser before linking, and on the linked graph. All but ours are onnx-ir's."""

from __future__ import annotations

import logging

import onnx_ir as ir
from onnx_ir.passes import Sequential, common

from samplegraph.export.passes.identities import InnerIdentityPass
from samplegraph.export.passes.idle_squeeze import IdleSqueezePass
from samplegraph.export.passes.picks import PicksPass
from samplegraph.export.passes.scopes import ScopesPass
from samplegraph.export.passes.split_linear import SplitLinearPass
from samplegraph.export.passes.static_reshape import StaticReshapePass
from samplegraph.export.passes.tensor_layout import LayoutPass

#: It warns of a result that is a constant, as a module in front may have one.
logging.getLogger(common.DeduplicateInitializersPass.__module__).setLevel(logging.ERROR)


def tidy_denoiser(model: ir.Model) -> None:
    """Make the captured denoiser small: it is copied once per call site."""
    tidy_module(model)
    Sequential(SplitLinearPass(), common.RemoveUnusedNodesPass(), ScopesPass())(model)


def tidy_module(model: ir.Model) -> None:
    """Make a captured module small, whatever its inputs."""
    Sequential(
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        IdleSqueezePass(),
        common.IdentityEliminationPass(),
        StaticReshapePass(),
        PicksPass(),
        LayoutPass(),
        *([common.ShapeInferencePass()] if _is_symbolic(model) else []),  # what the passes above made known
        common.CommonSubexpressionEliminationPass(),
        common.DeduplicateInitializersPass(),
        common.RemoveUnusedNodesPass(),
    )(model)


def _is_symbolic(model: ir.Model) -> bool:
    shape = model.graph.inputs[0].shape
    return shape is not None and not all(isinstance(n, int) for n in shape)


def tidy_linked(model: ir.Model) -> None:
    """Drop what nothing reads. Nothing here may grow faster than the graph."""
    Sequential(
        InnerIdentityPass(),
        common.RemoveUnusedNodesPass(),
        common.ClearMetadataAndDocStringPass(),
    )(model)
