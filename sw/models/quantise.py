"""From a float checkpoint to integers: everything that does not depend on the sentence."""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from ...hw.spec.activations import has_table
from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.layernorm import BETA_LEADS, GAMMA_LEADS
from ..golden.fixed import round_shift
from ..golden.losses import Losses
from ..ir.curves import TARGET_ONE, constant_curves, profiled_curves, site_curves
from ..ir.densities import profile
from ..ir.errors import CompileError
from ..ir.formats import MARGIN, best_point, binary_point, quantise_columns, quantise_constant, scores_frac
from ..ir.graph import ConstantLosses
from .build_encoder import build_graph, is_separate
from .calibrate import calibrate
from .encoder_config import EncoderConfig
from .float_encoder import position_types
from .parts import Parts
from .weight_sparsity import GroupSparsity, as_weight_sparsity

__all__ = ["QuantisedEncoder", "check_request", "constant_shapes", "prune_weights", "pruned_checkpoint", "quantise_encoder",
           "weight_zeros"]


@dataclass(frozen=True, kw_only=True)
class QuantisedEncoder:
    """A model in integers, ready for any sentence.

    Parameters
    ----------
    hardware : AcceleratorConfig
    model : EncoderConfig
    parts : Parts that run
    fracs : binary point of every activation, by its name in the float model
    maxima : largest magnitude expected of every activation, in its own units (`Parts.scale`)
    constants : (integers, binary point) of every table, weight matrix [in, out] and vector, by name
    scales : int64 [out], how many fraction bits more than its binary point says each column of a weight matrix has, by the
        matrix's name; of weights narrower than other values
    weight_sparsity : share of every encoder weight matrix that was zeroed, or a GroupSparsity
    losses : ConstantLosses of every constant, by name; of a table, by `Table.constant`
    curves, curve_numbers, target : DynaTran, see `Graph`; number 0 where nothing is pruned
    score_bias : bias of the scores in base-2 logarithms by bucket and head, see `relative_bias`; None without
    profiles : integer magnitudes seen of every operand of a product, in short (`densities.profile`), by name
    """

    hardware: AcceleratorConfig
    model: EncoderConfig
    parts: Parts
    fracs: dict[str, int]
    maxima: dict[str, float]
    constants: dict[str, tuple[torch.Tensor, int]]
    scales: dict[str, torch.Tensor]
    weight_sparsity: float | GroupSparsity
    losses: dict[str, ConstantLosses]
    curves: list[tuple[int, ...]]
    curve_numbers: dict[str, int]
    target: int
    profiles: dict[str, np.ndarray]
    score_bias: torch.Tensor | None = None

    def bits(self, name):
        """Bits of the values of an activation, see `bits_of`."""
        return bits_of(self.parts, self.hardware, name)

    def build_graph(self, lengths, columns, separate=None, **options):
        """The Graph for sequences of given lengths, see `build_encoder.build_graph`."""
        return build_graph(self, lengths, columns, separate, **options)

    def is_separate(self, columns):
        """See `build_encoder.is_separate`."""
        return is_separate(self, columns)


def bits_of(parts, hardware, name):
    """Bits of the values of an activation by its name in the float model: fewer where it is operand B of a product."""
    return hardware.b_width if name in parts.b_operands else hardware.width


def prune_weights(weight, sparsity):
    """A copy of a matrix [out, in] with its smallest magnitudes set to zero.

    With a share, exactly ``round(sparsity * size)`` elements of the matrix become zero; with a GroupSparsity, all but N of
    every M along a row. Of equal magnitudes the first become zero.
    """
    sparsity = as_weight_sparsity(sparsity)
    if isinstance(sparsity, GroupSparsity):
        return weight.masked_fill(~torch.from_numpy(sparsity.keeps(weight.abs().numpy())), 0)
    pruned = weight.clone().flatten()
    pruned[weight.abs().flatten().argsort(stable=True)[: round(sparsity * weight.numel())]] = 0
    return pruned.view_as(weight)


