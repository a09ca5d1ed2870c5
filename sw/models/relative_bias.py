"""A bias on the scores of attention by the distance of key and query, as MPNet has it.

The accelerator adds no matrix to a product, but a product does: with the bias B of a head beside its queries, and the identity
beside its keys,

    [Q B] [K I]^T = Q K^T + B,

so that a head's product sums over as many elements more as the sequence has tokens, most of them products with zero, which are
skipped. Queries and keys of each head are a tensor of their own, into which B and I are loaded.
"""

import math

import torch

__all__ = ["bias_matrices", "distance_buckets"]

_FARTHEST = 128


def distance_buckets(size, buckets):
    """Number of the bucket of each pair of query and key, int64 [size, size].

    Half of the buckets are for keys behind the query. Of each half, the first half is for one distance each; the others get
    wider with the logarithm of the distance, up to 128 (as ``MPNetEncoder.relative_position_bucket`` of transformers).
    """
    places = torch.arange(size)
    distance = places[:, None] - places[None]
    half = buckets // 2
    exact = half // 2
    near = distance.abs()
    far = exact + (torch.log(near.clamp(min=1).float() / exact) / math.log(_FARTHEST / exact) * (half - exact)).long()
    return (distance < 0).long() * half + torch.where(near < exact, near, far.clamp(max=half - 1))


def bias_matrices(table, size):
    """The bias of every head for sequences of `size` tokens, [heads, size, size].

    Parameters
    ----------
    table : Tensor [buckets, heads]
    size : tokens
    """
    return table[distance_buckets(size, len(table))].permute(2, 0, 1)
