"""What the network's precision asks of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.providers import DEFAULT, Provider, provider_name, short_name

#: Providers with the operators of a bfloat16 network; the CPU's has none.
_BFLOAT16 = ("cuda", "tensorrt", "nvtensorrtrtx", "migraphx")
#: ONNX Runtime's switch for rewriting quantised graphs.
_QUANTISATION_OFF = "session.disable_quant_qdq"


def check_precision(precision: str, chosen: Sequence[Provider]) -> None:
    """Refuse a network that none of the providers can run.

    Raises:
        InputError: it is bfloat16, and they lack that.
    """
    given = [short_name(provider_name(each)) for each in chosen]
    if precision == "bf16" and not any(name in _BFLOAT16 for name in given):
        raise InputError(
            f"providers={','.join(given)} cannot run a bfloat16 network, which takes one of {', '.join(_BFLOAT16)} "
            "(samplegraph[gpu]); or export it with --precision fp16"
        )


def prepare_weights(precision: str, chosen: Sequence[Provider], options: Any) -> None:
    """Set session ``options`` for a network with int8 weights on the CPU: made float32 once, at load.

    By default ONNX Runtime keeps one copy of each ``DequantizeLinear`` per use, and runs it in every step.
    """
    if precision == "int8" and list(chosen) == [DEFAULT]:
        options.add_session_config_entry(_QUANTISATION_OFF, "1")
