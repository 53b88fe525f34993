"""One capture per denoiser, shared by all tests of a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from networks import CrossAttention, TinyDiT, TinyPolicy, TinyUNet, Unconditional, seeded
from torch import nn
from triton_files import model_config_schema

from samplegraph.export import Captures, compiler
from samplegraph.models import load
from samplegraph.models.tokens import tokens
from samplegraph.schedulers import scheduler_class


@pytest.fixture(scope="session")
def captures() -> Captures:
    return Captures()


@pytest.fixture(scope="session")
def denoisers() -> dict[str, nn.Module]:
    made = {"tiny": TinyUNet(), "tinydit": TinyDiT(), "attention": CrossAttention(), "signal": Unconditional()}
    for name, kind in (("tinyflow", "flow_prediction"), ("tinyv", "v_prediction")):
        made[name] = TinyUNet()
        made[name].spec = replace(TinyUNet.spec, name=name, prediction_type=kind)
    made["tinypolicy"] = TinyPolicy()
    return {name: seeded(model) for name, model in made.items()} | {"tokens": tokens()}


@pytest.fixture(scope="session")
def denoiser_of(denoisers: dict[str, nn.Module]) -> Callable[[str], nn.Module]:
    """A small denoiser for a scheduler of that name; it takes ``class_labels``."""
    kinds = {"log_probs": "tokens", "flow_prediction": "tinyflow", "v_prediction": "tinyv"}
    own = {"piflow": "tinypolicy"}
    return lambda name: denoisers[own.get(name) or kinds.get(scheduler_class(name).default_prediction_type, "tiny")]


@pytest.fixture
def quick_export(monkeypatch: pytest.MonkeyPatch, captures: Captures, networks: dict[str, Any]) -> None:
    """The command line makes each network once and captures it once: that is nearly all the time of a small export."""

    def load_once(source: str, *, original: Callable[..., Any] = load.load_model, **options: Any) -> Any:
        if any(options.values()) or Path(source).exists():  # folders and files of a test's own
            return original(source, **options)
        if source not in networks:
            networks[source] = original(source)
        return networks[source]

    def compile_quickly(*args: Any, original: Callable[..., Any] = compiler.compile, **options: Any) -> Any:
        return original(*args, **{**options, "captures": captures})

    monkeypatch.setattr(load, "load_model", load_once)
    monkeypatch.setattr(compiler, "compile", compile_quickly)


@pytest.fixture(scope="session")
def networks() -> dict[str, Any]:
    """Models by what ``--model`` says."""
    return {}


@pytest.fixture(scope="session")
def schema() -> Any:
    """model_config.proto of Triton."""
    return model_config_schema()
