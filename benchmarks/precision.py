"""What half precision costs in accuracy: ``python -m benchmarks.precision`` writes ``results/precision.json``.

A 142 M-parameter ``UNet2DConditionModel`` with random weights, 10 DDIM steps without guidance and, as latents have it,
without clipping: each precision against eager float32 after every step.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from samplegraph.export import Captures, compile
from samplegraph.export.precision.policy import PRECISIONS
from samplegraph.models import Sampler
from samplegraph.schedulers import create

RESULTS = Path(__file__).parent / "results" / "precision.json"
SHAPE, TOKENS, WIDTH, STEPS = (1, 4, 32, 32), 77, 768, 10


def unet() -> nn.Module:
    """4x32x32, cross-attention over 768 channels."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    model: nn.Module = UNet2DConditionModel(
        sample_size=32, block_out_channels=(128, 256, 512, 512), cross_attention_dim=WIDTH
    )
    return model.eval().requires_grad_(False)


def measure(model: nn.Module, precision: str, captures: Captures) -> dict[str, Any]:
    """Bytes, seconds, and error and cosine after every step."""
    sampler = Sampler(model, create("ddim", STEPS, clip_sample=False), None)
    hidden = torch.randn((1, TOKENS, WIDTH), generator=torch.Generator().manual_seed(1))
    program = compile(sampler, SHAPE, {"encoder_hidden_states": hidden}, captures=captures, precision=precision)
    result = program.verify()
    report = program.report()
    return {
        "weight_bytes": report.weight_bytes,
        "nodes": report.nodes,
        "seconds": {phase: round(value, 2) for phase, value in report.seconds.items()},
        "error": [float(f"{e:.3g}") for e in result.errors],
        "cosine": [round(c, 9) for c in result.cosines],
        **{name: [round(c, 9) for c in run] for name, run in result.others.items()},
        "least_cosine": round(result.cosine, 9),
        "note": program.note,
    }


def main() -> None:
    torch.set_num_threads(2)
    model, captures = unet(), Captures()
    record: dict[str, Any] = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": STEPS,
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }
    for precision in PRECISIONS:
        start = time.perf_counter()
        record[precision] = measure(model, precision, captures)
        print(f"{precision}: {time.perf_counter() - start:.0f} s, {json.dumps(record[precision])}", flush=True)
        RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
