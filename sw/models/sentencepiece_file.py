"""Read the file of a SentencePiece model: its pieces, and how it normalises text.

The file is a protocol buffer (``sentencepiece_model.proto``), of which few fields matter. Reading those takes less than
the two libraries that would read all of them.
"""

import struct
from dataclasses import dataclass
from typing import Any

from .errors import ModelError
from .files import read_bytes

__all__ = ["CONTROL", "USER_DEFINED", "Piece", "SentencePieces", "read_pieces"]

PIECES, TRAINER, NORMALIZER = 1, 2, 3
PIECE, SCORE, KIND = 1, 2, 3
MODEL_TYPE, UNKNOWN_NUMBER = 3, 40
CHARACTER_MAP = 2
UNIGRAM = 1
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
MODEL_TYPES = {1: "Unigram", 2: "BPE", 3: "word", 4: "character"}


@dataclass(frozen=True)
class Piece:
    """One piece of text, its score, and its kind (`CONTROL`, `USER_DEFINED`, or another)."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True)
class SentencePieces:
    """A Unigram model.

    Members
    -------
    pieces : tuple of Piece
    unknown : the number of the piece that stands for unknown text
    character_map : bytes
        How characters are normalised, as compiled by SentencePiece; empty if they are not.
    """

    pieces: tuple[Piece, ...]
    unknown: int
    character_map: bytes


def read_pieces(path):
    """The SentencePieces of a file.

    Raises
    ------
    ModelError : for a file that holds no SentencePiece model, or one that is not Unigram
    """
    content = read_bytes(path)
    try:
        pieces: list[Piece] = []
        trainer: dict[int, Any] = {}
        normalizer: dict[int, Any] = {}
        for field, value in _fields(content):
            if field == PIECES:
                pieces.append(_piece(dict(_fields(value))))
            elif field == TRAINER:
                trainer |= dict(_fields(value))
            elif field == NORMALIZER:
                normalizer |= dict(_fields(value))
        kind, character_map = trainer.get(MODEL_TYPE, UNIGRAM), bytes(normalizer.get(CHARACTER_MAP, b""))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error):
        pieces = []
    if not pieces:
        raise ModelError(f"{path}: is not a SentencePiece model: fetch the file again")
    if kind != UNIGRAM:
        raise ModelError(f"{path}: is a {MODEL_TYPES.get(kind, kind)} model, only Unigram is read: save tokenizer.json with "
                         "transformers")
    return SentencePieces(tuple(pieces), trainer.get(UNKNOWN_NUMBER, 0), character_map)


def _piece(fields):
    return Piece(bytes(fields[PIECE]).decode("utf-8"), struct.unpack("<f", fields.get(SCORE, bytes(4)))[0],
                 fields.get(KIND, NORMAL))


def _fields(message):
    """Number and value of every field of a message: a whole number, or the bytes of anything else."""
    view, position = memoryview(message), 0
    while position < len(view):
        tag, position = _varint(view, position)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(view, position)
            yield field, value
            continue
        if wire == 2:
            size, position = _varint(view, position)
        else:
            size = {1: 8, 5: 4}[wire]
        if position + size > len(view):
            raise ValueError("the message ends inside a field")
        yield field, view[position : position + size]
        position += size


def _varint(view, position):
    value = shift = 0
    while True:
        byte = view[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
