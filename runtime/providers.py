"""Names of ONNX Runtime's execution providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from samplegraph.runtime.errors import InputError, suggest

#: A provider's name, or that and its options.
Provider: TypeAlias = str | tuple[str, Mapping[str, Any]]
#: ONNX Runtime's name for it, and the options as ONNX Runtime takes them.
Named: TypeAlias = str | tuple[str, dict[str, Any]]

DEFAULT = "CPUExecutionProvider"
_SUFFIX = "ExecutionProvider"


def short_name(provider: str) -> str:
    """``CPUExecutionProvider`` -> ``cpu``."""
    return provider.removesuffix(_SUFFIX).lower()


def provider_name(provider: Provider) -> str:
    """The name without options."""
    return provider if isinstance(provider, str) else provider[0]


def choose_providers(asked: str | Sequence[Provider] | None, available: Sequence[str]) -> list[Named]:
    """ONNX Runtime's names for the providers asked for, in order of preference.

    Args:
        asked: one name or several, long (``CUDAExecutionProvider``) or short (``cuda``), each alone or with
            its options; None for the CPU, which gives the same sample on every run.
        available: what the installed ONNX Runtime has.

    Raises:
        InputError: one of them is not available.
    """
    if asked is None:
        return [DEFAULT]
    chosen: list[Named] = []
    for each in [asked] if isinstance(asked, str) else list(asked):
        name, options = (each, None) if isinstance(each, str) else _pair(each)
        full = _full_name(name, available)
        chosen.append(full if options is None else (full, options))
    if not chosen:
        raise InputError(f"providers=[] is empty; leave it out, or give some of {_list(available)}")
    return chosen


def _pair(value: object) -> tuple[str, dict[str, Any]]:
    if isinstance(value, tuple) and len(value) == 2:
        name, options = value
        if isinstance(name, str) and isinstance(options, Mapping):
            return name, dict(options)
    raise InputError(f"providers: {value!r} is not allowed; give a name or (name, options)")


def _full_name(name: str, available: Sequence[str]) -> str:
    for full in available:
        if name.strip().lower() in (full.lower(), short_name(full)):
            return full
    hint = suggest(short_name(name.strip()), [short_name(each) for each in available], cutoff=0.7)
    raise InputError(
        f"providers={name!r} is not available; the installed onnxruntime has {_list(available)}{hint}"
        f"{'' if hint else '; GPU providers come with samplegraph[gpu]'}"
    )


def _list(available: Sequence[str]) -> str:
    return ", ".join(short_name(each) for each in available) or "none"