def quantise_encoder(checkpoint, hardware, *, tau=None, target_sparsity=None, site_taus=None, weight_sparsity=0.0,
                     calibration_texts=None, layers=None):
    """Choose binary points and thresholds, prune and quantise the weights.

    Parameters
    ----------
    checkpoint : Checkpoint
    hardware : AcceleratorConfig
    tau : float threshold of DynaTran for every activation in front of a product; or
    target_sparsity : wanted sparsity of each of them, 0 to 1, by curves profiled in calibration; or
    site_taus : float thresholds of each of them at nine operating points, by name, of which `target_sparsity`, 0 to 1, chooses
    weight_sparsity : share of every encoder weight matrix that becomes zero, or a GroupSparsity, see `prune_weights`
    calibration_texts : sentences, the built-in ones by default
    layers : encoder layers to run, all by default; with fewer, the last hidden state is the result

    Returns
    -------
    QuantisedEncoder

    Raises
    ------
    CompileError : for a model that the configuration cannot run, or a request out of range
    """
    check_request(checkpoint, hardware, layers, tau, target_sparsity, site_taus, weight_sparsity)
    parts = checkpoint.parts(layers)
    checkpoint = pruned_checkpoint(checkpoint, parts.layers, weight_sparsity)
    profiled = target_sparsity is not None and site_taus is None
    seen = calibrate(checkpoint, calibration_texts, layers=parts.layers, keep=parts.sites,
                     scale=lambda name: parts.scale(name) * MARGIN)
    constants, scales, vectors, losses = _constants(checkpoint, hardware, parts)
    maxima = {name: value * parts.scale(name) * MARGIN for name, value in seen.maxima.items()}
    special = _special_points(parts, hardware.width)
    bits = partial(bits_of, parts, hardware)
    fracs = {name: special[name](value) if name in special else best_point(
        binary_point(value, bits(name)), lambda frac, name=name: seen.spreads[name].error(frac, bits(name)))
        for name, value in maxima.items()}
    for table in parts.tables:
        integers, fracs[table.name] = constants[table.name]
        maxima[table.name] = float(integers.abs().max()) * 2.0 ** -fracs[table.name]
    score_bias = _score_bias(checkpoint, parts)
    if score_bias is not None:
        _make_room_for_bias(fracs, maxima, score_bias, parts, bits)
    _quantise_norms(fracs, constants, vectors, parts, hardware.width)
    _quantise_biases(fracs, constants, scales, vectors, parts, hardware)
    # What is added to a result and less than half its step cannot be missed.
    least = {name: 2.0 ** -(fracs[result] + 1) for result, name in (
        *((norm.result, norm.beta) for norm in parts.norms), *((one.result, one.bias) for one in parts.projections))}
    for name, values in vectors.items():
        integers, frac = constants[name]
        losses[name] = ConstantLosses("vector", Losses.of_constant(values, integers, frac, least.get(name, 0.0)))

    sites = {name: parts.scale(name) * 2.0**fracs[name] for name in parts.sites}
    curves, numbers, target = [], dict.fromkeys(sites, 0), 0
    if tau is not None:
        curves, numbers = constant_curves(sites, tau, width=hardware.width, limit=hardware.prune_curves)
    elif profiled:
        curves, numbers = profiled_curves(sites, parts.sites, seen.magnitudes, width=hardware.width,
                                          limit=hardware.prune_curves)
    elif site_taus is not None:
        curves, numbers = site_curves(sites, site_taus, width=hardware.width, limit=hardware.prune_curves)
    if target_sparsity is not None:
        target = math.floor(target_sparsity * TARGET_ONE + 0.5)
    return QuantisedEncoder(
        hardware=hardware, model=checkpoint.config, parts=parts, fracs=fracs, maxima=maxima,
        constants=constants, scales=scales, losses=losses, weight_sparsity=weight_sparsity, curves=curves,
        curve_numbers=numbers, target=target,
        profiles={name: profile(seen.magnitudes[name], units) for name, units in sites.items()}, score_bias=score_bias,
    )


