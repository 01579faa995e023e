"""What is wrong with a configuration file as a document, before anybody asks what it means."""

from __future__ import annotations

__all__ = ["EMPTY", "DocumentError"]

EMPTY = "the file is empty; it needs a list of mounts, or a mapping with 'mounts'"


class DocumentError(Exception):
    """What is wrong with a document and where (from 1); shows none of its content."""

    def __init__(self, text: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.line = line
        self.column = column

    def __str__(self) -> str:
        if self.line is None:
            return self.text
        where = f"line {self.line}"
        if self.column is not None:
            where += f", column {self.column}"
        return f"{where}: {self.text}"
