"""Zeros of every tensor of a run, and the multiplications that they leave, from the golden model."""

from ..sw.ir.counts import multiplication_counts

__all__ = ["product_counts", "tensor_zeros"]


def tensor_zeros(program, golden):
    """Zeros among the elements of valid tokens, by tensor of the float model and by attention head.

    Parameters
    ----------
    program : Program with its graph
    golden : tensors of the golden model by name

    Returns
    -------
    list of {"name" (of the float model's tensor), "kind", "head" (None: of all), "zeros", "elements"}, in order of computation;
    copies that only the hardware needs are left out
    """
    found = {}
    for name, place in program.tensors.items():
        tensor = program.graph.tensors[name]
        if tensor.source is None:
            continue
        one = found.setdefault((tensor.source, tensor.head), {"name": tensor.source, "kind": place["kind"], "head": tensor.head,
                                                              "zeros": 0, "elements": 0})
        valid = tensor.valid(golden[name])
        one["zeros"] += int((valid == 0).sum())
        one["elements"] += valid.numel()
    return list(found.values())


def product_counts(program, golden):
    """Multiplications by the kind of their results, padding included.

    Parameters
    ----------
    program : Program with its graph
    golden : tensors of the golden model by name

    Returns
    -------
    list of {"name" (the kind), "none", "activation", "both" (see `Multiplications`)}, in order of computation
    """
    found = {}
    for name, counts in multiplication_counts(program.graph, golden).items():
        if name == "total":
            continue
        kind = program.graph.tensors[name].kind
        one = found.setdefault(kind, {"name": "context" if kind == "probabilities" else kind, "none": 0, "activation": 0,
                                      "both": 0})
        for way in ("none", "activation", "both"):
            one[way] += getattr(counts, way)
    return list(found.values())
