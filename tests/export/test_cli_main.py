"""The command line itself: which command is meant, what errors look like, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import helper

from samplegraph.export.cli import main
from samplegraph.export.cli.errors import describe, exit_code
from samplegraph.export.cli.main import COMMANDS, command_line
from samplegraph.export.errors import ExportError, VerificationError
from samplegraph.runtime import InputError

SCRIPTS = Path(sys.executable).parent
OPTIONS = ["--scheduler", "ddim", "--steps", "25"]


def call(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("program", ["samplegraph", "export"])
@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["export", *OPTIONS], ["export", *OPTIONS]),
        (OPTIONS, ["export", *OPTIONS]),
        (["run", "x.onnx"], ["run", "x.onnx"]),
        (["inspect", "--help"], ["inspect", "--help"]),
        (["--version"], ["--version"]),
        (["export", "--help"], ["export", "--help"]),
        (["nonsense"], ["nonsense"]),
    ],
)
def test_a_bare_option_list_means_export(program: str, given: list[str], meant: list[str]) -> None:
    assert command_line(program, given) == meant


@pytest.mark.parametrize(("program", "meant"), [("samplegraph", []), ("export", ["export"])])
def test_what_a_lone_program_or_help_means(program: str, meant: list[str]) -> None:
    assert command_line(program, []) == meant
    assert command_line(program, ["--help"]) == [*meant, "--help"]


def test_every_command_is_listed_and_has_help_with_an_example() -> None:
    from samplegraph.export.cli.app import app

    assert {c.name or c.callback.__name__ for c in app.registered_commands if c.callback} == set(COMMANDS)
    for command in COMMANDS:
        text = call(SCRIPTS / "samplegraph", command, "--help").stdout
        assert f"Example: samplegraph {command}" in text


@pytest.mark.parametrize(
    "program",
    [
        [SCRIPTS / "samplegraph", "export"],
        [SCRIPTS / "samplegraph"],
        [SCRIPTS / "export"],
        [SCRIPTS / "export", "export"],
        [sys.executable, "-m", "samplegraph.export"],
        [sys.executable, "-m", "samplegraph.export", "export"],
    ],
)
def test_every_way_to_call_export_reaches_it(program: list[str | Path]) -> None:
    done = call(*program, "--no-such-option")
    assert done.returncode == 2
    assert done.stderr == "error: No such option: --no-such-option\n"


def test_version() -> None:
    assert call(SCRIPTS / "samplegraph", "--version").stdout.startswith("samplegraph 0.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["run"], "Missing argument"),
        (["run", "--samples", "many", "x.onnx"], "'--samples'"),
        (["run", "no-such-file.onnx"], "no-such-file.onnx: no such file"),
        (["inspect", "no-such-file.onnx"], "no-such-file.onnx: no such file"),
    ],
)
def test_errors_are_one_line_and_exit_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, program="samplegraph") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "no-such-file.onnx", "--debug"], program="samplegraph") == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("error: no-such-file.onnx: no such file")


@pytest.mark.parametrize(
    ("error", "text", "code"),
    [
        (InputError("a\nb"), "a b", 2),
        (ExportError("wrong"), "wrong", 2),
        (VerificationError("differs"), "differs", 1),
        (PermissionError(13, "Permission denied", "/x/y"), "/x/y: Permission denied", 2),
        (OSError(28, "No space left on device"), "No space left on device", 2),
        (MemoryError("5 TB"), "out of memory (5 TB); give fewer samples or a smaller batch", 2),
        (
            ValueError("x\ny"),
            "unexpected ValueError: x y; run again with --debug and report it",
            2,
        ),
    ],
)
def test_descriptions(error: Exception, text: str, code: int) -> None:
    assert describe(error) == text
    assert exit_code(error) == code


def test_an_interrupt_exits_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from samplegraph.export.cli import main as module

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["samplegraph.export.cli.main"], "_run", interrupted)
    assert module([], program="samplegraph") == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_ctrl_c_inside_the_inference_engine(toy: Callable[..., Path], tmp_path: Path) -> None:
    """The process ends at once although ONNX Runtime is inside a call of half a minute; the old file is intact.

    Without ``os._exit`` ONNX Runtime would abort the process instead (exit code -6).
    """
    path = toy(shape=(1, 1024, 1024), conditions=())
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "y0"
    for i in range(1000):
        model.graph.node.append(helper.make_node("MatMul", [f"y{i}", f"y{i}"], [f"y{i + 1}"]))
    model.graph.node.append(helper.make_node("Identity", ["y1000"], ["sample"]))
    path.write_bytes(model.SerializeToString())
    code = """
import signal, sys
from samplegraph.export.cli import main
from samplegraph.runtime.onnx_session import OnnxSession

def run(self, feed, original=OnnxSession.run):
    print("running", flush=True)
    return original(self, feed)

OnnxSession.run = run
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with it ignored
sys.exit(main(sys.argv[1:], program="samplegraph"))
"""
    output = tmp_path / "x.png"
    output.write_bytes(b"old")
    command = [sys.executable, "-c", code, "run", str(path), "--output", str(output)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    time.sleep(0.3)
    start = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "error: interrupted\n"
    assert time.perf_counter() - start < 5
    assert output.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toy-ddim-3.onnx", "x.png"]


PRINT = """
import sys
from samplegraph.export.cli import main
sys.modules[main.__module__]._run = lambda arguments: print("text")
sys.exit(main(sys.argv[1:], program="samplegraph"))
"""


@pytest.mark.parametrize("program", [[SCRIPTS / "samplegraph"], [sys.executable, "-c", PRINT]])
def test_a_closed_pipe_is_no_error(toy: Callable[..., Path], program: list[str | Path]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [*map(str, program), "inspect", str(toy()), "--json"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_command_line_names_its_extra_where_typer_is_missing() -> None:
    code = "import sys; sys.modules['typer'] = None; from samplegraph.export.cli import main; "
    code += "sys.exit(main(['list']))"
    done = call(sys.executable, "-c", code)
    assert (done.returncode, done.stderr) == (
        2,
        'error: the command line needs typer; pip install "samplegraph[cli]"\n',
    )
