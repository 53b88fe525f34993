"""The documents say what is so: their Python runs, their commands parse, what they quote is in the code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from samplegraph.export.cli.errors import is_usage
from samplegraph.runtime import manifest as manifest_module

ROOT = Path(__file__).parents[1]
FOLDERS = [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *FOLDERS]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
FENCE = re.compile(
    r"(?:<!-- from (?P<source>\S+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*src=\"([^\"]+)\"")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of that language."""
    return [m["text"] for m in FENCE.finditer(page.read_text(encoding="utf-8")) if m["language"] == language]


def commands(page: Path) -> list[list[str]]:
    """Command lines, each line of a ``sh`` block, without what follows ``#``."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def without_environment(words: list[str]) -> list[str]:
    """``words`` without ``NAME=value`` in front and without ways to call a program."""
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    for lead in (["env"], ["uv", "run"], ["python", "-m"]):
        if words[: len(lead)] == lead:
            words = words[len(lead) :]
    return [words[0].removeprefix(".venv/bin/"), *words[1:]]


def parse(arguments: list[str]) -> None:
    """Parse a samplegraph command line without running it; raises as typer does."""
    import typer

    from samplegraph.export.cli.app import app
    from samplegraph.export.cli.main import command_line

    group: Any = typer.main.get_command(app)
    context = group.make_context("samplegraph", command_line("samplegraph", arguments), resilient_parsing=False)
    _, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context(command.name, rest, parent=context)


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_ones_that_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for command in commands(ROOT / name):
        match without_environment(command):
            case ["make", *rest]:
                assert {word for word in rest if "=" not in word} <= targets, command
            case ["samplegraph" | "export" | "samplegraph.export", *arguments]:
                parse(arguments)
            case ["pip", "install", *what]:
                for extra in re.findall(r"\[(.*?)\]", " ".join(what)):
                    assert set(extra.split(",")) <= set(EXTRAS), command
            case ["examples.policy" | "examples.signal" as example, *arguments]:
                import_module(f"{example}.__main__").parser().parse_args(arguments)
            case ["git", "clone", _] | ["cd", _] | ["pytest" | "ruff" | "mypy", *_]:
                pass
            case other:
                pytest.fail(f"{name} shows a command that no test knows: {other}")


def refused(arguments: list[str]) -> bool:
    """Whether the command line calls this wrong usage."""
    try:
        parse(arguments)
    except Exception as error:
        return is_usage(error)
    return False


def test_the_parser_refuses_what_the_command_line_refuses() -> None:
    assert not refused(["export", "--scheduler", "ddim", "--steps", "25"])
    assert refused(["export", "--step", "25"])
    assert refused(["run"])
    assert refused(["run", "x.onnx", "--sed", "0"])


@pytest.mark.parametrize("name", NAMES)
def test_quotations_are_in_the_code(name: str) -> None:
    for match in FENCE.finditer((ROOT / name).read_text(encoding="utf-8")):
        if match["source"] is not None:
            assert match["text"] in (ROOT / match["source"]).read_text(encoding="utf-8"), match["text"]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    for found in LINK.findall((ROOT / name).read_text(encoding="utf-8")):
        target = (found[0] or found[1]).partition("#")[0]
        if target and not target.startswith(("http://", "https://")):
            assert ((ROOT / name).parent / target).exists(), target


def test_readme_python_runs(tmp_path: Path) -> None:
    """Blocks that begin with ``# file.py`` are files; the others are scripts, run in order in one folder."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    scripts = 0
    for block in blocks(ROOT / "README.md", "python"):
        if named := re.match(r"# (\w+\.py)\n", block):
            (tmp_path / named[1]).write_text(block, encoding="utf-8")
            continue
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        scripts += 1
    assert scripts
    for command in commands(ROOT / "README.md"):
        words = without_environment(command)
        if words[0] == "samplegraph" and any((tmp_path / f"{w.partition(':')[0]}.py").exists() for w in words):
            line = [sys.executable, "-m", "samplegraph.export", *words[1:]]
            done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr


def test_readme_begins_with_python_of_ten_lines_at_most() -> None:
    first = blocks(ROOT / "README.md", "python")[0]
    assert sum(1 for line in first.splitlines() if line.strip()) <= 10


def test_the_picture_is_small() -> None:
    assert 1_000 < (ROOT / "docs" / "images" / "digits.png").stat().st_size < 100_000


@pytest.mark.slow
def test_the_picture_is_what_the_demo_draws(tmp_path: Path) -> None:
    """Up to rounding, which differs between processors."""
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe is not None
    for line in recipe[1].splitlines()[:2]:
        words = shlex.split(line.replace("$(STEM)", "build/digits-ddim-25"))
        command = [sys.executable, "-m", "samplegraph.export", *words[1:]]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    shown, drawn = (
        np.asarray(Image.open(file)).astype(float)
        for file in (ROOT / "docs" / "images" / "digits.png", tmp_path / "build" / "digits.png")
    )
    assert shown.shape == drawn.shape
    assert np.abs(shown - drawn).max() <= 2


def test_every_field_of_the_manifest_is_documented() -> None:
    text = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    classes = {c.__name__: c for c in vars(manifest_module).values() if isinstance(c, type) and is_dataclass(c)}
    assert set(sections) == set(classes)
    for name, cls in classes.items():
        table = sections[name].partition("| role |")[0]
        assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == _in_order(name, [f.name for f in fields(cls)])
    roles = re.findall(r"^\| `(\w+)` \|", sections["Tensor"].partition("| role |")[2], re.MULTILINE)
    assert tuple(roles) == manifest_module.ROLES


def _in_order(name: str, names: list[str]) -> list[str]:
    """The manifest's own page begins with its format."""
    return [*names[-2:], *names[:-2]] if name == "Manifest" else names
