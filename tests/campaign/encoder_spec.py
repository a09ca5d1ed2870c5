"""Random encoders as plain values, and the models and programs that are made of them."""

import random
from dataclasses import replace
from pathlib import Path

from acceltran.cli.evaluate.sites import site_names
from acceltran.hw.spec.isa import LoopOrder
from acceltran.sw.compiler import CapacityError, compile_encoder
from acceltran.sw.models.registry import FAMILIES
from acceltran.sw.models.sentence import Sentence
from acceltran.sw.models.sentences import encode_sentences
from acceltran.sw.models.tasks import TASKS, Dense
from acceltran.sw.models.tiny_encoder import SPECIAL, random_checkpoint
from acceltran.sw.models.weight_sparsity import as_weight_sparsity

__all__ = ["bulk_spec", "compiled", "draw_spec", "make_checkpoint", "smaller_specs"]

_VOCABULARY = 64
_WEIGHT_SPARSITIES = (0.0, 0.0, 0.3, 0.6, 0.95, "1:4", "2:4", "4:8")
_SCALES = (1.0, 1.0, 1.0, 0.25, 2.0)
"""Of all weights: quiet and loud models."""


def draw_spec(config, rng):
    """A random small encoder that the functions of a configuration allow, of which there must be one."""
    tile = config.tile
    while True:
        heads = rng.choice((1, 1, 2, 3))
        spec = {
            "family": rng.choice(list(FAMILIES)), "task": rng.choice(list(TASKS)), "act": rng.choice(config.functions),
            "heads": heads, "hidden": heads * tile * rng.choice((1, 1, 2)), "layers": rng.choice((1, 1, 2)),
            "ffn": rng.randrange(1, 5 * tile), "embedding": tile * rng.choice((1, 2)), "groups": rng.choice((1, 2)),
            "labels": rng.randrange(1, 2 * tile), "words": [rng.randrange(1, 28) for _ in range(rng.choice((1, 1, 2, 3)))],
            "pairs": rng.random() < 0.3, "alike": config.clusters > 1, "seed": rng.randrange(1 << 30),
            "scale": rng.choice(_SCALES), "length": rng.choice((None, None, 43, 48)),
            "options": {
                "weight_sparsity": rng.choice(_WEIGHT_SPARSITIES), "resident": rng.random() < 0.3,
                "overlap": rng.random() < 0.9, **_pruning(config, rng),
            },
        }
        if rng.random() < 0.3:
            spec["options"]["order"] = rng.choice(list(LoopOrder)).name
        if _has_functions(spec, config):
            return spec


def _pruning(config, rng):
    """No thresholds, the same one everywhere, curves of calibration, or curves for some sites; small models have few curves."""
    kind = rng.choice(("none", "tau", "target", "sites")) if config.prune_curves > 8 else rng.choice(("none", "sites"))
    target = rng.choice((0.0, 0.2, 0.5, 0.8, 1.0))
    return {"none": {}, "tau": {"tau": rng.choice((0.01, 0.05, 0.3, 1.5))}, "target": {"target_sparsity": target},
            "sites": {"target_sparsity": target, "sites": config.prune_curves}}[kind]


