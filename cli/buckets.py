"""`acceltran compile --buckets`: programs for sentences of any length, in one image."""

from ..sw.compiler import CompileError, bucket_tokens, compile_buckets, quantise_encoder
from ..sw.models.calibrate import SENTENCES
from ..sw.models.sentences import encode_sentences
from .inputs import load_inputs

__all__ = ["compile_all", "load_bucket_inputs"]

_QUANTISED = ("tau", "target_sparsity", "site_taus", "weight_sparsity", "calibration_texts", "layers")
_COMPILED_IN = {"fill-mask": "the places of the masks", "question-answering": "which tokens are of the question"}
"""What a program of a task knows of its sentence besides the length."""


def load_bucket_inputs(config, model, texts, buckets, *, task, pooling, refused):
    """The configuration, checkpoint, Data of the one sentence that the programs begin with, and the buckets' tokens in order.

    Parameters
    ----------
    config, model, task, pooling : see `load_inputs`
    texts : none, or one; without, a built-in sentence is taken
    buckets : numbers of tokens with commas between them
    refused : {option: its value} of options that make no sense here

    Raises
    ------
    CompileError : an option, the buckets or the task are none for programs of any sentence
    """
    for option, value in refused.items():
        if value:
            raise CompileError(f"{option} and --buckets: programs of buckets run any sentence up to their length, without a "
                               f"pair: leave {option} out, or compile without --buckets")
    if texts and len(texts) > 1:
        raise CompileError(f"--buckets: {len(texts)} --text: give one, which the programs begin with, or none")
    sizes = _sizes(buckets)
    config, checkpoint, data = load_inputs(config, model, texts or SENTENCES[:1], None, task=task, pooling=pooling)
    if checkpoint.task.name in _COMPILED_IN:
        raise CompileError(f"--buckets: a program for {checkpoint.task.name} knows {_COMPILED_IN[checkpoint.task.name]}, which "
                           "differ between sentences: compile each without --buckets, or choose another --task")
    return config, checkpoint, data, sizes


def _sizes(buckets):
    try:
        sizes = sorted({int(one) for one in buckets.split(",")})
    except ValueError:
        sizes = []
    if not sizes or sizes[0] < 1:
        raise CompileError(f"--buckets {buckets}: give numbers of tokens with commas between them, such as 16,32,64")
    return sizes


def compile_all(checkpoint, config, sentences, sizes, options):
    """(Program, Batch of the sentence that it begins with) of each bucket; that sentence is cut to the bucket.

    Parameters
    ----------
    checkpoint, config : see `compile_encoder`
    sentences : one Sentence
    sizes : tokens of each bucket
    options : of `quantise_encoder` and `compile_buckets`
    """
    sizes = sorted({bucket_tokens(checkpoint.config, config, size) for size in sizes})
    batches = [encode_sentences(checkpoint, sentences, longest=size) for size in sizes]
    encoder = quantise_encoder(checkpoint, config, **{name: options[name] for name in _QUANTISED if name in options})
    programs = compile_buckets(
        encoder, config, {size: batch.encoded[0].ids for size, batch in zip(sizes, batches, strict=True)},
        **{name: value for name, value in options.items() if name not in _QUANTISED})
    return list(zip(programs, batches, strict=True))
