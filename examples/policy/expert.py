"""Demonstrations: shortest ways under random prices, so that each scene is shown with several ways round.

Dijkstra's algorithm on a grid whose cells have random smooth prices chooses the way; an elastic band (Quinlan & Khatib
1993, "Elastic bands: connecting path planning and control") makes it short and smooth, clear of the obstacles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import zoom
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from examples.policy.world import MAX_STEP, Array, Scene, clearance

SPEED = 0.8 * MAX_STEP  # per tick; the rest is for catching up
SIDE = 37
EXTENT = 1.35
MARGIN = 0.1
PRICES = (0.5, 2.0)
BAND_POINTS, BAND_ROUNDS = 24, 600

_AXIS = np.linspace(-EXTENT, EXTENT, SIDE)
_CELLS = np.stack(np.meshgrid(_AXIS, _AXIS, indexing="ij"), axis=-1).reshape(-1, 2)
_OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))


@dataclass(frozen=True)
class Demonstration:
    """A scene and the expert's way through it, one place per tick: (T, 2)."""

    scene: Scene
    way: Array


def demonstrations(listed: Sequence[Scene], seed: int) -> list[Demonstration]:
    """One for each scene, except where there is no way or the band got caught."""
    generator = np.random.default_rng(seed)
    routed = [(s, r) for s in listed if (r := route(s, generator)) is not None]
    bands = elastic_bands([s for s, _ in routed], np.stack([r for _, r in routed]))
    kept = []
    for (scene, _), band in zip(routed, bands, strict=True):
        way = resampled(band, spacing=SPEED)
        room = min(MARGIN, float(clearance(scene.start, scene.obstacles))) - MARGIN / 4
        if clearance(way, scene.obstacles).min() > room:
            kept.append(Demonstration(scene, way))
    return kept


def route(scene: Scene, generator: np.random.Generator) -> Array | None:
    """The cheapest way over free cells under random prices, (BAND_POINTS, 2); None where there is none."""
    price = zoom(generator.uniform(*PRICES, (5, 5)), SIDE / 5, order=1, mode="nearest", grid_mode=True).ravel()
    free = clearance(_CELLS, scene.obstacles) > MARGIN / 2
    usable = free[_FROM] & free[_TO]
    a, b = _FROM[usable], _TO[usable]
    graph = csr_array((_LENGTH[usable] * (price[a] + price[b]), (a, b)), shape=(SIDE**2, SIDE**2))
    begin, end = (int(np.argmin(np.linalg.norm(_CELLS - p, axis=1) + 9 * ~free)) for p in (scene.start, scene.goal))
    _, before = dijkstra(graph, directed=False, indices=begin, return_predecessors=True)
    visited = [end]
    while visited[-1] != begin:
        if before[visited[-1]] < 0:
            return None
        visited.append(int(before[visited[-1]]))
    corners = np.vstack([scene.start, _CELLS[visited[::-1]][1:-1], scene.goal])
    return resampled(corners, points=BAND_POINTS)


def elastic_bands(listed: Sequence[Scene], ways: Array) -> Array:
    """Pull the ways (N, P, 2) straight, and push them ``MARGIN`` away from the obstacles."""
    bands, obstacles = ways.copy(), np.stack([s.obstacles for s in listed])
    ends = bands[:, [0, -1]].copy()
    for _ in range(BAND_ROUNDS):
        bands[:, 1:-1] += 0.45 * (bands[:, :-2] + bands[:, 2:] - 2 * bands[:, 1:-1])
        for k in range(obstacles.shape[1]):
            apart = bands - obstacles[:, None, k, :2]
            distance = np.maximum(np.linalg.norm(apart, axis=-1, keepdims=True), 1e-9)
            bands += apart / distance * np.maximum(obstacles[:, None, k, 2:] + MARGIN - distance, 0)
        bands[:, [0, -1]] = ends
    return bands


def resampled(way: Array, *, points: int = 0, spacing: float = 0.0) -> Array:
    """``way`` (P, 2) at equal distances: at ``points`` places, or every ``spacing`` and at its end."""
    walked = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    at = np.linspace(0, walked[-1], points) if points else np.append(np.arange(0, walked[-1], spacing), walked[-1])
    return np.stack([np.interp(at, walked, way[:, axis]) for axis in (0, 1)], axis=1)


def _edges() -> tuple[np.ndarray, np.ndarray, Array]:
    index = np.arange(SIDE**2).reshape(SIDE, SIDE)
    pairs = []
    for down, right in _OFFSETS:
        a = index[: SIDE - down, max(0, -right) : SIDE - max(0, right)]
        pairs.append(np.stack([a.ravel(), a.ravel() + down * SIDE + right]))
    begin, end = np.concatenate(pairs, axis=1)
    return begin, end, np.linalg.norm(_CELLS[begin] - _CELLS[end], axis=1)


_FROM, _TO, _LENGTH = _edges()
