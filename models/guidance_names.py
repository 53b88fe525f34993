"""What a guidance is called in a file name."""

from __future__ import annotations

import hashlib

from samplegraph.models.guidance import INPUT, Guidance


def guidance_stem(guidance: Guidance) -> str:
    """What distinguishes files: ``-g2`` a baked scale, ``-gl1f2e3d`` a list of them, ``-gi0.3-5`` an interval in sigma,
    ``-gs0.2-0.8`` one in steps, ``-gr0.7`` a rescaling; nothing for a scale that is an input everywhere."""
    stem, scale, interval = "", guidance.scale, guidance.interval
    if isinstance(scale, tuple):
        stem += f"-gl{hashlib.sha256(repr(scale).encode()).hexdigest()[:6]}"
    elif scale != INPUT:
        stem += f"-g{1 if scale is None else scale:g}"
    if interval is not None:
        stem += f"-g{'i' if interval.unit == 'sigma' else 's'}{interval.low:g}-{interval.high:g}"
    if guidance.rescale:
        stem += f"-gr{guidance.rescale:g}"
    return stem
