"""Runs compiled samplers: numpy and an inference engine, nothing else.

Imports neither torch nor onnx nor the other packages of samplegraph.
"""

from samplegraph.runtime.engine import Engine
from samplegraph.runtime.errors import CancelledError, InputError
from samplegraph.runtime.manifest import Manifest
from samplegraph.runtime.manifest_file import read_manifest

__all__ = ["CancelledError", "Engine", "InputError", "Manifest", "read_manifest"]
