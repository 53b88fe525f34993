"""runtime/cpp/README.md shows what is tested."""

from __future__ import annotations

import re
from pathlib import Path

CPP = Path(__file__).parents[2] / "runtime" / "cpp"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (CPP / "README.md").read_text(encoding="utf-8"), re.S | re.M)


def test_the_cpp_example_is_the_file() -> None:
    assert blocks("cpp")[0] == (CPP / "examples" / "sample.cpp").read_text(encoding="utf-8")


def test_the_cmake_example_is_in_the_consumer() -> None:
    consumer = (CPP / "examples" / "consumer" / "CMakeLists.txt").read_text(encoding="utf-8")
    assert all(line in consumer.splitlines() for line in blocks("cmake")[0].splitlines())


def test_the_folders_are_there() -> None:
    text = (CPP / "README.md").read_text(encoding="utf-8")
    for folder in re.findall(r"\b((?:src|include)?/?[a-z]+)/(?=\s)", text.split("## Layout")[1].split("Tests:")[0]):
        assert (CPP / folder).is_dir(), folder
