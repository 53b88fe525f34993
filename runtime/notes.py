"""What a user wants to know of how an engine runs, and no error says."""

from __future__ import annotations

from collections.abc import Iterator


class Notes:
    """Sentences, each once, in the order in which they were found."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def add(self, sentence: str) -> None:
        """Keep ``sentence``."""
        self._found[sentence] = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)
