"""The command line ``samplegraph`` (also installed as ``export``).

Nothing here imports torch, onnx, schedulers or models when it is imported: ``run`` and ``inspect`` work in an
environment that has only the extras ``cli`` and ``cpu``.
"""

from samplegraph.export.cli.main import main

__all__ = ["main"]
