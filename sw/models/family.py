"""What a family of models tells about itself; everything else works for all of them."""

import re
from typing import ClassVar

from ...hw.spec.activations import model_function
from .config_fields import read_labels, read_share, read_size, refuse_fields
from .encoder_config import FUNCTIONS, EncoderConfig
from .errors import ModelError
from .tasks import TASKS, Dense, Head, Normalise, task_of_architecture

__all__ = ["BERTS_LAYERS", "Family"]

BERTS_LAYERS = (r"^encoder\.layer\.", "bert.encoder.layer.")
"""The last of the `renames` of a family that calls its layers otherwise: in its files, those of BERT are another family's."""

_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.|0\.auto_model\.|auto_model\.|model\.)+")
"""What trainers and sentence-transformers put in front of the names of tensors."""

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

_LAYER = "encoder.layer."
_POOLER = ("pooler.dense.weight", "pooler.dense.bias")
_PROBLEMS = ("single_label_classification", "multi_label_classification", "regression")


class Family:
    """One or several kinds of ``model_type``: post-layer-norm encoders whose layers are those of BERT; `registry` lists them.

    A family states what it calls things. Canonical names of tensors are those of BERT's classes in transformers, without the
    leading ``bert.``; those of heads are what `heads` says.

    Parameters
    ----------
    model_type : what config.json calls it
    title : what messages call it

    Members
    -------
    prefix : what stands before the encoder's tensors in a file of a model with a head
    fields : {field of `EncoderConfig`: its name in config.json, where it differs}
    defaults : {field of `EncoderConfig`: value where config.json does not give it}
    renames : (regular expression, replacement) from the file's names to canonical ones, the first that matches
    plain : {field of config.json: (the only value that is computed here, why)}, besides those of all families
    epsilon : of every layer-norm, where config.json has no field for it
    pooled : whether a pooler may stand behind the layers
    foreign : how the names of transformers' classes end whose heads are not known, although others of such names are
    """

    prefix: ClassVar[str]
    fields: ClassVar[dict[str, str]] = {}
    defaults: ClassVar[dict[str, object]] = {}
    renames: ClassVar[tuple[tuple[str, str], ...]] = ()
    plain: ClassVar[dict[str, tuple[object, str]]] = {"position_embedding_type": ("absolute", "positions are absolute here")}
    epsilon: ClassVar[float | None] = None
    pooled: ClassVar[bool] = True
    foreign: ClassVar[tuple[str, ...]] = ("LMHeadModel",)

    def __init__(self, model_type, title):
        self.model_type, self.title = model_type, title

    def read_config(self, path, fields):
        """The EncoderConfig, from the fields of config.json.

        Raises
        ------
        ModelError : for a field that is missing, wrong, or asks for what is not computed here
        """
        refuse_fields(path, fields, self.plain | _PLAIN_FIELDS, f"use a plain {self.title} encoder")
        name = self.fields.get("hidden_act", "hidden_act")
        function = fields.get(name, self.defaults.get("hidden_act", "gelu"))
        if not isinstance(function, str) or model_function(function) is None:
            raise ModelError(f"{path}: {name} is {function!r}, known are {', '.join(FUNCTIONS)}: use a model trained with one "
                             "of these")
        sizes = {known: self._size(path, fields, known) for known in (
            "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size", "position_rows")}
        problem = fields.get("problem_type")
        if problem is not None and problem not in _PROBLEMS:
            raise ModelError(f"{path}: problem_type is {problem!r}, known are {', '.join(_PROBLEMS)}: correct it")
        labels = read_labels(path, fields)
        epsilon = self.epsilon or read_share(path, fields, "layer_norm_eps", self.defaults.get("layer_norm_eps", 1e-12))
        try:
            return EncoderConfig(model_type=self.model_type, **sizes, **self.further(path, fields, sizes),
                                 hidden_act=model_function(function), layer_norm_eps=epsilon, num_labels=len(labels),
                                 id2label=labels, problem_type=problem,
                                 tied_words=bool(fields.get("tie_word_embeddings", True)))
        except ModelError as error:
            raise ModelError(f"{path.parent}: {error}") from None

    def _size(self, path, fields, known):
        name = self.fields.get(known, "max_position_embeddings" if known == "position_rows" else known)
        return read_size(path, fields, name, self.defaults.get(known))

    def further(self, path, fields, sizes):
        """Further fields of the EncoderConfig, here those of BERT; `sizes` are those that all families have."""
        return {"type_vocab_size": read_size(path, fields, "type_vocab_size", 2)}

    def task(self, architecture):
        """The Task that a class of transformers is made for, None for one whose head is not known."""
        return None if architecture.endswith(self.foreign) else task_of_architecture(architecture)

    def canonical(self, name):
        """The canonical name of a tensor of the file; older files call the vectors of a layer-norm gamma and beta."""
        name = _WRAPPERS.sub("", name).removeprefix(f"{self.prefix}.")
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        for pattern, replacement in self.renames:
            renamed, count = re.subn(pattern, replacement, name)
            if count:
                return renamed
        return name

    def heads(self, config):
        """{name of a task: steps of its Head}, of those tasks that need one."""
        raise NotImplementedError

    def head(self, config, task, pooler=False):
        """The Head for a Task; `pooler`: the hidden state is followed by the pooler.

        Raises
        ------
        ModelError : the family has none
        """
        steps = self.heads(config).get(task.name)
        if steps is None and task.name not in ("sentence-embedding", "hidden-states"):
            raise ModelError(f"task = {task.name!r}: there is no {self.title} for it: give one of "
                             f"{', '.join([*self.heads(config), 'sentence-embedding', 'hidden-states'])}")
        if steps is None:
            return Head(task=task, steps=(self.pooler(config),) if pooler else (), title="pooler")
        return Head(task=task, steps=steps, title="pooler" if steps[0].result == "pooler" else "head")

    @staticmethod
    def pooler(config):
        """The step that makes a vector of the first token."""
        return Dense(result="pooler", weights="pooler.dense", columns=config.hidden_size, function="tanh", bound=1.0)

    @staticmethod
    def logits(config, weights="classifier", labels=None):
        """The last step of a classifier."""
        return Dense(result="logits", weights=weights, columns=labels or config.num_labels)

    @classmethod
    def token_heads(cls, config):
        """Heads that are the same in all families: a product with every token."""
        return {"token-classification": (cls.logits(config),),
                "question-answering": (cls.logits(config, "qa_outputs", 2),)}

    @staticmethod
    def masked_head(config, columns=None, function="gelu"):
        """The head that predicts tokens: its canonical names are ``lm_head.dense``, ``.norm`` and ``.decoder``."""
        columns = columns or config.hidden_size
        return {"fill-mask": (
            Dense(result="head.dense", weights="lm_head.dense", columns=columns, function=function),
            Normalise(result="head.norm", weights="lm_head.norm"),
            Dense(result="logits", weights="lm_head.decoder", columns=config.vocab_size, parts=True))}

    def tied(self, config):
        """{canonical name: that of the tensor that it is}."""
        return {"lm_head.decoder.weight": "embeddings.word_embeddings.weight"} if config.tied_words else {}

    def tensor_shapes(self, config, head):
        """Canonical name to shape of every tensor that a model of this configuration has, with a Head."""
        hidden, ffn, width = config.hidden_size, config.intermediate_size, config.embedding_width
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (config.vocab_size, width),
            "embeddings.position_embeddings.weight": (config.position_rows, width),
        }
        if config.type_vocab_size:
            shapes["embeddings.token_type_embeddings.weight"] = (config.type_vocab_size, width)

        def vectors(name, size):
            shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (size,)

        def linear(name, out_size, in_size):
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out_size, in_size), (out_size,)

        vectors("embeddings.LayerNorm", width)
        if config.has_projection:
            linear("embeddings_project", hidden, width)
        for layer in dict.fromkeys(map(config.group, range(config.num_hidden_layers))):
            prefix = f"{_LAYER}{layer}"
            for name in ("self.query", "self.key", "self.value", "output.dense"):
                linear(f"{prefix}.attention.{name}", hidden, hidden)
            vectors(f"{prefix}.attention.output.LayerNorm", hidden)
            linear(f"{prefix}.intermediate.dense", ffn, hidden)
            linear(f"{prefix}.output.dense", hidden, ffn)
            vectors(f"{prefix}.output.LayerNorm", hidden)
        if config.relative_buckets:
            shapes["encoder.relative_attention_bias.weight"] = (config.relative_buckets, config.num_attention_heads)
        size = hidden
        for step in head.steps:
            if isinstance(step, Dense):
                linear(step.weights, step.columns, size)
                size = step.columns
            else:
                vectors(step.weights, size)
        return shapes

    def tasks_of(self, config, names):
        """The tasks for which a file has the tensors, by their canonical names; never those that need none."""
        found = []
        for name in self.heads(config):
            steps = [step for step in self.head(config, TASKS[name]).steps if f"{step.weights}.weight" not in self.tied(config)]
            if all(f"{step.weights}.weight" in names for step in steps):
                found.append(name)
        # A classifier without a pooler in front of it is one of tokens.
        return [name for name in found if name != "token-classification" or "text-classification" not in found]

    def refuse_others(self, path, names):
        """Refuse tensors, by their canonical names, that the computation would wrongly leave unused."""
        parts = tuple(f"{part}." for part in ("embeddings", "embeddings_project", "encoder", "transformer", "pooler"))
        names = sorted(name for name in names if name.startswith(parts) and not self.is_buffer(name)
                       and not (self.pooled and name in _POOLER))
        if names:
            what = "cross-attention" if "crossattention" in names[0] else "a part"
            raise ModelError(f"{path}: tensor {names[0]}, one of {len(names)} such, belongs to {what} that a {self.title} "
                             f"encoder of this config.json does not have: use a plain {self.title} encoder, or the config and "
                             "weights of one model")

    def is_buffer(self, name):
        """Whether a tensor, by its canonical name, is no weight but numbers that follow from the configuration, or a copy."""
        return name in ("embeddings.position_ids", "embeddings.token_type_ids", "lm_head.bias")
