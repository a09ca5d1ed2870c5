"""What a program takes as its input: where token numbers lie, and which instructions know how long a sentence is."""

from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from ...hw.spec.isa import INSTRUCTION_BYTES, Opcode, encode
from ..ir.errors import CompileError

__all__ = ["Bucket", "Run", "choose", "sentence_writes", "with_sentences"]


@dataclass(frozen=True)
class Run:
    """Token numbers that lie one behind the other.

    Parameters
    ----------
    offset : of the first, in the image
    sentence : whose they are
    first : number of the first in its sentence
    count : how many
    """

    offset: int
    sentence: int
    first: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Sentences that one program runs: any with so many tokens or fewer, without being compiled again.

    Parameters
    ----------
    tokens : the most of a sentence, those that the model adds included
    sentences : how many the program runs at once
    words : token numbers are below this
    fixed : what of its own sentences is compiled in, so that it runs no others; None: nothing
    prefetch : each run gathers the tokens of the next one, so that those of the first are the preload's
    runs : Run of all token numbers
    softmaxes : (number of a SOFTMAX, sentence whose length its `valid_columns` is)
    """

    tokens: int
    sentences: int
    words: int
    fixed: str | None
    prefetch: bool
    runs: tuple[Run, ...]
    softmaxes: tuple[tuple[int, int], ...]

    def capacity(self, sentence):
        """The most tokens of one of the sentences."""
        return min(self.tokens, max((run.first + run.count for run in self.runs if run.sentence == sentence), default=0))

    def to_dict(self):
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values):
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError : names the fields that are missing or unknown
        """
        if different := {one.name for one in fields(cls)} ^ values.keys():
            raise ValueError(f"bucket: {', '.join(sorted(different))}")
        return cls(**values | {"runs": tuple(Run(**run) for run in values["runs"]),
                               "softmaxes": tuple((number, sentence) for number, sentence in values["softmaxes"])})


def choose(programs, tokens):
    """The first of programs, from the shortest bucket on, that takes a sentence of so many tokens.

    Raises
    ------
    CompileError : none does
    """
    for program in sorted(programs, key=lambda program: program.bucket.tokens):
        if tokens <= program.bucket.tokens:
            return program
    longest = max(program.bucket.tokens for program in programs)
    raise CompileError(f"the sentence has {tokens} tokens, and the longest bucket {longest}: shorten it, or compile a longer "
                       "bucket")


def sentence_writes(program, sentences, following=None):
    """What is to be written to main memory so that a program runs other sentences.

    Parameters
    ----------
    program : Program
    sentences : token numbers of each, as many as the program runs
    following : those of its next run, where it fetches them meanwhile; for the preload the same as `sentences`

    Returns
    -------
    {offset in the image, a multiple of 64: bytes}

    Raises
    ------
    CompileError : the program cannot run them
    """
    bucket = program.bucket
    if bucket.fixed:
        raise CompileError(f"the program knows the {bucket.fixed} of the sentence that it was compiled for: compile the other "
                           "one")
    if (following is not None) is not bucket.prefetch:
        raise CompileError("following: the program fetches the sentences of its next run; name them too" if bucket.prefetch else
                           "following: the program fetches its own sentences; leave out the next ones")
    for group in (sentences,) if following is None else (sentences, following):
        _check_sentences(bucket, group)
    first = min(run.offset for run in bucket.runs)
    words = np.zeros((max(run.offset + 4 * run.count for run in bucket.runs) - first) // 4, dtype="<u4")
    for run in bucket.runs:
        tokens = np.asarray((following or sentences)[run.sentence][run.first: run.first + run.count])
        start = (run.offset - first) // 4
        words[start: start + len(tokens)] = tokens
    writes = {first: words.tobytes()}
    for number, sentence in bucket.softmaxes:
        opcode, values = program.instructions[number]
        writes[program.entry + INSTRUCTION_BYTES * number] = encode(
            opcode, **values | {"valid_columns": len(sentences[sentence])})
    return writes


def _check_sentences(bucket, sentences):
    if len(sentences) != bucket.sentences:
        raise CompileError(f"sentences = {len(sentences)}: the program runs {bucket.sentences}; give as many")
    for number, sentence in enumerate(sentences):
        if not 1 <= len(sentence) <= bucket.capacity(number):
            raise CompileError(f"sentence {number + 1} has {len(sentence)} tokens, and there is room for 1 to "
                               f"{bucket.capacity(number)}: shorten it, or choose a longer bucket")
        if not all(0 <= token < bucket.words for token in sentence):
            raise CompileError(f"sentence {number + 1} has a token outside the model's {bucket.words} words: "
                               "use the model's tokenizer")


def with_sentences(programs, sentences):
    """Programs of one image, each with other sentences.

    Parameters
    ----------
    programs : Program of each bucket
    sentences : of each program: token numbers of each sentence

    Returns
    -------
    list of Program, without graphs
    """
    image, changed = bytearray(programs[0].image), []
    for program, own in zip(programs, sentences, strict=True):
        for offset, raw in sentence_writes(program, own, own if program.bucket.prefetch else None).items():
            image[offset: offset + len(raw)] = raw
        instructions = list(program.instructions)
        for number, sentence in program.bucket.softmaxes:
            instructions[number] = (Opcode.SOFTMAX, instructions[number][1] | {"valid_columns": len(own[sentence])})
        changed.append(replace(program, instructions=instructions, graph=None))
    raw = bytes(image)
    return [replace(program, image=raw) for program in changed]
