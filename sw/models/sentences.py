"""Texts, or pairs of texts, as token numbers: what every batch starts from."""

from dataclasses import dataclass

import torch

from .errors import ModelError
from .sentence import Sentence
from .text_tokenizer import Encoded
from .tokens import Tokens, place_rows

__all__ = ["Batch", "count_cut", "encode_sentences", "encode_texts"]


@dataclass(frozen=True)
class Batch:
    """Sentences as token numbers.

    Parameters
    ----------
    sentences : Sentence each, as the tokenizer gets it
    ids : int64 Tensor [sentences, columns], padded
    encoded : Encoded of each sentence
    tokens : Tokens of each sentence
    """

    sentences: tuple[Sentence, ...]
    ids: torch.Tensor
    encoded: tuple[Encoded, ...]
    tokens: tuple[Tokens, ...]

    @property
    def lengths(self):
        """Tokens of each sentence, those that the model adds included."""
        return [len(one) for one in self.encoded]

    @property
    def cut(self):
        """How many sentences lost tokens."""
        return sum(one.lost > 0 for one in self.encoded)

    def part(self, numbers, columns=None):
        """The Batch of some of the sentences, padded to the longest of them or to `columns`."""
        sentences, encoded, tokens = (tuple(one[number] for number in numbers)
                                      for one in (self.sentences, self.encoded, self.tokens))
        return Batch(sentences, self.ids[list(numbers), : columns or max(map(len, encoded))], encoded, tokens)

    def filled(self, places):
        """The Batch with its last sentence again, as often as its number needs to be a multiple of `places`."""
        return self.part([*range(len(self.encoded)), *[len(self.encoded) - 1] * (-len(self.encoded) % places)],
                         self.ids.shape[1])


def encode_sentences(checkpoint, sentences, length=None, *, longest=None, refused=None):
    """Tokenise sentences, with the tokens that the model adds, padded with its padding.

    Parameters
    ----------
    checkpoint : Checkpoint
        Gives the tokenizer, the longest length, and whether masked tokens are to be found.
    sentences : sequence of Sentence
        At least one, none empty.
    length : int, optional
        Columns of the result; the longest sentence's tokens by default.
    longest : int, optional
        Tokens to which longer sentences are cut, at the side that the tokenizer's files say; of a pair the longer text loses
        tokens first, and of a question and its text the text alone. They are refused by default. `length` and the model's
        positions cut too.
    refused : dict, optional
        Gets the reason for each sentence that cannot be used, by its number from 0, and the others are encoded. By default
        the first such sentence raises.

    Returns
    -------
    Batch
        Of the sentences that can be used, in their order.

    Raises
    ------
    ModelError
        For no sentence, an empty one, one longer than `length` or the model's positions, or one without a mask where the model
        predicts what is masked.
    """
    sentences = [Sentence(one) if isinstance(one, str) else one for one in sentences]
    if not sentences:
        raise ModelError("no text given: give at least one")
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    positions, modules = config.max_position_embeddings, checkpoint.modules
    if modules is not None and modules.max_seq_length:
        positions = min(positions, modules.max_seq_length)
    if length is not None and not 3 <= length <= positions:
        raise ModelError(f"length {length} is outside 3..{positions} (max_position_embeddings): choose one inside")
    limit, reason = (positions, "max_position_embeddings") if length is None else (length, "the chosen length")
    question = checkpoint.task.name == "question-answering"
    total, kept = len(sentences), dict(enumerate(sentences))

    def check(number, reason):
        if reason and refused is None:
            raise ModelError(f"text {number + 1} of {total} {reason}")
        if reason:
            refused[number] = reason
            del kept[number]

    for number, sentence in enumerate(sentences):
        check(number, _reason_before(sentence, question))
    if modules is not None:
        kept = {number: Sentence(modules.prepare(one.text), one.pair) for number, one in kept.items()}
    cut = {} if longest is None else {"longest": min(limit, longest)}
    cut["cut"] = "only_second" if question else "longest_first"
    encoded = dict(zip(kept, _encode_all(tokenizer, list(kept.values()), cut, refused is not None), strict=True))
    tokens = []
    for number, one in encoded.items():
        check(number, one if isinstance(one, str) else _reason_after(checkpoint, kept[number], one, limit, reason))
        if number in kept:
            masked = tuple(at for at, token in enumerate(one.ids) if token == tokenizer.mask_id)
            tokens.append(Tokens(places=place_rows(config, one.ids, one.types),
                                 masked=masked if checkpoint.task.rows == "masked" else ()))
    used = tuple(one for number, one in encoded.items() if number in kept)
    ids = torch.full((len(used), length or max(map(len, used), default=0)), tokenizer.pad_id, dtype=torch.int64)
    for row, tokenised in zip(ids, used, strict=True):
        row[: len(tokenised)] = torch.tensor(tokenised.ids)
    return Batch(tuple(kept.values()), ids, used, tuple(tokens))


def _reason_before(sentence, question):
    """Why a sentence is not to be tokenised, or None."""
    if not sentence.text.strip():
        return f"is empty ({sentence.text[:20]!r}): give at least one word"
    if question and not (sentence.pair or "").strip():
        return "is a question without the text that answers it: add --text-pair, or a column of pairs"
    return None


def _encode_all(tokenizer, sentences, options, one_by_one):
    """Encoded of each sentence; where `one_by_one`, what the tokenizer refuses is told in place of it."""
    try:
        return tokenizer.encode_many([one.text for one in sentences], [one.pair for one in sentences], **options)
    except ModelError as error:
        if not one_by_one:
            raise
        if len(sentences) == 1:
            return [f"cannot be tokenised: {error}"]
    return [_encode_all(tokenizer, [one], options, True)[0] for one in sentences]


def _reason_after(checkpoint, sentence, one, limit, reason):
    """Why the model cannot take a tokenised sentence, or None."""
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    if all(one.special):
        return f"is empty ({sentence.text[:20]!r}): give at least one word"
    if len(one) > limit:
        added = tokenizer.added(bool(sentence.pair))
        return (f"has {len(one)} tokens with {added} that the model adds, {reason} allows {limit}: shorten it by "
                f"{len(one) - limit}")
    if config.type_vocab_size and max(one.types) >= config.type_vocab_size:
        return (f"has tokens of type {max(one.types)}, and type_vocab_size is {config.type_vocab_size}: give it without a "
                "pair, or use a model of pairs")
    if checkpoint.task.rows == "masked" and tokenizer.mask_id not in one.ids:
        return (f"has no {tokenizer.mask_token}, which the model would predict: write it in place of a word" +
                (", or shorten the text, whose end was cut" if one.lost else ""))
    return None


def encode_texts(checkpoint, texts, length=None, *, longest=None):
    """`encode_sentences` of texts without pairs, for who needs no more than token numbers.

    Returns
    -------
    ids : int64 Tensor [len(texts), length]
    lengths : list of int
        Tokens of each text, those that the model adds included.
    """
    batch = encode_sentences(checkpoint, [Sentence(text) for text in texts], length, longest=longest)
    return batch.ids, batch.lengths


def count_cut(checkpoint, sentences, longest):
    """How many sentences have more tokens than `longest`, those that the model adds included."""
    sentences = [Sentence(one) if isinstance(one, str) else one for one in sentences]
    encoded = checkpoint.tokenizer.encode_many([one.text for one in sentences], [one.pair for one in sentences])
    return sum(len(one) > longest for one in encoded)
