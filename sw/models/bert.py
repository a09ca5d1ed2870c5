"""BERT: post-layer-norm encoders with absolute positions, a pooler and a classifier."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from ...hw.spec.activations import ACTIVATIONS
from ..golden.softmax import logit_factor
from .build_encoder import build_graph
from .config_fields import read_labels, read_share, read_size, refuse_fields
from .errors import ModelError
from .family import Family
from .float_encoder import FloatEncoder
from .parts import Attention, Norm, Parts, Projection, Table

__all__ = ["Bert", "BertConfig", "tensor_shapes"]

_FUNCTIONS = tuple(entry.name for entry in ACTIVATIONS)

_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
          "max_position_embeddings")
_PLAIN_FIELDS: dict[str, tuple[object, str]] = {
    "is_decoder": (False, "there is no causal attention"),
    "add_cross_attention": (False, "there is no cross-attention"),
    "is_encoder_decoder": (False, "there is no decoder"),
    "cross_attention_hidden_size": (None, "there is no cross-attention"),
    "pruned_heads": ({}, "every layer has all heads"),
    "auto_map": (None, "code of the model's own is not run"),
    "quantization_config": (None, "packed weights are not unpacked"),
}
"""Fields of config.json that change the computation: the only value that is computed here, and why."""

_ENCODER_PARTS = ("embeddings.", "encoder.", "pooler.")
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The fields of config.json that shape the computation.

    Raises
    ------
    ModelError
        If the activation is not one of `hw.spec.activations` or `hidden_size` is no multiple of `num_attention_heads`.
    """

    model_type: ClassVar[str] = "bert"

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int
    hidden_act: str
    layer_norm_eps: float
    num_labels: int
    id2label: dict[int, str]

    def __post_init__(self):
        if self.hidden_act not in _FUNCTIONS:
            raise ModelError(f"config.json: hidden_act is {self.hidden_act!r}, known are {', '.join(_FUNCTIONS)}: "
                             "use a model trained with one of these")
        if self.hidden_size % self.num_attention_heads:
            raise ModelError(f"config.json: hidden_size {self.hidden_size} is no multiple of num_attention_heads "
                             f"{self.num_attention_heads}: use a model whose heads divide its width")

    @property
    def head_size(self):
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads


def tensor_shapes(config, pooler=True, classifier=True):
    """Canonical name to shape of every tensor that a model of this configuration has."""
    hidden, ffn = config.hidden_size, config.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, hidden),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, hidden),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, hidden),
    }

    def vectors(name):
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (hidden,)

    def linear(name, out_size, in_size):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out_size, in_size), (out_size,)

    vectors("embeddings.LayerNorm")
    for layer in range(config.num_hidden_layers):
        prefix = f"encoder.layer.{layer}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{prefix}.attention.{name}", hidden, hidden)
        vectors(f"{prefix}.attention.output.LayerNorm")
        linear(f"{prefix}.intermediate.dense", ffn, hidden)
        linear(f"{prefix}.output.dense", hidden, ffn)
        vectors(f"{prefix}.output.LayerNorm")
    if pooler:
        linear("pooler.dense", hidden, hidden)
    if classifier:
        linear("classifier", config.num_labels, hidden)
    return shapes


