"""SHA-256 of weights: of what ONNX stores, each memory hashed once, in part before anyone asks."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from onnx_ir.tensor_adapters import TorchTensor

from samplegraph.export.storage import raw
from samplegraph.export.storage.raw import Digests


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _weight(seed: int = 0) -> torch.Tensor:
    return torch.randn(32, 48, generator=torch.Generator().manual_seed(seed))


class _MadeAnew(ir.Tensor):
    """A tensor whose numbers are copied at each look, as from another device."""

    def numpy(self) -> Any:
        return super().numpy().copy()


def test_digests_are_of_what_onnx_stores() -> None:
    weight = _weight()
    array = weight.numpy()
    tensors = [
        TorchTensor(weight),
        ir.Tensor(array.T),
        ir.Tensor(array[:, 8:16]),
        TorchTensor(weight.to(torch.bfloat16)),
        ir.Tensor(np.arange(8, dtype=np.int8)),
        TorchTensor(torch.zeros(())),
    ]
    assert Digests().of(tensors) == [_sha256(tensor.tobytes()) for tensor in tensors]


def test_tensors_made_anew_at_each_look() -> None:
    arrays = [_weight(seed).numpy() for seed in range(8)]
    assert Digests().of([_MadeAnew(array) for array in arrays]) == [_sha256(array.tobytes()) for array in arrays]


def test_memory_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []

    def counted(tensor: ir.TensorProtocol, original: Any = raw.raw) -> Any:
        hashed.append(tensor)
        return original(tensor)

    monkeypatch.setattr(raw, "raw", counted)
    weight, digests = _weight(), Digests()
    with digests.ahead([TorchTensor(weight)]):
        pass
    array = weight.numpy()
    later = [TorchTensor(weight), ir.Tensor(array), ir.Tensor(array.reshape(-1)), ir.Tensor(array.T)]
    first, *_, transposed = digests.of(later)
    assert first != transposed
    assert digests.of(later) == [first, first, first, transposed]
    assert len(hashed) == 2


def test_a_block_that_fails_leaves_the_rest_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, digests = [_weight(seed) for seed in range(64)], Digests()
    with pytest.raises(ZeroDivisionError), digests.ahead(TorchTensor(w) for w in weights):
        raise ZeroDivisionError
    assert digests.of([TorchTensor(w) for w in weights]) == [_sha256(w.numpy().tobytes()) for w in weights]
