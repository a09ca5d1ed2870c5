"""A quantised encoder without values: shapes are enough to tell what fits."""

from collections import defaultdict

import torch

from ...hw.spec.activations import function_format
from ...hw.spec.layernorm import BETA_LEADS, GAMMA_LEADS
from .quantise import QuantisedEncoder, check_request, constant_shapes

__all__ = ["outline_encoder"]


def outline_encoder(checkpoint, hardware, *, layers=None, **request):
    """What `quantise_encoder` gives, in the time that its shapes take: all constants are zero and take no memory.

    Graphs of it lower and place as those of the real one do; what they compute means nothing.

    Parameters
    ----------
    checkpoint : Checkpoint
    hardware : AcceleratorConfig
    layers : see `quantise_encoder`
    request : tau, target_sparsity, site_taus and weight_sparsity, which are checked as there

    Raises
    ------
    CompileError : for a model that the configuration cannot run, or a request out of range
    """
    check_request(checkpoint, hardware, layers, **request)
    parts, frac = checkpoint.parts(layers), function_format(hardware.width).frac
    buckets = checkpoint.config.relative_buckets
    leads = {norm.gamma: GAMMA_LEADS.start for norm in parts.norms} | {norm.beta: BETA_LEADS.start for norm in parts.norms}
    constants = {name: (torch.zeros((), dtype=torch.int64).expand(shape), frac + leads.get(name, 0))
                 for name, shape in constant_shapes(parts, hardware.tile).items()}
    return QuantisedEncoder(
        hardware=hardware, model=checkpoint.config, parts=parts, fracs=defaultdict(lambda: frac),
        maxima=defaultdict(lambda: 1.0), constants=constants, curves=[], curve_numbers={}, target=0, profiles={}, losses={},
        scales={}, weight_sparsity=0.0,
        score_bias=torch.zeros(buckets, checkpoint.config.num_attention_heads) if buckets else None)
