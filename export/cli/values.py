"""``name=value`` on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from samplegraph.export.cli.image_file import load_picture
from samplegraph.runtime import InputError

_WORDS = {"true": True, "false": False, "null": None, "none": None}


def parse_settings(items: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """``["class_labels=0,1", "eta=0.5"]`` -> ``{"class_labels": [0, 1], "eta": 0.5}``.

    Raises:
        InputError: no ``=``, a name given twice, or a value that cannot be read.
    """
    settings: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(
                f"{option} {item!r} is not name=value; write for example {option} class_labels=0,1,2"
            )
        if name in settings:
            raise InputError(f"{option} {name} is given twice; give it once, a list as {name}=1,2,3")
        settings[name] = parse_value(text, name)
    return settings


def parse_value(text: str, name: str = "value") -> Any:
    """A number, true, false, null, a comma list, JSON (``[...]``, ``{...}``), ``@file.npy``, ``@file.png``, a word.

    Raises:
        InputError: empty, broken JSON, or a file that cannot be read.
    """
    text = text.strip()
    if not text:
        raise InputError(f"{name}= has no value; give a number, a list such as 0,1,2, or @file.npy")
    if text[0] == "@":
        path = Path(text[1:])
        return load_picture(path, name) if path.suffix.lower() == ".png" else load_array(path, name)
    if text[0] in '[{"':
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{name}={text} is not JSON ({error}); write for example {name}=[1,2,3]"
            ) from error
    if "," in text:
        return [_scalar(part.strip(), name) for part in text.removesuffix(",").split(",")]
    return _scalar(text, name)


def whole_number(name: str, text: str) -> int:
    """``"25"`` -> ``25``.

    Raises:
        InputError: not a whole number.
    """
    try:
        return int(text if "_" not in text else "")  # Python reads 1_0 as 10
    except ValueError as error:
        raise InputError(f"{name}={text} is not allowed; give a whole number") from error


def parse_seed(text: str) -> int | list[int]:
    """``0`` or ``0,1,2``.

    Raises:
        InputError: not whole numbers.
    """
    value = parse_value(text, "seed")
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, bool) or not isinstance(each, int):
            raise InputError(
                f"seed={text} is not allowed; give a whole number, or one per sample such as 0,1,2"
            )
    seeds: int | list[int] = value
    return seeds


def load_array(path: Path, name: str) -> np.ndarray[Any, Any]:
    """The array in a ``.npy`` file.

    Raises:
        InputError: no such file, or not an array of numbers.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        reason = error.strerror or "it is not a .npy file"
        raise InputError(f"{name}=@{path}: cannot be read ({reason}); give a .npy file") from error
    except Exception as error:  # numpy reads the header with ast and tokenize
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{name}=@{path}: not a usable .npy file ({reason}); write it with numpy.save"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"{name}=@{path}: holds several arrays; give a .npy file with one")
    return array


def _scalar(text: str, name: str) -> bool | int | float | str | None:
    if not text:
        raise InputError(f"{name}: an empty entry in a list; write it as {name}=0,1,2")
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if "_" not in text:  # Python reads 1_0 as 10
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text