class Bert(Family):
    """Canonical tensor names are those of the Hugging Face classes without the leading ``bert.``."""

    model_type = BertConfig.model_type
    title = "BERT"
    special_tokens = ("[PAD]", "[CLS]", "[SEP]")
    pooler, classifier = "pooler.dense.weight", "classifier.weight"

    def read_config(self, path, fields):
        """See `Family`."""
        refuse_fields(path, fields, {"position_embedding_type": ("absolute", "positions are absolute here")} | _PLAIN_FIELDS,
                      "use a plain BERT encoder")
        if not isinstance(fields.get("hidden_act", "gelu"), str):
            raise ModelError(f"{path}: hidden_act is {fields['hidden_act']!r}, not a name: use one of "
                             f"{', '.join(_FUNCTIONS)}")
        epsilon = read_share(path, fields, "layer_norm_eps", 1e-12)
        sizes = {name: read_size(path, fields, name) for name in _SIZES}
        labels = read_labels(path, fields)
        try:
            return BertConfig(**sizes, type_vocab_size=read_size(path, fields, "type_vocab_size", 2),
                              hidden_act=fields.get("hidden_act", "gelu"), layer_norm_eps=epsilon,
                              num_labels=len(labels), id2label=labels)
        except ModelError as error:
            raise ModelError(f"{path.parent}: {error}") from None

    def canonical(self, name):
        """See `Family`; older files call the vectors of a layer-norm gamma and beta."""
        name = name.removeprefix("bert.")
        return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")

    def tensor_shapes(self, config, pooler=True, classifier=True):
        """See `Family`."""
        return tensor_shapes(config, pooler, classifier)

    def refuse_others(self, path, names):
        """See `Family`; other heads (``cls.*``) and buffers may be there."""
        names = sorted(name for name in names if name.startswith(_ENCODER_PARTS) and name not in _BUFFERS)
        if names:
            what = "cross-attention" if "crossattention" in names[0] else "a part"
            raise ModelError(f"{path}: tensor {names[0]}, one of {len(names)} such, belongs to {what} that a BERT encoder of "
                             "this config.json does not have: use a plain BERT encoder, or the config and weights of one model")

    def float_encoder(self, checkpoint, dtype=torch.float32):
        """See `Family`."""
        return FloatEncoder(checkpoint, dtype)

    def build_graph(self, encoder, lengths, columns, separate=None):
        """See `Family`."""
        return build_graph(encoder, lengths, columns, separate)

    def table_values(self, checkpoint):
        """Words; and every position with every token type, type by type."""
        word, position, kind = (checkpoint.tensors[f"embeddings.{name}_embeddings.weight"]
                                for name in ("word", "position", "token_type"))
        return {"embeddings.word": word, "embeddings.position_type": (kind[:, None] + position[None]).flatten(0, 1)}

    def parts(self, config, layers, pooler, classifier):
        """See `Family`."""
        hidden, factor = config.hidden_size, logit_factor(config.head_size)
        projections, attentions, sites = [], [], {"embeddings.output": "input"}
        norms = [Norm(result="embeddings.output", kind="input", weights="embeddings.LayerNorm", columns=hidden,
                      layer="embeddings", group="embeddings")]
        state = "embeddings.output"
        for layer in range(layers):
            names = {name: f"layer{layer}.{name}" for name in (
                "query", "key", "value", "scores", "probabilities", "context", "attention", "attention_norm", "hidden",
                "output", "output_norm")}
            prefix, number = f"encoder.layer.{layer}", str(layer)

            def project(name, source, weights, group, rows=hidden, columns=hidden, *, names=names, prefix=prefix,
                        number=number, **more):
                projections.append(Projection(result=names[name], source=source, kind=name, weights=f"{prefix}.{weights}",
                                              rows=rows, columns=columns, layer=number, group=group, **more))

            half, other = f"{layer}.attention", f"{layer}.ffn"
            project("query", state, "attention.self.query", half, scale=factor)
            project("key", state, "attention.self.key", half)
            project("value", state, "attention.self.value", half)
            project("attention", names["context"], "attention.output.dense", half)
            project("hidden", names["attention_norm"], "intermediate.dense", other, columns=config.intermediate_size,
                    function=config.hidden_act)
            project("output", names["hidden"], "output.dense", other, rows=config.intermediate_size)
            norms += [Norm(result=names["attention_norm"], kind="ffn_input", weights=f"{prefix}.attention.output.LayerNorm",
                           columns=hidden, layer=number, group=half),
                      Norm(result=names["output_norm"], kind="input", weights=f"{prefix}.output.LayerNorm", columns=hidden,
                           layer=number, group=other)]
            attentions.append(Attention(**{name: names[name] for name in (
                "query", "key", "value", "scores", "probabilities", "context")}))
            sites |= {names[name]: name for name in ("query", "key", "value", "probabilities", "context")}
            sites |= {names["attention_norm"]: "ffn_input", names["hidden"]: "hidden"}
            state = names["output_norm"]
            if layer < layers - 1 or pooler:
                sites[state] = "input"
        output, functions = state, [(config.hidden_act, "the feed-forward network")]
        if pooler:
            output = "pooler"
            functions.append(("tanh", "the pooler"))
            projections.append(Projection(result=output, source=state, kind="pooler", weights="pooler.dense", rows=hidden,
                                          columns=hidden, layer="pooler", group="pooler", function="tanh", bound=1.0,
                                          head=True))
        if classifier:
            projections.append(Projection(result="logits", source=output, kind="logits", weights="classifier", rows=hidden,
                                          columns=config.num_labels, layer="pooler", group="pooler", head=True))
            output = "logits"
        tables = (Table(name="embeddings.word", rows=config.vocab_size, columns=hidden),
                  Table(name="embeddings.position_type", rows=config.type_vocab_size * config.max_position_embeddings,
                        columns=hidden))
        return Parts(layers=layers, tables=tables, projections=tuple(projections), norms=tuple(norms),
                     attentions=tuple(attentions), sites=sites, functions=tuple(functions), output=output)
