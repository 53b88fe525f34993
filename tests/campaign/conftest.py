"""A process to try command lines in, and the good files that are damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from campaign.zygote import Zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """One per test process."""
    made = Zygote()
    yield made
    made.close()


@pytest.fixture(scope="session")
def good(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good files: ``tiny-ddim-3.onnx`` and its sidecar, and the same with external weights, ``split``."""
    folder = tmp_path_factory.mktemp("good")
    tiny = ["export", "--model", "cli_models:tiny", "--scheduler", "ddim", "--steps", "3", "--output", "."]
    for options in ([], ["--weights", "external", "--name", "split"]):
        done = zygote.run([*tiny, *options], folder)
        assert (done.code, done.err) == (0, "")
    return folder
