"""What is asked of a model once."""

from dataclasses import dataclass

__all__ = ["Sentence"]


@dataclass(frozen=True)
class Sentence:
    """A text, or a text and its pair: for question answering the question, and the text that may answer it."""

    text: str
    pair: str | None = None
