"""From a float checkpoint to integers: everything that does not depend on the sentence."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from ...hw.spec.activations import has_table
from ...hw.spec.layernorm import BETA_LEADS, GAMMA_LEADS
from ..golden.losses import Losses
from ..golden.softmax import logit_factor
from ..ir.curves import TARGET_ONE, constant_curves, profiled_curves, site_curves
from ..ir.densities import profile
from ..ir.errors import CompileError
from ..ir.formats import MARGIN, best_point, binary_point, quantise_constant, scores_frac
from .calibrate import calibrate
from .checkpoint import BertConfig

__all__ = ["PROJECTIONS", "QuantisedEncoder", "check_request", "constant_shapes", "folded_factor", "prune_weights",
           "pruned_checkpoint", "pruned_sites", "quantise_encoder", "weight_zeros"]

PROJECTIONS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention": "attention.output.dense",
    "hidden": "intermediate.dense",
    "output": "output.dense",
}
"""The six products of a layer with weights, by the name of their result."""

_NORMS = {"attention_norm": "attention.output.LayerNorm", "output_norm": "output.LayerNorm"}
_PRUNED = ("query", "key", "value", "probabilities", "context", "attention_norm", "hidden")


@dataclass(frozen=True, kw_only=True)
class QuantisedEncoder:
    """A model in integers, ready for any sentence.

    Parameters
    ----------
    hardware : AcceleratorConfig
    model : BertConfig
    layers : encoder layers that run
    has_pooler, has_classifier : what follows them
    fracs : binary point of every activation, by its name in the float encoder
    maxima : largest magnitude expected of every activation, in its own units (`folded_factor`)
    constants : (integers, binary point) of every table, weight matrix [in, out] and vector, by name
    weight_sparsity : share of every encoder weight matrix that was zeroed
    losses : `Losses` of every constant, by name; of the two tables, by that with ``.table`` behind it
    curves, curve_numbers, target : DynaTran, see `Graph`; number 0 where nothing is pruned
    profiles : integer magnitudes seen of every operand of a product, in short (`densities.profile`), by name
    """

    hardware: object
    model: BertConfig
    layers: int
    has_pooler: bool
    has_classifier: bool
    fracs: dict[str, int]
    maxima: dict[str, float]
    constants: dict[str, tuple[torch.Tensor, int]]
    weight_sparsity: float
    losses: dict[str, Losses]
    curves: list[tuple[int, ...]]
    curve_numbers: dict[str, int]
    target: int
    profiles: dict[str, np.ndarray]


def prune_weights(weight, sparsity):
    """A copy with exactly ``round(sparsity * size)`` of its elements, the smallest magnitudes, set to zero."""
    if not 0 <= sparsity <= 1:
        raise CompileError(f"weight_sparsity = {sparsity}: choose a number from 0 to 1")
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
    weight_sparsity : part of every encoder weight matrix that becomes zero
    calibration_texts : sentences, the built-in ones by default
    layers : encoder layers to run, all by default; with fewer, the last hidden state is the result

    Returns
    -------
    QuantisedEncoder

    Raises
    ------
    CompileError : for a model that the configuration cannot run, or a request out of range
    """
    layers = checkpoint.config.num_hidden_layers if layers is None else layers
    whole = layers == checkpoint.config.num_hidden_layers
    check_request(checkpoint, hardware, layers, whole and checkpoint.has_pooler, tau, target_sparsity, site_taus)
    kinds = pruned_sites(layers, whole and checkpoint.has_pooler)
    checkpoint = pruned_checkpoint(checkpoint, layers, weight_sparsity)
    profiled = target_sparsity is not None and site_taus is None
    seen = calibrate(checkpoint, calibration_texts, layers=layers, keep=kinds,
                     scale=lambda name: folded_factor(checkpoint.config, name) * MARGIN)
    products = list(_products(layers, whole and checkpoint.has_pooler, whole and checkpoint.has_classifier))
    constants, vectors, losses = _constants(checkpoint, hardware, layers, [name for name, _ in products])
    maxima = {name: value * folded_factor(checkpoint.config, name) * MARGIN for name, value in seen.maxima.items()}
    fracs = {name: _activation_frac(name, value, seen.spreads[name], hardware.width) for name, value in maxima.items()}
    for name in ("embeddings.word", "embeddings.position_type"):
        integers, fracs[name] = constants[name]
        maxima[name] = float(integers.abs().max()) * 2.0 ** -fracs[name]
    _quantise_norms(fracs, constants, vectors, hardware.width)
    _quantise_biases(fracs, constants, vectors, products, hardware, checkpoint.config.hidden_act)
    for name, values in vectors.items():
        result, _, part = name.rpartition(".")
        # What is added to a result and less than half its step cannot be missed.
        least = 0.0 if part == "gamma" else 2.0 ** -(fracs[result] + 1)
        losses[name] = Losses.of_constant(values, *constants[name], least)

    sites = {name: folded_factor(checkpoint.config, name) * 2.0**fracs[name] for name in kinds}
    curves, numbers, target = [], dict.fromkeys(sites, 0), 0
    if tau is not None:
        curves, numbers = constant_curves(sites, tau, width=hardware.width, limit=hardware.prune_curves)
    elif profiled:
        curves, numbers = profiled_curves(sites, kinds, seen.magnitudes, width=hardware.width,
                                          limit=hardware.prune_curves)
    elif site_taus is not None:
        curves, numbers = site_curves(sites, site_taus, width=hardware.width, limit=hardware.prune_curves)
    if target_sparsity is not None:
        target = math.floor(target_sparsity * TARGET_ONE + 0.5)
    return QuantisedEncoder(
        hardware=hardware, model=checkpoint.config, layers=layers, has_pooler=whole and checkpoint.has_pooler,
        has_classifier=whole and checkpoint.has_classifier, fracs=fracs, maxima=maxima, constants=constants, losses=losses,
        weight_sparsity=weight_sparsity, curves=curves, curve_numbers=numbers, target=target,
        profiles={name: profile(seen.magnitudes[name], units) for name, units in sites.items()},
    )


