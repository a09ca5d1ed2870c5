"""Texts of a given length: something to run where only the number of tokens matters."""

from .errors import ModelError
from .sentences import encode_texts

__all__ = ["full_texts"]

_WORDS = ("a gripping , beautifully acted film that never loses its nerve and it finds quiet moments of warmth in a story that "
          "could so easily have been cold or merely clever").split()


def full_texts(checkpoint, count, length):
    """`count` different texts of exactly `length` tokens, or one or two less: nothing of the sequence is padding."""
    texts = []
    for number in range(count):
        words: list[str] = []
        while True:
            longer = [*words, _WORDS[(len(words) + 7 * number) % len(_WORDS)]]
            try:
                encode_texts(checkpoint, [" ".join(longer)], length)
            except ModelError:
                if not words:
                    raise
                break
            words = longer
        texts.append(" ".join(words))
    return texts