def bulk_spec(config, rng):
    """An encoder with many values for each multiplication: one narrow head, long sentences."""
    spec = draw_spec(config, rng)
    most = 120 if config.cluster.activation_tiles >= 512 else 56
    return spec | {"heads": 1, "hidden": config.tile, "layers": 4, "ffn": config.tile, "embedding": config.tile,
                   "words": [rng.randrange(most // 2, most) for _ in range(config.clusters)], "length": None}


def _encoder_config(spec):
    """The EncoderConfig that the family reads."""
    family = FAMILIES[spec["family"]]
    sizes = {"hidden_size": spec["hidden"], "num_hidden_layers": spec["layers"], "num_attention_heads": spec["heads"],
             "intermediate_size": spec["ffn"], "vocab_size": _VOCABULARY, "position_rows": 160, "hidden_act": spec["act"]}
    fields = {family.fields.get(name, "max_position_embeddings" if name == "position_rows" else name): value
              for name, value in sizes.items()}
    fields |= {"embedding_size": spec["embedding"], "num_hidden_groups": min(spec["groups"], spec["layers"]), "pad_token_id": 0,
               "layer_norm_eps": 1e-12, "id2label": {str(n): f"class{n}" for n in range(spec["labels"])}}
    return family.read_config(Path("drawn") / "config.json", fields)


def _has_functions(spec, config):
    encoder = _encoder_config(spec)
    head = FAMILIES[spec["family"]].head(encoder, TASKS[spec["task"]])
    return {step.function for step in head.steps if isinstance(step, Dense)} <= {"none", *config.functions}


def make_checkpoint(spec):
    """The model of a spec, with random weights."""
    made = random_checkpoint("drawn", _encoder_config(spec), spec["task"], spec["seed"])
    return replace(made, tensors={name: tensor * spec["scale"] for name, tensor in made.tensors.items()})


def _sentences(spec):
    rng = random.Random(spec["seed"])
    words = [*([] if spec["alike"] else SPECIAL[:2]), *(f"w{index}" for index in range(_VOCABULARY - len(SPECIAL)))]

    def text(count):
        chosen = [rng.choice(words) for _ in range(count)]
        if spec["task"] == "fill-mask":
            for place in [0] if spec["alike"] else rng.sample(range(count), rng.randrange(1, min(count, 3) + 1)):
                chosen[place] = "[MASK]"
        return " ".join(chosen)

    pairs = spec["pairs"] or spec["task"] == "question-answering"
    return [Sentence(text(count), text(1 + count // 3) if pairs else None) for count in spec["words"]]


def compiled(spec, config, **options):
    """The Program of the largest encoder like a spec that there is room for, the token numbers and lengths of its sentences.

    Raises
    ------
    InputError : model, sentences and configuration do not fit together, however small
    """
    for one in _fitting(spec, config):
        try:
            return _compile(one, config, **options)
        except CapacityError as error:
            last = error
    raise last


def _compile(spec, config, **options):
    """The same of this one.

    Raises
    ------
    InputError : model, sentences and configuration do not fit together
    """
    checkpoint = make_checkpoint(spec)
    given = dict(spec["options"]) | options
    given["weight_sparsity"] = as_weight_sparsity(given["weight_sparsity"])
    if "order" in given:
        given["order"] = LoopOrder[given["order"]]
    if most := given.pop("sites", 0):
        given["site_taus"] = _site_taus(checkpoint, spec["seed"], most)
    batch = encode_sentences(checkpoint, _sentences(spec), spec["length"]).filled(config.clusters)
    program = compile_encoder(checkpoint, config, batch.ids, batch.lengths, tokens=batch.tokens, **given)
    return program, batch.ids, batch.lengths


def _site_taus(checkpoint, seed, most):
    rng, taus = random.Random(seed), {}
    sites = site_names(checkpoint)
    for site in rng.sample(sites, min(most, len(sites))):
        top = rng.choice((0.0, 0.05, 0.2)) if site.endswith("probabilities") else rng.choice((0.0, 0.3, 1.0))
        taus[site] = tuple(top * knot / 8 for knot in range(9))
    return taus


def _fitting(spec, config):
    """The spec, then ones that need less room in the buffers, for configurations with little."""
    yield spec
    spec = spec | {"options": spec["options"] | {"resident": False}, "length": None, "embedding": config.tile}
    yield spec
    spec = spec | {"heads": 1, "hidden": config.tile, "ffn": min(spec["ffn"], config.tile), "layers": 1}
    yield spec
    for words in (20, 9, 4, 1):
        spec = spec | {"words": [min(words, count) for count in spec["words"]], "labels": min(spec["labels"], config.tile)}
        yield spec
    spec = spec | {"words": spec["words"][:config.clusters]}
    yield spec
    yield spec | {"task": "hidden-states", "family": "bert", "pairs": False}


def smaller_specs(spec):
    """Smaller encoders, those with the biggest step first."""
    plain = {"weight_sparsity": 0.0, "resident": False, "overlap": True}
    changes = [
        {"layers": 1}, {"words": spec["words"][:1]}, {"words": [min(2, count) for count in spec["words"]]},
        {"words": [(count + 1) // 2 for count in spec["words"]]}, {"heads": 1, "hidden": spec["hidden"] // spec["heads"]},
        {"options": plain}, {"family": "bert"}, {"task": "hidden-states"}, {"ffn": 1}, {"length": None}, {"pairs": False},
        {"scale": 1.0}, {"labels": 1}, *({"options": spec["options"] | {name: value}} for name, value in plain.items()),
        *({"options": {other: value for other, value in spec["options"].items() if other != name}}
          for name in spec["options"] if name not in plain),
    ]
    for change in changes:
        if any(spec[name] != value for name, value in change.items()):
            yield spec | change
