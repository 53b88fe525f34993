"""Small denoisers in ONNX text."""

from __future__ import annotations

import onnx
import onnx_ir as ir

HEADER = '<ir_version: 10, opset_import: ["" : 20]>'


def model(signature: str, body: str) -> ir.Model:
    """``model("(float[2,4] sample, float[2] timestep) => (float[2,4] output)", "output = Mul(sample, sample)")``."""
    proto = onnx.parser.parse_model(f"{HEADER}\nagraph {signature}\n{{\n{body}\n}}")
    onnx.checker.check_model(proto)
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto, strict_mode=True))