def check_request(checkpoint, hardware, layers=None, tau=None, target_sparsity=None, site_taus=None, weight_sparsity=0.0):
    """Refuse what `quantise_encoder` cannot make, whatever the weights."""
    config = checkpoint.config
    if layers is not None and not 1 <= layers <= config.num_hidden_layers:
        raise CompileError(f"layers = {layers}: the model has {config.num_hidden_layers}, choose 1 to that")
    if tau is not None and target_sparsity is not None:
        raise CompileError(f"tau = {tau} and target_sparsity = {target_sparsity}: choose one of them")
    if target_sparsity is not None and not 0 <= target_sparsity <= 1:
        raise CompileError(f"target_sparsity = {target_sparsity}: choose a number from 0 to 1")
    if site_taus is not None and target_sparsity is None:
        raise CompileError("site_taus need target_sparsity, the operating point on their curves, 0 to 1")
    if isinstance(weight_sparsity, GroupSparsity):
        weight_sparsity.check(hardware.tile)
    parts = checkpoint.parts(layers)
    for function, what in parts.functions:
        if function not in hardware.functions:
            raise CompileError(f"{what} needs {function}, the configuration has {', '.join(hardware.functions) or 'none'}: "
                               f"add {function} to functions")
    for columns, what in ((config.head_size, "heads"), (config.embedding_width, "embeddings")):
        if columns % hardware.tile:
            sizes = [size for size in (16, 8) if columns % size == 0]
            raise CompileError(f"{what} of {columns} columns are not whole tiles of {hardware.tile}: " + (
                f"set tile = {sizes[0]}" if sizes else "no tile size of 8 or 16 divides them, use another model"))
    inner = max(-(-projection.rows // hardware.tile) * hardware.tile for projection in parts.projections)
    if inner > hardware.max_inner:
        raise CompileError(f"products sum over {inner} elements, the accumulators are made for {hardware.max_inner}: "
                           f"raise max_inner to {1 << (inner - 1).bit_length()}")


def pruned_checkpoint(checkpoint, layers, sparsity):
    """A Checkpoint with every weight matrix of the first `layers` pruned, see `prune_weights`."""
    if sparsity == 0:
        return checkpoint
    tensors = dict(checkpoint.tensors)
    for key in _matrices(checkpoint, layers):
        tensors[key] = prune_weights(tensors[key], sparsity)
    return replace(checkpoint, tensors=tensors)


def weight_zeros(checkpoint):
    """Share of zeros in the weight matrices of all layers."""
    matrices = [checkpoint.tensors[key] for key in _matrices(checkpoint)]
    return sum(int((matrix == 0).sum()) for matrix in matrices) / sum(matrix.numel() for matrix in matrices)


def _matrices(checkpoint, layers=None):
    return dict.fromkeys(f"{projection.weights}.weight" for projection in checkpoint.parts(layers).encoder_projections)


def _constants(checkpoint, hardware, parts):
    """Tables and weight matrices in integers, their scales, the vectors still in float, all padded to whole tiles; what the
    integers lose.
    """
    tensors, size = checkpoint.tensors, hardware.tile
    constants: dict[str, tuple[torch.Tensor, int]] = {}
    scales: dict[str, torch.Tensor] = {}
    vectors: dict[str, torch.Tensor] = {}
    losses: dict[str, ConstantLosses] = {}
    words, places = parts.tables
    values = {words.name: tensors["embeddings.word_embeddings.weight"], places.name: position_types(tensors)}
    for table in parts.tables:
        constants[table.name] = integers, frac = quantise_constant(values[table.name], hardware.width)
        losses[table.constant] = ConstantLosses("table", Losses.of_constant(values[table.name], integers, frac))
    for norm in parts.norms:
        vectors |= {norm.gamma: tensors[f"{norm.weights}.weight"], norm.beta: tensors[f"{norm.weights}.bias"]}
    shared: dict[tuple, tuple] = {}
    for one in parts.projections:
        matrix = one.weights, one.first
        if matrix not in shared:
            shared[matrix] = _weights(tensors[f"{one.weights}.weight"], one, hardware)
        constants[one.weight], scale, losses[one.weight] = shared[matrix]
        if scale is not None:
            scales[one.weight] = scale
        bias = tensors[f"{one.weights}.bias"][one.first: one.first + one.columns].double() * one.scale
        vectors[one.bias] = torch.nn.functional.pad(bias, (0, -one.columns % size))
    return constants, scales, vectors, losses


def _weights(matrix, one, hardware):
    """A projection's weights in integers, padded to whole tiles, with their binary point; their scales, if the hardware has
    any; what the integers lose.
    """
    weight = matrix[one.first: one.first + one.columns].double() * one.scale
    if hardware.scale_bits:
        integers, frac, scales = quantise_columns(weight, hardware.b_width, (1 << hardware.scale_bits) - 1)
        points = frac + scales[:, None].double()
    else:
        (integers, frac), scales = quantise_constant(weight, hardware.b_width), None
        points = frac
    columns, rows = (-n % hardware.tile for n in integers.shape)
    # [out, in]: a vanished weight is judged beside the others of its result.
    losses = ConstantLosses("weight", Losses.of_constant(weight, integers, points))
    return ((torch.nn.functional.pad(integers.T, (0, columns, 0, rows)), frac),
            scales if scales is None else torch.nn.functional.pad(scales, (0, columns)), losses)


def _score_bias(checkpoint, parts):
    """The bias of the scores in base-2 logarithms, float64 [buckets, heads]; None without."""
    if not any(attention.biased for attention in parts.attentions):
        return None
    return checkpoint.tensors["encoder.relative_attention_bias.weight"].double() * math.log2(math.e)


def _make_room_for_bias(fracs, maxima, score_bias, parts, bits):
    """Binary points and maxima of queries that hold the bias beside them, and of keys that hold ones."""
    biases = score_bias.abs().amax(0).tolist()
    for attention in parts.attentions:
        for names, others in ((attention.queries, biases), (attention.keys, [1.0] * attention.heads)):
            for name, other in zip(names, others, strict=True):
                fracs[name] = min(fracs[name], binary_point(other, bits(name)))
                maxima[name] = max(maxima[name], other)


def constant_shapes(parts, tile):
    """Shape of every constant of a quantised encoder, by name; matrices and biases are padded to whole tiles."""
    shapes = {table.name: (table.rows, table.columns) for table in parts.tables}
    for norm in parts.norms:
        shapes |= {norm.gamma: (norm.columns,), norm.beta: (norm.columns,)}
    for one in parts.projections:
        rows, columns = (-(-size // tile) * tile for size in (one.rows, one.columns))
        shapes |= {one.weight: (rows, columns), one.bias: (columns,)}
    return shapes


def _special_points(parts, width):
    """How the binary point follows from the largest magnitude, by name, where it is not that of the least error."""
    def bounded(bound):
        return lambda largest: binary_point(min(largest, bound), width)

    def of_scores(largest):
        # Of the scores of a row it is the largest that decide, so none is clipped for the sake of the others.
        return scores_frac(binary_point(largest, width), width)

    points = {one.result: bounded(one.bound) for one in parts.projections if one.bound is not None}
    for attention in parts.attentions:
        points |= {attention.scores: of_scores, attention.probabilities: lambda _: width - 2}
    return points


def _quantise_norms(fracs, constants, vectors, parts, width):
    """Gamma and beta with binary points that the layer-norm unit can align, which may lower the result's."""
    for norm in parts.norms:
        gamma, beta = vectors[norm.gamma], vectors[norm.beta]
        gamma_frac, beta_frac = (binary_point(float(x.abs().max()), width) for x in (gamma, beta))
        o_frac = min(fracs[norm.result], gamma_frac - GAMMA_LEADS.start, beta_frac - BETA_LEADS.start)
        constants[norm.gamma] = quantise_constant(gamma, width, ceiling=o_frac + GAMMA_LEADS.stop - 1)
        constants[norm.beta] = quantise_constant(beta, width, ceiling=o_frac + BETA_LEADS.stop - 1)
        fracs[norm.result] = o_frac


def _quantise_biases(fracs, constants, scales, vectors, parts, hardware):
    """Biases in integers; neither they nor the results get more fraction bits than the accumulator has."""
    def limit(result, product_frac):
        fracs[result] = min(fracs[result], product_frac)

    attentions = {attention.context: attention for attention in parts.attentions}
    for one in parts.projections:
        if attention := attentions.get(one.source):
            for query, key in zip(attention.queries, attention.keys, strict=True):
                limit(attention.scores, scores_frac(fracs[query] + fracs[key], hardware.width))
            limit(attention.context, fracs[attention.probabilities] + fracs[attention.value])
        product_frac = fracs[one.source] + constants[one.weight][1]
        if not has_table(one.function):
            limit(one.result, product_frac)
        constants[one.bias] = quantise_constant(vectors[one.bias], hardware.width, ceiling=product_frac)
        if one.weight in scales:
            _make_room_for_biases(constants, scales, one, product_frac, hardware)
        aligned = hardware.width + product_frac - constants[one.bias][1]
        if aligned >= hardware.accumulator_width:
            raise CompileError(f"{one.result}: its bias, aligned to the products, takes {aligned} bits of an accumulator "
                               f"of {hardware.accumulator_width}: raise max_inner, or use a more ordinary model")


def _make_room_for_biases(constants, scales, one, product_frac, hardware):
    """Lower the scale of columns with so large a bias beside their weights that the accumulator would not hold it."""
    (weight, frac), (bias, bias_frac) = constants[one.weight], constants[one.bias]
    room = 2.0 ** (hardware.accumulator_width - 2 - product_frac + bias_frac) / bias.abs().clamp(min=1).double()
    excess = (scales[one.weight] - torch.floor(torch.log2(room)).to(torch.int64)).clamp(min=0).minimum(scales[one.weight])
    constants[one.weight] = round_shift(weight, excess), frac
    scales[one.weight] = scales[one.weight] - excess
