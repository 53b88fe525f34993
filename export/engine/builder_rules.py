"""What the parsers and builders of TensorRT reject, as a table.

Found by experiment: every operator of ONNX and 192 small graphs, each parsed and built for sm89 with
tensorrt-rtx 1.7.1. An operator or type that is not named here was built, or no graph of ours can hold it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.convenience import get_const_tensor

#: Largest K of a TopK, and what an axis count may reach.
TOPK_LIMIT, RANK_LIMIT = 3840, 8
#: Sizes of a head that ``Attention`` was built with: 8 and 264 were refused.
HEAD_SIZES = range(12, 257)

_T = ir.DataType
_FLOATS = "use Cast and float32, or int32 and int64 for whole numbers"
_BY_GATHER = "gather by indices of a fixed number"
_PARTS = "write it as Mul, Add, Where and Gather, in the model's own code"
_ARITHMETIC = "use Div, Mod and Mul, or compare with Equal and Where"
_FLOAT_PRODUCT = "Cast to float32 in front"
_TUPLES = "return and pass single tensors, not lists or optional ones"


def _each(names: str, remedy: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), remedy)


#: Operators that draw random numbers; not read from ``models``, which would load torch for a build.
RANDOM = _each(
    "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike",
    "the graph has to give the same sample each time; pass the noise in",
)
#: Operators that no parser of TensorRT-RTX knows, and what to do instead.
UNKNOWN = {
    **_each("BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BitCast", _ARITHMETIC),
    **_each("ConcatFromSequence SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert", _TUPLES),
    **_each("SequenceLength SequenceMap SplitToSequence Optional OptionalGetElement OptionalHasElement", _TUPLES),
    **_each("Compress Unique NonZero NonMaxSuppression", "the shape of its result depends on values; " + _BY_GATHER),
    **_each("ConvInteger MatMulInteger QLinearConv QLinearMatMul DynamicQuantizeLinear", "use QuantizeLinear and "
            "DequantizeLinear around Conv and MatMul"),
    **_each("NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss", "a loss has no place in a denoiser; remove it"),
    **_each("ImageDecoder RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer", "do it before "
            "the graph, and pass its result in as a condition"),
    **_each("AffineGrid CenterCropPad Col2Im CumProd DFT DeformConv Det MaxRoiPool MaxUnpool MelWeightMatrix", _PARTS),
    **_each("RoiAlign SwiGLU", _PARTS),
    **RANDOM,
}

#: Types that are refused, or silently made another one.
TYPES = {
    **dict.fromkeys((_T.INT16, _T.UINT16, _T.UINT32, _T.UINT64), _FLOATS),
    _T.DOUBLE: "it would be computed in float32; make the model float32 with .float()",
    **dict.fromkeys((_T.COMPLEX64, _T.COMPLEX128), "keep real and imaginary parts in two tensors"),
    _T.STRING: "strings have no place in a denoiser; pass numbers in",
    **dict.fromkeys((_T.FLOAT8E5M2, _T.FLOAT8E5M2FNUZ, _T.FLOAT8E4M3FNUZ), "use float16 or bfloat16"),
}
_BYTES = ("Cast", "Identity", "QuantizeLinear", "DequantizeLinear")
_WHOLE = (_T.INT8, _T.INT32, _T.INT64, _T.BOOL)


@dataclass(frozen=True)
class Fault:
    """Why a node is refused, and what to do instead."""

    reason: str
    remedy: str


def faults(node: ir.Node) -> list[Fault]:
    """What is wrong with ``node``; types and shapes that are unknown are taken to be right."""
    if node.domain not in ("", "ai.onnx"):
        return [Fault(f"operator of domain {node.domain!r}", "use operators of ONNX alone")]
    if node.op_type in UNKNOWN:
        drawn = node.op_type in RANDOM
        return [Fault("draws random numbers" if drawn else "no such operator", UNKNOWN[node.op_type])]
    rule = _RULES.get(node.op_type)
    found = rule(node) if rule else None
    return [fault for fault in (found, _type(node), _rank(node)) if fault is not None]


def _values(node: ir.Node) -> list[ir.Value]:
    return [value for value in (*node.inputs, *node.outputs) if value is not None]


def _type(node: ir.Node) -> Fault | None:
    kinds = {value.dtype for value in _values(node)}
    for kind, remedy in TYPES.items():
        if kind in kinds:
            return Fault(f"of type {kind.name.lower()}", remedy)
    if _T.UINT8 in kinds and node.op_type not in _BYTES:
        return Fault("of type uint8", _FLOATS)
    if _T.FLOAT8E4M3FN in kinds and "QuantizeLinear" not in node.op_type and node.op_type != "DequantizeLinear":
        return Fault("of type float8", "make it by QuantizeLinear alone")
    return None


def _rank(node: ir.Node) -> Fault | None:
    ranks = [len(value.shape) for value in _values(node) if value.shape is not None]
    if max(ranks, default=0) > RANK_LIMIT:
        return Fault(f"{max(ranks)} axes, at most {RANK_LIMIT}", "merge axes with Reshape")
    return None


def _topk(node: ir.Node) -> Fault | None:
    k = get_const_tensor(node.inputs[1]) if node.inputs[1] is not None else None
    if k is None or int(k.numpy().max()) <= TOPK_LIMIT:
        return None
    return Fault(f"K = {int(k.numpy().max())}, at most {TOPK_LIMIT}", "sort fewer values, from the shorter end")


def _attention(node: ir.Node) -> Fault | None:
    remedy = "write it as MatMul, Softmax and MatMul"
    query = node.inputs[0]
    if query is None:
        return None
    if query.dtype == _T.FLOAT:
        return Fault("of type float", f"{remedy}, or export with precision fp16 or bf16")
    if "softmax_precision" in node.attributes:
        return Fault("softmax_precision is set", remedy)
    size = query.shape[-1] if query.shape is not None and len(query.shape) else None
    heads = node.attributes.get("q_num_heads")
    if isinstance(size, int) and size // (heads.as_int() if heads else 1) not in HEAD_SIZES:
        return Fault(f"heads of size {size // (heads.as_int() if heads else 1)}, not 12 to 256", remedy)
    return None


def _of_whole_numbers(node: ir.Node) -> Fault | None:
    kind = node.inputs[0].dtype if node.inputs[0] is not None else None
    return Fault(f"of type {kind.name.lower()}", _FLOAT_PRODUCT) if kind in _WHOLE and kind is not None else None


def _of_bool(node: ir.Node) -> Fault | None:
    of_bool = node.inputs[0] is not None and node.inputs[0].dtype == _T.BOOL
    return Fault("of type bool", "Cast to int32 in front") if of_bool else None


def _given(name: str, allowed: tuple[object, ...], remedy: str) -> Callable[[ir.Node], Fault | None]:
    """An attribute that may have these values, or be left out."""

    def rule(node: ir.Node) -> Fault | None:
        attribute = node.attributes.get(name)
        if attribute is None or attribute.value in allowed:
            return None
        return Fault(f"{name} = {attribute.value}", remedy)

    return rule


def _max_pool(node: ir.Node) -> Fault | None:
    if len([v for v in node.outputs if v.uses() or v.is_graph_output()]) > 1:
        return Fault("its indices are read", "read its first output alone")
    dilations = node.attributes.get("dilations")
    spread = dilations is not None and set(dilations.as_ints()) != {1}
    return Fault("dilations other than 1", "pool with dilation 1 alone") if spread else None


def _resize(node: ir.Node) -> Fault | None:
    plain = _given("antialias", (0,), "resize without antialiasing")(node)
    modes = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "tf_half_pixel_for_nn")
    return plain or _given("coordinate_transformation_mode", modes, "use half_pixel")(node)


def _dropout(node: ir.Node) -> Fault | None:
    training = node.inputs[2] if len(node.inputs) > 2 else None
    known = get_const_tensor(training) if training is not None else None
    on = known is not None and bool(known.numpy().any())
    return Fault("in training mode", "call model.eval()") if on else None


_NO_SUM = "add without duplicates: sort by target, or use a MatMul with a one-hot matrix"
_RULES: dict[str, Callable[[ir.Node], Fault | None]] = {
    "TopK": _topk,
    "Attention": _attention,
    "MatMul": _of_whole_numbers,
    "Relu": _of_whole_numbers,
    "ReduceMax": _of_bool,
    "ReduceMin": _of_bool,
    "ScatterND": _given("reduction", ("none",), _NO_SUM),
    "ScatterElements": _given("reduction", ("none",), _NO_SUM),
    "MaxPool": _max_pool,
    "Resize": _resize,
    "Dropout": _dropout,
}
