"""What a run must give, from the golden model: nothing here needs a simulator."""

from ..sw.compiler.expected import Expected, tensor_bytes, tensor_hash
from ..sw.ir.counts import multiplication_counts
from ..sw.ir.execute import results

__all__ = ["COUNTED", "expectation", "sparsity", "stored", "zero_shares"]

COUNTED = ("zeros", "elements", "zeros_padded", "elements_padded")
"""What shares of zeros are made of: of valid tokens, and with padding."""


def expectation(program, golden, *, fidelity, answers, inputs=None, sentences=None):
    """What a run of `program` must give, as an Expected.

    Parameters
    ----------
    program : Program with its graph
    golden : tensors of the golden model by name
    fidelity : plain values, see `Fidelity.to_dict`
    answers : Answers, what the outputs mean
    inputs : plain values that say what is run
    sentences : how many were given, if those behind them repeat the last one; by default all that the program runs
    """
    counts = multiplication_counts(program.graph, golden)["total"]
    return Expected(
        outputs={name: tensor_bytes(stored(program, golden, output)) for name, output in program.outputs.items()},
        hashes={name: tensor_hash(golden[name]) for name in program.tensors}, sentences=sentences or program.graph.batch,
        multiplications={"none": counts.none, "both": counts.both}, sparsity=sparsity(program, golden),
        answers=answers.keep_names(results(program.graph, golden)), inputs=inputs or {}, fidelity=fidelity)


def stored(program, golden, output):
    """The tensor of the golden model that an output of `program` is, as it lies in main memory."""
    return golden[output["tensor"]][: output["rows"] * program.config.tile]


def sparsity(program, golden):
    """Zeros per tensor class: among the elements of valid tokens, and among all with padding."""
    classes = {}
    for name, place in program.tensors.items():
        matrix = golden[name]
        entry = classes.setdefault(place["kind"], dict.fromkeys(COUNTED, 0))
        for suffix, part in (("", program.graph.tensors[name].valid(matrix)), ("_padded", matrix)):
            entry["zeros" + suffix] += int((part == 0).sum())
            entry["elements" + suffix] += part.numel()
    return {kind: zero_shares(entry) for kind, entry in classes.items()}


def zero_shares(counts):
    """Counts of zeros and elements (`COUNTED`), with the shares."""
    shares = {f"sparsity{suffix}": counts["zeros" + suffix] / max(1, counts["elements" + suffix]) for suffix in ("", "_padded")}
    return shares | counts
