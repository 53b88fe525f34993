"""The policy: its world and expert, success through torch, the graph and C++, and the control loop's pace."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples import native
from examples.policy import figures
from examples.policy.control import Run, drive, eager, graph, success_rate
from examples.policy.evaluate import HELD_OUT, exported, sampler
from examples.policy.expert import SPEED, demonstrations
from examples.policy.world import (
    CANDIDATES,
    EXECUTED,
    MAX_STEP,
    Scene,
    clearance,
    follow,
    mirrored,
    observe,
    scenes,
    turned,
    write_scenes,
)

SCENES = 6
OBJECTIVES = ("ddim", "flow")
STEPS = 4
Program = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def held_out() -> list[Scene]:
    return scenes(SCENES, HELD_OUT)


@pytest.fixture(scope="module", params=OBJECTIVES)
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The objective, and its graph."""
    return request.param, exported(request.param, STEPS, tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def reference(policy: tuple[str, Path], held_out: list[Scene]) -> list[Run]:
    """The runs through eager torch."""
    return drive(eager(sampler(policy[0], STEPS)), held_out)


def loop(binary: Path, file: Path, listed: list[Scene], folder: Path, *more: object) -> dict[str, Any]:
    """What the control loop prints."""
    write_scenes(folder / "scenes.txt", listed)
    printed: dict[str, Any] = json.loads(native.call(binary, file, folder / "scenes.txt", *more)[0])
    return printed


def test_the_eager_policy_reaches_the_goal(reference: list[Run]) -> None:
    assert success_rate(reference) >= 0.9


def test_the_graph_goes_the_same_ways(policy: tuple[str, Path], held_out: list[Scene], reference: list[Run]) -> None:
    for ours, theirs in zip(drive(graph(policy[1]), held_out), reference, strict=True):
        assert ours.outcome == theirs.outcome
        assert ours.path.shape == theirs.path.shape
        assert np.abs(ours.path - theirs.path).max() < 1e-5


@pytest.mark.parametrize("candidates", [CANDIDATES, 1])
def test_the_cpp_loop_goes_the_same_ways(
    candidates: int, policy: tuple[str, Path], held_out: list[Scene], program: Program, tmp_path: Path
) -> None:
    """With one candidate some runs end in collisions, here as there."""
    in_python = drive(graph(policy[1]), held_out, candidates)
    more = ("--candidates", candidates, "--paths", tmp_path / "paths.txt")
    said = loop(program("policy", "control_loop"), policy[1], held_out, tmp_path, *more)
    assert said["outcomes"] == [run.outcome for run in in_python]
    assert said["success"] == pytest.approx(success_rate(in_python), abs=1e-4)
    lines = (tmp_path / "paths.txt").read_text().splitlines()
    for line, run in zip(lines, in_python, strict=True):
        path = np.array(line.split(), dtype=np.float64).reshape(-1, 2)
        assert path.shape == run.path.shape
        assert np.abs(path - run.path).max() < 1e-6


@pytest.fixture(scope="module")
def any_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph for what does not depend on the objective."""
    return exported("ddim", 2, tmp_path_factory.mktemp("policy"))


def test_the_cpp_loop_keeps_its_rate(any_policy: Path, held_out: list[Scene], program: Program, tmp_path: Path) -> None:
    begin = time.monotonic()
    said = loop(program("policy", "control_loop"), any_policy, held_out[:2], tmp_path, "--rate", 250)
    seconds = time.monotonic() - begin
    assert said["ticks"] / 250 <= seconds + 0.01
    assert said["wake_ms"]["count"] == said["ticks"]
    assert said["ticks"] / EXECUTED <= said["plan_ms"]["count"] <= said["ticks"] / EXECUTED + 2
    for times in (said["plan_ms"], said["wake_ms"]):
        assert 0 <= times["p50"] <= times["p90"] <= times["p99"] <= times["max"]


def test_a_rate_that_cannot_be_kept_is_counted(
    any_policy: Path, held_out: list[Scene], program: Program, tmp_path: Path
) -> None:
    said = loop(program("policy", "control_loop"), any_policy, held_out[:1], tmp_path, "--rate", 1e6)
    assert said["missed_deadlines"] >= said["plan_ms"]["count"]


@pytest.mark.parametrize(
    ("line", "more", "said"),
    [
        ("", (), "holds no scenes"),
        ("0 0 1", (), "holds no scenes"),
        ("0 0 1 1 0.5 0.5", (), "line 1"),
        ("", ("--candidates", "17"), "--candidates 1 to 16"),
        ("", ("--candidates", "0.5"), "--candidates 1 to 16"),
        ("", ("--rate", "-1"), "--rate HZ"),
    ],
)
def test_bad_scenes_and_options_are_refused(
    program: Program, tmp_path: Path, line: str, more: tuple[str, ...], said: str
) -> None:
    """Before the graph is looked for."""
    (tmp_path / "scenes.txt").write_text(line)
    command = [program("policy", "control_loop"), tmp_path / "gone.onnx", tmp_path / "scenes.txt", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=native.environment())
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_policy_knows_both_ways_round(objective: str) -> None:
    """One obstacle in the middle of a symmetric scene, the other far away."""
    obstacles = np.array([[0.0, 0.0, 0.2], [0.0, 0.9, 0.12]])
    scene = Scene(np.array([-0.7, 0.0]), np.array([0.7, 0.0]), obstacles)
    runs = drive(eager(sampler(objective, STEPS)), [scene] * 16, 4)
    sides = Counter(bool(run.path[len(run.path) // 2, 1] > 0) for run in runs if run.outcome == "goal")
    assert min(sides[True], sides[False]) >= 3


def test_the_figures_are_those_that_were_measured_and_reach_the_bars() -> None:
    """Success of at least 90 % through torch, and within 2 points of it through the graph and C++."""
    found = json.loads(figures.FILE.read_text(encoding="utf-8"))
    assert f"{figures.BEGIN}\n{figures.tables(found)}\n{figures.END}" in figures.README.read_text(encoding="utf-8")
    assert found["scenes"] >= 300
    rows = {(row["objective"], row["steps"], row["candidates"]): row for row in found["success"]}
    assert set(rows) == set(product(OBJECTIVES, figures.STEPS, figures.CANDIDATES))
    for row in rows.values():
        assert row["eager"] >= 0.9, row
        assert max(abs(row[way] - row["eager"]) for way in ("graph", "cpp")) <= 0.02, row


def test_demonstrations_lead_to_the_goal_clear_of_obstacles(held_out: list[Scene]) -> None:
    shown = demonstrations(held_out, 0)
    assert len(shown) >= 0.9 * SCENES
    for each in shown:
        assert np.allclose(each.way[0], each.scene.start)
        assert np.allclose(each.way[-1], each.scene.goal)
        assert np.linalg.norm(np.diff(each.way, axis=0), axis=1).max() <= SPEED + 1e-9
        assert clearance(each.way, each.scene.obstacles).min() > 0.05


def test_a_turn_and_its_mirror_lead_back() -> None:
    generator = np.random.default_rng(0)
    vectors, angle = generator.normal(size=(7, 2)), generator.uniform(0, 7, (7, 1))
    axis = np.hstack([np.cos(angle), np.sin(angle)])
    assert np.allclose(turned(turned(vectors, axis), mirrored(axis)), vectors)
    assert np.allclose(turned(axis, axis), [1, 0])


def test_what_is_seen_does_not_depend_on_where_north_is(held_out: list[Scene]) -> None:
    scene = held_out[0]
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    obstacles = scene.obstacles.copy()
    obstacles[:, :2] = obstacles[:, :2] @ turn.T
    other = replace(scene, start=turn @ scene.start, goal=turn @ scene.goal, obstacles=obstacles)
    seen, _ = observe(scene.start[None], scene.goal[None], scene.obstacles[None])
    again, _ = observe(other.start[None], other.goal[None], other.obstacles[None])
    assert np.allclose(seen, again, atol=1e-6)


def test_a_tick_is_no_longer_than_allowed() -> None:
    place, near, far = np.zeros((2, 2)), np.array([[0.003, 0.004]]), np.array([[3.0, 4.0]])
    after = follow(place, np.vstack([near, far]))
    assert np.allclose(after[0], near)
    assert np.allclose(after[1], np.array([0.6, 0.8]) * MAX_STEP)
