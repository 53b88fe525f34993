"""``--model``: what loads, and what is said where it does not; and declarations that contradict themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from samplegraph.models import Condition, ModelSpec
from samplegraph.models.load import load_model
from samplegraph.models.spec import spec_of
from samplegraph.schedulers import OptionError


def test_a_factory_gives_a_model_in_evaluation_mode() -> None:
    model = load_model("networks:TinyUNet")
    assert isinstance(model, nn.Module)
    assert not any(module.training for module in model.modules())


def test_a_class_is_a_factory() -> None:
    assert spec_of(load_model("networks:TinyUNet")).name == "tiny"


def test_the_current_folder_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_denoiser.py").write_text("from torch import nn\n\ndef make():\n    return nn.Linear(2, 2)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert isinstance(load_model("my_denoiser:make"), nn.Linear)
    sys.modules.pop("my_denoiser")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("digit", "model='digit' is not known; choose one of digits.*; did you mean 'digits'?"),
        ("nothing:x", "module 'nothing' cannot be imported .ModuleNotFoundError"),
        ("cli_models:tinny", "cli_models has no function 'tinny'; did you mean 'tiny'?"),
        ("cli_models:number", "returned int; the factory has to return a torch.nn.Module"),
        ("cli_models:raises", "cannot be made: RuntimeError: no weights here"),
        ("cli_models:leaves", "cannot be made: SystemExit: 3"),
        ("cli_models:needs_argument", "cannot be made: TypeError"),
        ("torch.nn:Linear", "cannot be made: TypeError"),
        ("builtins:dict", "returned dict"),
        (":", "model=':' is no package.module:factory; give one, such as"),
    ],
)
def test_errors(source: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        load_model(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prediction_type": "noise"}, "prediction_type='noise' is not known; choose one of epsilon"),
        ({"timestep_dtype": "float16"}, "timestep_dtype='float16' is not known; choose one of float32"),
        ({"conditions": (Condition("a"), Condition("a"))}, "name one twice"),
    ],
)
def test_declarations(fields: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        ModelSpec(**fields)  # type: ignore[arg-type]


def test_the_dtype_of_a_condition() -> None:
    with pytest.raises(OptionError, match="dtype of condition 'a'='uint8' is not known; choose one of float32"):
        Condition("a", dtype="uint8")
