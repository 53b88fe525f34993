"""The garbage collector is paused while compiling, and back afterwards."""

from __future__ import annotations

import gc

import pytest

from samplegraph.export.collection import paused_collection


@paused_collection()
def failing() -> None:
    assert not gc.isenabled()
    raise ValueError("x")


def test_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="x"):
        failing()
    assert gc.isenabled()


def test_off_stays_off() -> None:
    gc.disable()
    try:
        with paused_collection(), paused_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
