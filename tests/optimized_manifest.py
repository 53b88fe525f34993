"""Graphs whose manifest says something else than they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from samplegraph.runtime import Manifest
from samplegraph.runtime.manifest import METADATA_KEY


def with_optimized(path: Path, **changes: Any) -> Path:
    """A copy of the graph whose manifest says something else of what it was optimised for."""
    model = onnx.load(path, load_external_data=False)
    manifest = Manifest.from_json(model.metadata_props[0].value)
    assert manifest.optimized_for is not None
    changed = replace(manifest, optimized_for=replace(manifest.optimized_for, **changes))
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: changed.to_json()})
    other = path.with_name(f"changed-{path.name}")
    other.write_bytes(model.SerializeToString())
    return other
