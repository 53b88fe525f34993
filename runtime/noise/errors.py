"""The one exception that this package raises."""

from __future__ import annotations


class NoiseError(ValueError):
    """An argument of a noise draw is not usable.

    The message is one line: the argument, its value, what is allowed, and how to put it right.
    """

    def __init__(self, argument: str, value: object, allowed: str, fix: str) -> None:
        self.argument = argument
        self.value = value
        self.allowed = allowed
        self.fix = fix
        super().__init__(f"{argument}={_short(value)}: allowed is {allowed}; {fix}")


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."