def check_request(checkpoint, hardware, layers, pooler, tau=None, target_sparsity=None, site_taus=None):
    """Refuse what `quantise_encoder` cannot make, whatever the weights."""
    config = checkpoint.config
    if not 1 <= layers <= config.num_hidden_layers:
        raise CompileError(f"layers = {layers}: the model has {config.num_hidden_layers}, choose 1 to that")
    if tau is not None and target_sparsity is not None:
        raise CompileError(f"tau = {tau} and target_sparsity = {target_sparsity}: choose one of them")
    if target_sparsity is not None and not 0 <= target_sparsity <= 1:
        raise CompileError(f"target_sparsity = {target_sparsity}: choose a number from 0 to 1")
    if site_taus is not None and target_sparsity is None:
        raise CompileError("site_taus need target_sparsity, the operating point on their curves, 0 to 1")
    for function, what in ((config.hidden_act, "the feed-forward network"), *((("tanh", "the pooler"),) * pooler)):
        if function not in hardware.functions:
            raise CompileError(f"{what} needs {function}, the configuration has {', '.join(hardware.functions) or 'none'}: "
                               f"add {function} to functions")
    if config.head_size % hardware.tile:
        sizes = [size for size in (16, 8) if config.head_size % size == 0]
        raise CompileError(f"heads of {config.head_size} columns are not whole tiles of {hardware.tile}: " + (
            f"set tile = {sizes[0]}" if sizes else "no tile size of 8 or 16 divides them, use another model"))
    inner = max(config.hidden_size, -(-config.intermediate_size // hardware.tile) * hardware.tile)
    if inner > hardware.max_inner:
        raise CompileError(f"products sum over {inner} elements, the accumulators are made for {hardware.max_inner}: "
                           f"raise max_inner to {1 << (inner - 1).bit_length()}")


def folded_factor(config, name):
    """By what the values of an integer tensor are larger than in the float model.

    Weights and biases of the queries are multiplied by `logit_factor`, and so are the queries and scores: scores are
    base-2 logarithms, which the softmax takes as they are.

    Parameters
    ----------
    config : BertConfig
    name : of an activation or constant, in the float encoder or in a graph
    """
    return logit_factor(config.head_size) if name.split(".")[1:2] in (["query"], ["scores"]) else 1.0


def pruned_sites(layers, pooler):
    """Name and kind of every activation that DynaTran prunes: those in front of a product."""
    sites = {"embeddings.output": "input"}
    for layer in range(layers):
        kinds = {"attention_norm": "ffn_input"}
        sites |= {f"layer{layer}.{name}": kinds.get(name, name) for name in _PRUNED}
        if layer < layers - 1 or pooler:
            sites[f"layer{layer}.output_norm"] = "input"
    return sites


def pruned_checkpoint(checkpoint, layers, sparsity):
    """A Checkpoint whose first `layers` have this share of every weight matrix zero."""
    if sparsity == 0:
        return checkpoint
    tensors = dict(checkpoint.tensors)
    for key in _matrices(layers):
        tensors[key] = prune_weights(tensors[key], sparsity)
    return replace(checkpoint, tensors=tensors)


def weight_zeros(checkpoint):
    """Share of zeros in the weight matrices of all layers."""
    matrices = [checkpoint.tensors[key] for key in _matrices(checkpoint.config.num_hidden_layers)]
    return sum(int((matrix == 0).sum()) for matrix in matrices) / sum(matrix.numel() for matrix in matrices)


def _matrices(layers):
    return [f"encoder.layer.{layer}.{name}.weight" for layer in range(layers) for name in PROJECTIONS.values()]


def _constants(checkpoint, hardware, layers, products):
    """Tables and weight matrices in integers, the vectors still in float, all padded to whole tiles; what the integers lose."""
    tensors, size, constants, vectors, losses = checkpoint.tensors, hardware.tile, {}, {}, {}

    def quantised(name, values, table=False):
        """Of `values`, [out, in] in a weight matrix: a vanished weight is judged beside the others of its result."""
        constants[name] = integers, frac = quantise_constant(values, hardware.width)
        losses[f"{name}.table" if table else name] = Losses.of_constant(values, integers, frac)

    def norm(name, source):
        vectors[f"{name}.gamma"], vectors[f"{name}.beta"] = tensors[f"{source}.weight"], tensors[f"{source}.bias"]

    quantised("embeddings.word", tensors["embeddings.word_embeddings.weight"], table=True)
    position, kind = (tensors[f"embeddings.{name}_embeddings.weight"] for name in ("position", "token_type"))
    quantised("embeddings.position_type", (kind[:, None] + position[None]).flatten(0, 1), table=True)
    norm("embeddings.output", "embeddings.LayerNorm")
    for layer in range(layers):
        for name, source in _NORMS.items():
            norm(f"layer{layer}.{name}", f"encoder.layer.{layer}.{source}")
    for name in products:
        source, factor = _source(name), folded_factor(checkpoint.config, name)
        quantised(f"{name}.weight", tensors[f"{source}.weight"].double() * factor)
        integers, frac = constants[f"{name}.weight"]
        columns, rows = (-n % size for n in integers.shape)
        constants[f"{name}.weight"] = torch.nn.functional.pad(integers.T, (0, columns, 0, rows)), frac
        vectors[f"{name}.bias"] = torch.nn.functional.pad(tensors[f"{source}.bias"].double() * factor, (0, columns))
    return constants, vectors, losses


def constant_shapes(config, tile, layers, pooler, classifier):
    """Shape of every constant of a quantised encoder, by name; matrices and biases are padded to whole tiles."""
    def whole(size):
        return -(-size // tile) * tile

    hidden, inner = config.hidden_size, config.intermediate_size
    widths = {"hidden": (hidden, inner), "output": (inner, hidden), "logits": (hidden, config.num_labels)}
    shapes = {"embeddings.word": (config.vocab_size, hidden),
              "embeddings.position_type": (config.type_vocab_size * config.max_position_embeddings, hidden)}
    norms = ["embeddings.output", *(f"layer{layer}.{name}" for layer in range(layers) for name in _NORMS)]
    shapes |= {f"{name}.{part}": (hidden,) for name in norms for part in ("gamma", "beta")}
    for name, _ in _products(layers, pooler, classifier):
        rows, columns = widths.get(name.rpartition(".")[2], (hidden, hidden))
        shapes |= {f"{name}.weight": (whole(rows), whole(columns)), f"{name}.bias": (whole(columns),)}
    return shapes


def _source(name):
    """The checkpoint's name of the linear layer that computes an activation."""
    layer, _, inner = name.rpartition(".")
    if not layer:
        return {"pooler": "pooler.dense", "logits": "classifier"}[name]
    return f"encoder.layer.{layer.removeprefix('layer')}.{PROJECTIONS[inner]}"


def _activation_frac(name, largest, spread, width):
    if name.endswith(".probabilities"):
        return width - 2
    if name.endswith(".scores"):
        # Of the scores of a row it is the largest that decide, so none is clipped for the sake of the others.
        return scores_frac(binary_point(largest, width), width)
    if name == "pooler":
        return binary_point(min(largest, 1.0), width)
    return best_point(binary_point(largest, width), lambda frac: spread.error(frac, width))


def _products(layers, pooler, classifier):
    """(result, source) of every product with weights, in order."""
    state = "embeddings.output"
    for layer in range(layers):
        inside = f"layer{layer}."
        for name in ("query", "key", "value"):
            yield inside + name, state
        yield inside + "attention", inside + "context"
        yield inside + "hidden", inside + "attention_norm"
        yield inside + "output", inside + "hidden"
        state = inside + "output_norm"
    if pooler:
        yield "pooler", state
    if classifier:
        yield "logits", "pooler"


def _quantise_norms(fracs, constants, vectors, width):
    """Gamma and beta with binary points that the layer-norm unit can align, which may lower the result's."""
    for name in [name.removesuffix(".gamma") for name in vectors if name.endswith(".gamma")]:
        gamma, beta = vectors[f"{name}.gamma"], vectors[f"{name}.beta"]
        gamma_frac, beta_frac = (binary_point(float(x.abs().max()), width) for x in (gamma, beta))
        o_frac = min(fracs[name], gamma_frac - GAMMA_LEADS.start, beta_frac - BETA_LEADS.start)
        constants[f"{name}.gamma"] = quantise_constant(gamma, width, ceiling=o_frac + GAMMA_LEADS.stop - 1)
        constants[f"{name}.beta"] = quantise_constant(beta, width, ceiling=o_frac + BETA_LEADS.stop - 1)
        fracs[name] = o_frac


def _quantise_biases(fracs, constants, vectors, products, hardware, function):
    """Biases in integers; neither they nor the results get more fraction bits than the accumulator has."""
    def limit(result, product_frac):
        fracs[result] = min(fracs[result], product_frac)

    for name, source in products:
        inside = name.rpartition(".")[0] + "."
        if name.endswith(".attention"):
            limit(inside + "scores", scores_frac(fracs[inside + "query"] + fracs[inside + "key"], hardware.width))
            limit(source, fracs[inside + "probabilities"] + fracs[inside + "value"])
        product_frac = fracs[source] + constants[f"{name}.weight"][1]
        if name != "pooler" and not (name.endswith(".hidden") and has_table(function)):
            limit(name, product_frac)
        constants[f"{name}.bias"] = quantise_constant(vectors[f"{name}.bias"], hardware.width, ceiling=product_frac)
        aligned = hardware.width + product_frac - constants[f"{name}.bias"][1]
        if aligned >= hardware.accumulator_width:
            raise CompileError(f"{name}: its bias, aligned to the products, takes {aligned} bits of an accumulator "
                               f"of {hardware.accumulator_width}: raise max_inner, or use a more ordinary model")
