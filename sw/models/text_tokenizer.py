"""From texts to token numbers and back to the places in the text, with the special tokens of the model."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer

from .errors import ModelError

__all__ = ["Encoded", "TextTokenizer"]


@dataclass(frozen=True)
class Encoded:
    """The tokens of a text, or of a text and its pair, special tokens included.

    Members
    -------
    ids : tuple of int
        Token numbers.
    names : tuple of str
        The tokens themselves, as the vocabulary spells them.
    types : tuple of int
        Token type numbers.
    offsets : tuple of (int, int)
        First character, and the one behind the last, of the text or pair that a token comes from; (0, 0) for tokens that
        the model adds.
    parts : tuple
        0 for a token of the text, 1 for one of the pair, None for one that the model adds.
    words : tuple
        The number of the word, within its text or pair, that a token belongs to; None for tokens that the model adds.
    special : tuple of bool
        Whether the model adds the token.
    lost : int
        Tokens that were cut.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    types: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    parts: tuple[int | None, ...]
    words: tuple[int | None, ...]
    special: tuple[bool, ...]
    lost: int = 0

    def __len__(self):
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class TextTokenizer:
    """The tokenizer of a model.

    Members
    -------
    backend : tokenizers.Tokenizer
        Neither cuts nor pads.
    special : dict of str to str
        The special tokens by their roles: ``pad, unk, cls, sep, mask, bos, eos``, as far as the model has them.
    truncation_side, padding_side : str
        Where long texts lose tokens, and where short ones are filled: "right" or "left".
    model_max_length : int, optional
        The longest text of the model by the tokenizer's files, None if they do not limit it.
    """

    backend: Tokenizer
    special: dict[str, str]
    truncation_side: str = "right"
    padding_side: str = "right"
    model_max_length: int | None = None

    @property
    def pad_id(self):
        """Number of the token that fills up short texts."""
        return self.special_id("pad")

    @property
    def unk_id(self):
        """Number of the token for unknown text, None if there is none."""
        return self.special_id("unk")

    @property
    def mask_token(self):
        """The token that hides a word, None if there is none."""
        return self.special.get("mask")

    @property
    def mask_id(self):
        """Number of the token that hides a word, None if there is none."""
        return self.special_id("mask")

    def special_id(self, role):
        """Number of the special token with a role (``cls``, ``sep``, ...), None if there is none."""
        return self.backend.token_to_id(self.special[role]) if role in self.special else None

    def name(self, number):
        """The token with a number, None if there is none."""
        return self.backend.id_to_token(number)

    def added(self, pair=False):
        """How many tokens the model adds to a text, or to a text and its pair."""
        return self.backend.num_special_tokens_to_add(pair)

    def encode(self, text, pair=None, *, longest=None, cut="longest_first"):
        """Tokenise a text, or a text and its pair.

        Parameters
        ----------
        text : str
        pair : str, optional
            An empty pair is no pair.
        longest : int, optional
            Tokens, those that the model adds included, to which a longer text is cut at the truncation side.
        cut : str
            What loses tokens: "longest_first" takes them from the longer of text and pair, "only_second" from the pair.

        Returns
        -------
        Encoded

        Raises
        ------
        ModelError
            For a text that is no valid Unicode, or one that cannot be cut to `longest`.
        """
        return self.encode_many([text], [pair], longest=longest, cut=cut)[0]

    def encode_many(self, texts, pairs=None, *, longest=None, cut="longest_first"):
        """Tokenise many texts at once, in less time than one after the other.

        Parameters
        ----------
        texts : sequence of str
        pairs : sequence of str or None, optional
            One for every text.
        longest, cut : as for `encode`

        Returns
        -------
        list of Encoded

        Raises
        ------
        ModelError : as `encode`
        """
        pairs = [None] * len(texts) if pairs is None else pairs
        inputs = [(text, pair) if pair else text for text, pair in zip(texts, pairs, strict=True)]
        whole = self._encode(inputs)
        kept = dict(enumerate(whole))
        if longest is not None:
            long = [number for number, encoding in kept.items() if len(encoding.ids) > longest]
            kept |= zip(long, self._cut([inputs[number] for number in long], longest, cut), strict=True)
        return [_encoded(kept[number], len(encoding.ids)) for number, encoding in enumerate(whole)]

    def _cut(self, inputs, longest, cut):
        """Encodings of inputs that are all longer than `longest`."""
        if not inputs:
            return []
        least = max(self.added(isinstance(text, tuple)) for text in inputs)
        if longest < least:
            raise ModelError(f"a text cannot be cut to {longest} tokens, the model adds {least}: allow more")
        self.backend.enable_truncation(longest, strategy=cut, direction=self.truncation_side)
        try:
            return self._encode(inputs)
        finally:
            self.backend.no_truncation()

    def _encode(self, inputs) -> Sequence[Encoding]:
        try:
            if len(inputs) == 1:
                first = inputs[0]
                return [self.backend.encode(*first) if isinstance(first, tuple) else self.backend.encode(first)]
            return self.backend.encode_batch(inputs)
        except TypeError:
            for text in (part for entry in inputs for part in ([entry] if isinstance(entry, str) else entry)):
                _refuse_surrogates(text)
            raise
        except Exception as error:  # the library raises plain Exception
            raise ModelError(f"the library tokenizers refuses the text ({error}): {_remedy(str(error))}") from None


def _refuse_surrogates(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ModelError(f"text {text[:20]!r} is no valid Unicode ({error.reason}): remove the character "
                         f"{text[error.start]!r}") from None


def _remedy(message):
    if "Truncation" in message:
        return "allow more tokens, or let the longer of text and pair be cut"
    return "use the tokenizer of this model"


def _encoded(encoding, length):
    """What the library says of a text that had `length` tokens."""
    return Encoded(tuple(encoding.ids), tuple(encoding.tokens), tuple(encoding.type_ids), tuple(encoding.offsets),
                   tuple(encoding.sequence_ids), tuple(encoding.word_ids), tuple(map(bool, encoding.special_tokens_mask)),
                   length - len(encoding.ids))
