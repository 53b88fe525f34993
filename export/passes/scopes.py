"""Pass: of a captured node's metadata only the module that it came from, by which people name parts of a network."""

from __future__ import annotations

import ast

import onnx_ir as ir
from onnx_ir.passes import common

#: Metadata key of a node: the dotted name of its module, as in ``named_modules``.
SCOPE = "scope"
_TORCH = "pkg.torch.onnx.name_scopes"
_ROOT = "network"


class ScopesPass(ir.passes.InPlacePass):
    """Clears all other metadata and documentation."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        scopes = {node: _scope(node) for node in model.graph}
        common.ClearMetadataAndDocStringPass()(model)
        for node, scope in scopes.items():
            if scope:
                node.metadata_props[SCOPE] = scope
        return ir.passes.PassResult(model, modified=True)


def without_root(name: str) -> str:
    """A name inside the captured module as the network itself says it: ``network.time.0`` -> ``time.0``."""
    return "" if name == _ROOT else name.removeprefix(f"{_ROOT}.")


def _scope(node: ir.Node) -> str:
    """torch writes a list of the modules around the node, and last the node's own name."""
    text = node.metadata_props.get(_TORCH)
    modules = ast.literal_eval(text)[:-1] if text else []
    return without_root(modules[-1]) if modules else ""
