"""Folders of sentence-transformers: what stands around the encoder, and how its hidden states become one vector."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn import functional

from .config_fields import read_size
from .errors import ModelError
from .files import file_inside, read_json
from .tasks import POOLING_MODES
from .weight_files import open_weights

__all__ = ["Dense", "Normalize", "POOLING_MODES", "SentenceModules", "pool", "read_sentence_modules"]

MODULES, SETTINGS = "modules.json", "config_sentence_transformers.json"
TRANSFORMER_CONFIGS = tuple(f"sentence_{kind}_config.json" for kind in (
    "bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"))
"""What the transformer's own settings are called, in the order in which sentence-transformers looks for them."""

PACKAGE = "sentence_transformers."
KNOWN = ("Transformer", "Pooling", "Dense", "Dropout", "Normalize")
POOLING_FLAGS = dict(zip((
    "pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_tokens", "pooling_mode_mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"), POOLING_MODES, strict=True))

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "Tanh": torch.tanh, "Identity": lambda vectors: vectors, "ReLU": functional.relu, "GELU": functional.gelu,
    "Sigmoid": torch.sigmoid}
SIMILARITIES = {"cosine": "cosine", "dot": "dot", "dot_product": "dot", "euclidean": "euclidean", "manhattan": "manhattan"}
FLOAT_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
PLAIN_TRANSFORMER = {
    "transformer_task": "feature-extraction", "module_output_name": "token_embeddings", "query_expansion": None,
    "tokenizer_name_or_path": None}
SETTINGS_OF_OTHERS = ("tokenizer_args", "processor_kwargs", "config_args", "config_kwargs")
INPUT, HIDDEN = "sentence_embedding", "last_hidden_state"
UNLIMITED = 10**9
"""Tokenizers without a limit state a number that is far beyond any, 10**30."""


@dataclass(frozen=True)
class Dense:
    """A linear layer behind the pooling, ``function(x W^T + b)``.

    Members
    -------
    weight : float32 Tensor [out, in]
    bias : float32 Tensor [out], or None
    function : str
        A key of FUNCTIONS.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    function: str

    def run(self, vectors):
        """The layer's result for ``[batch, in]``, in the same data type."""
        bias = None if self.bias is None else self.bias.to(vectors.dtype)
        return FUNCTIONS[self.function](functional.linear(vectors, self.weight.to(vectors.dtype), bias))


@dataclass(frozen=True)
class Normalize:
    """Scaling to unit length, ``x / max(|x|, 1e-12)``."""

    def run(self, vectors):
        """Each row of ``[batch, D]`` scaled to length 1."""
        return functional.normalize(vectors, p=2, dim=1)


@dataclass(frozen=True, kw_only=True)
class SentenceModules:
    """What a folder of sentence-transformers says.

    Members
    -------
    folder : Path
        Of modules.json.
    transformer : Path
        The folder of the encoder's config.json, weights and tokenizer: `folder`, or ``0_Transformer`` in it.
    max_seq_length : int or None
        Tokens, first and last token included, to which texts are cut. Where the folder does not state it, it is the smaller
        of ``max_position_embeddings`` of config.json and ``model_max_length`` of tokenizer_config.json; None without them.
    do_lower_case : bool
        Texts are lowercased before the tokenizer sees them.
    pooling : tuple of str
        Of POOLING_MODES, concatenated in this order.
    width : int
        Size of the hidden states that are pooled.
    include_prompt : bool
        Whether the tokens of a prompt are pooled too.
    steps : tuple of Dense and Normalize
        Behind the pooling, in order.
    prompts : dict of str to str
    default_prompt_name : str or None
    similarity : str
        How vectors are to be compared: cosine, dot, euclidean or manhattan.
    truncate_dim : int or None
        How many of the vector's first elements are kept, all by default.
    """

    folder: Path
    transformer: Path
    max_seq_length: int | None
    do_lower_case: bool
    pooling: tuple[str, ...]
    width: int
    include_prompt: bool = True
    steps: tuple[Dense | Normalize, ...] = ()
    prompts: dict[str, str]
    default_prompt_name: str | None
    similarity: str
    truncate_dim: int | None = None

    @classmethod
    def plain(cls, folder, width, pooling="mean"):
        """Those of a model of `width` that comes without any: one way of pooling, and nothing behind it."""
        return cls(folder=folder, transformer=folder, max_seq_length=None, do_lower_case=False, pooling=(pooling,), width=width,
                   prompts={}, default_prompt_name=None, similarity="cosine")

    def to_dict(self):
        """What `pool` needs, as plain values for JSON; there must be no Dense."""
        return {"pooling": list(self.pooling), "width": self.width, "include_prompt": self.include_prompt,
                "normalize": bool(self.steps), "similarity": self.similarity, "truncate_dim": self.truncate_dim}

    @classmethod
    def from_dict(cls, values):
        """The modules that pool as those of `to_dict` did."""
        values = dict(values)
        steps = (Normalize(),) if values.pop("normalize") else ()
        pooling = tuple(values.pop("pooling"))
        return replace(cls.plain(Path(), values["width"]), pooling=pooling, steps=steps, **values)

    @property
    def prompt(self):
        """What stands before every text, by default: usually nothing."""
        return self.prompts[self.default_prompt_name] if self.default_prompt_name is not None else ""

    def prepare(self, text):
        """The text as the tokenizer gets it: behind the default prompt, stripped, in lower case if the folder says so."""
        text = (self.prompt + text).strip()
        return text.lower() if self.do_lower_case else text


def read_sentence_modules(folder):
    """Read modules.json and what it names.

    Tensors of the encoder are not read. Folders of the first releases name them with a prefix ``0.auto_model.``.

    Returns
    -------
    SentenceModules, or None for a folder without modules.json

    Raises
    ------
    ModelError
        One line naming the file, the value found and the remedy.
    """
    folder = Path(folder)
    path = folder / MODULES
    if not path.is_file():
        return None
    modules = _read_modules(path)
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) & {"Transformer", "Pooling"}:
        raise ModelError(f"{path}: the modules are {', '.join(kinds)}: use a model of one Transformer, one Pooling, and after "
                         "them only Dense, Dropout and Normalize")
    transformer = modules[0][1]
    longest, lower = _read_transformer(transformer)
    pooling, width, include_prompt = _read_pooling(modules[1][1] / "config.json")
    steps = _read_steps(modules[2:], len(pooling) * width)
    return SentenceModules(folder=folder, transformer=transformer, max_seq_length=longest, do_lower_case=lower,
                           pooling=pooling, width=width, include_prompt=include_prompt, steps=steps,
                           **_read_settings(folder / SETTINGS))


def pool(hidden, lengths, modules, prompt_tokens=0):
    """One vector for each text, as Pooling, Dense and Normalize of sentence-transformers compute it.

    With ``h_1 .. h_n`` the hidden states of a text's ``n`` tokens, first and last token included, the modes are

    - ``cls``: ``h_1``
    - ``max``: the largest of ``h_1 .. h_n``, element by element
    - ``mean``: ``(h_1 + .. + h_n) / n``
    - ``mean_sqrt_len_tokens``: ``(h_1 + .. + h_n) / sqrt(n)``
    - ``weightedmean``: ``(1 h_1 + 2 h_2 + .. + n h_n) / (1 + 2 + .. + n)``
    - ``lasttoken``: ``h_n``

    Parameters
    ----------
    hidden : float Tensor [batch, S, width]
        Of the last layer. Results have its data type.
    lengths : sequence of int
        Valid tokens of each row, at least 1.
    modules : SentenceModules
    prompt_tokens : int
        How many tokens the prompt has, the first token included. If the prompt is not pooled, they are left out, unless a
        text has no others; tokens keep the weights of their places in the whole text. ``cls`` is then the first token
        behind the prompt, as in releases since 6; it was the first of all before.

    Returns
    -------
    Tensor [batch, D]
    """
    if hidden.shape[2] != modules.width:
        raise ModelError(f"{modules.folder / MODULES}: the pooling takes vectors of {modules.width} elements but the encoder "
                         f"gives {hidden.shape[2]}: use the pooling and encoder of one model")
    ends = torch.as_tensor(lengths, device=hidden.device)
    starts = torch.zeros_like(ends)
    if not modules.include_prompt:
        starts = torch.where(ends > prompt_tokens, starts + prompt_tokens, starts)
    places = torch.arange(hidden.shape[1], device=hidden.device)
    valid = ((places >= starts[:, None]) & (places < ends[:, None]))[:, :, None]
    states = hidden.masked_fill(~valid, 0)
    count = (ends - starts)[:, None].to(hidden.dtype)
    rows = torch.arange(len(ends), device=hidden.device)
    weights = (places + 1)[:, None] * valid.to(hidden.dtype)
    results: dict[str, Callable[[], torch.Tensor]] = {
        "cls": lambda: hidden[rows, starts],
        "max": lambda: hidden.masked_fill(~valid, -torch.inf).amax(1),
        "mean": lambda: states.sum(1) / count,
        "mean_sqrt_len_tokens": lambda: states.sum(1) / count.sqrt(),
        "weightedmean": lambda: (states * weights).sum(1) / weights.sum(1),
        "lasttoken": lambda: hidden[rows, ends - 1],
    }
    vectors = torch.cat([results[mode]() for mode in modules.pooling], 1)
    for step in modules.steps:
        vectors = step.run(vectors)
    return vectors[:, : modules.truncate_dim]


def _read_modules(path):
    """The kind and folder of every module."""
    modules = read_json(path, list)
    if not modules or not all(isinstance(module, dict) and isinstance(module.get("type"), str)
                              and isinstance(module.get("path"), str) for module in modules):
        raise ModelError(f"{path}: is no list of modules with a path and a type each: fetch the file again")
    found = []
    for module in modules:
        kind = module["type"].rsplit(".", 1)[-1]
        if not module["type"].startswith(PACKAGE) or kind not in KNOWN:
            raise ModelError(f"{path}: module {module['type']} is not known: use a model of {', '.join(KNOWN)}")
        folder = file_inside(path.parent, module["path"])
        if folder is None:
            raise ModelError(f"{path}: places {kind} in {module['path']!r}, outside of the folder: put it inside")
        found.append((kind, folder))
    return found


def _read_transformer(folder):
    """To how many tokens texts are cut, and whether they are lowercased."""
    path = next((folder / name for name in TRANSFORMER_CONFIGS if (folder / name).is_file()), None)
    fields = read_json(path) if path else {}
    for field, known in PLAIN_TRANSFORMER.items():
        if fields.get(field, known) not in (known, None):
            raise ModelError(f"{path}: {field} is {fields[field]!r}, but only plain token embeddings are computed here: use a "
                             "model without it")
    text = _part(path, _part(path, fields, "modality_config"), "text")
    if text.get("method_output_name", HIDDEN) not in (HIDDEN, None):
        raise ModelError(f"{path}: method_output_name is {text['method_output_name']!r}, but only {HIDDEN} is computed here: "
                         "use a model of plain token embeddings")
    for field in SETTINGS_OF_OTHERS:
        if _part(path, fields, field).keys() - {"trust_remote_code"}:
            raise ModelError(f"{path}: {field} is {fields[field]!r}, but what config.json and the tokenizer's files say is not "
                             "changed here: write it there and remove the field")
    lower = _flag(path, fields, "do_lower_case", False)
    if fields.get("max_seq_length") is not None:
        return read_size(path, fields, "max_seq_length"), lower
    stated = []
    for name, field in (("config.json", "max_position_embeddings"), ("tokenizer_config.json", "model_max_length")):
        value = read_json(folder / name).get(field) if (folder / name).is_file() else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < UNLIMITED:
            stated.append(int(value))
    return min(stated, default=None), lower


def _read_pooling(path):
    """The modes, the size of what is pooled, and whether the prompt is."""
    fields = _read_config(path)
    width = read_size(path, fields, "embedding_dimension" if "embedding_dimension" in fields else "word_embedding_dimension")
    modes = fields.get("pooling_mode")
    if modes is None:
        flags = [flag for flag in POOLING_FLAGS if flag in fields]
        if flags and "pooling_mode_mean_tokens" not in flags:
            raise ModelError(f"{path}: field pooling_mode_mean_tokens is missing, whose default changed between releases: add "
                             "it")
        modes = [POOLING_FLAGS[flag] for flag in flags if _flag(path, fields, flag, False)] if flags else ["mean"]
        if not modes:
            raise ModelError(f"{path}: sets no mode of pooling: set one of {', '.join(POOLING_FLAGS)} to true")
    modes = [modes] if isinstance(modes, str) else modes
    if not modes or not isinstance(modes, list) or not all(isinstance(mode, str) for mode in modes):
        raise ModelError(f"{path}: pooling_mode is {modes!r}, not a name or a list of them: use {', '.join(POOLING_MODES)}")
    others = [mode for mode in modes if mode.lower() not in POOLING_MODES]
    if others:
        raise ModelError(f"{path}: pooling_mode {others[0]} is not known: use one of {', '.join(POOLING_MODES)}")
    return tuple(mode.lower() for mode in modes), width, _flag(path, fields, "include_prompt", True)


def _read_steps(modules, width):
    """What stands behind the pooling, which gives vectors of `width` elements."""
    steps: list[Dense | Normalize] = []
    for kind, folder in modules:
        path = folder / "config.json"
        fields = read_json(path) if kind == "Normalize" and path.is_file() else {}
        if kind == "Dense":
            fields = _read_config(path)
            dense = _read_dense(path, fields, width)
            steps.append(dense)
            width = len(dense.weight)
        elif kind == "Normalize":
            steps.append(Normalize())
        for field in ("module_input_name", "module_output_name"):
            if fields.get(field, INPUT) not in (INPUT, None):
                raise ModelError(f"{path}: {field} is {fields[field]!r}, but only the {INPUT} is computed here: use a model "
                                 "without it")
    return tuple(steps)


def _read_dense(path, fields, width):
    shape = read_size(path, fields, "out_features"), read_size(path, fields, "in_features")
    if shape[1] != width:
        raise ModelError(f"{path}: in_features is {shape[1]} but what comes before gives {width}: use the modules of one model")
    if _flag(path, fields, "use_residual", False):
        raise ModelError(f"{path}: use_residual is True, but the layer is computed without: use a model without it")
    name = fields.get("activation_function", "torch.nn.modules.activation.Tanh")
    function = name.rsplit(".", 1)[-1] if isinstance(name, str) and name.startswith("torch.nn.") else None
    if function not in FUNCTIONS:
        raise ModelError(f"{path}: activation_function {name} is not known: use one of {', '.join(FUNCTIONS)} of torch.nn")
    shapes = {"linear.weight": shape} | ({"linear.bias": shape[:1]} if _flag(path, fields, "bias", True) else {})
    tensors = _read_tensors(path.parent, shapes)
    return Dense(tensors["linear.weight"], tensors.get("linear.bias"), function)


def _read_tensors(folder, shapes):
    """The float32 tensors of a module, which has those of `shapes` and no others."""
    with open_weights(folder) as weights:
        missing, others = shapes.keys() - set(weights.names), set(weights.names) - shapes.keys()
        if missing or others:
            what = f"tensor {min(missing)} is missing" if missing else f"tensor {min(others)} has no place in the module"
            raise ModelError(f"{weights.path}: {what}: use the config.json and weights of one module")
        tensors = {}
        for name, shape in shapes.items():
            tensor, path = weights.read(name), weights.where(name)
            if tuple(tensor.shape) != shape:
                raise ModelError(f"{path}: tensor {name} is {list(tensor.shape)} but config.json asks for {list(shape)}: use "
                                 "the config.json and weights of one module")
            if tensor.dtype not in FLOAT_TYPES:
                raise ModelError(f"{path}: tensor {name} is {str(tensor.dtype).removeprefix('torch.')}: store it as float32")
            tensors[name] = tensor.float()
            if not tensors[name].isfinite().all():
                raise ModelError(f"{path}: tensor {name} holds infinite or NaN values: use a model that trained without "
                                 "overflow")
    return tensors


def _read_settings(path):
    """Prompts, similarity and truncation, by the names of the SentenceModules."""
    fields = read_json(path) if path.is_file() else {}
    kind = fields.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise ModelError(f"{path}: model_type is {kind!r}: use a SentenceTransformer, which gives one vector for a text")
    prompts = _part(path, fields, "prompts")
    if not all(isinstance(prompt, str | None) for prompt in prompts.values()):
        raise ModelError(f"{path}: prompts is {prompts!r}, not an object of texts by name: correct it")
    name = fields.get("default_prompt_name")
    if name is not None and name not in list(prompts):
        raise ModelError(f"{path}: default_prompt_name is {name!r} but prompts has {', '.join(prompts) or 'none'}: name one of "
                         "them, or remove it")
    similarity = fields.get("similarity_fn_name") or "cosine"
    if similarity not in list(SIMILARITIES):
        raise ModelError(f"{path}: similarity_fn_name is {similarity!r}: use one of {', '.join(SIMILARITIES)}")
    size = None if fields.get("truncate_dim") is None else read_size(path, fields, "truncate_dim")
    return {"prompts": {name: prompt or "" for name, prompt in prompts.items()}, "default_prompt_name": name,
            "similarity": SIMILARITIES[similarity], "truncate_dim": size}


def _read_config(path):
    if not path.is_file():
        raise ModelError(f"{path}: file is missing: {MODULES} names its module, fetch it")
    return read_json(path)


def _part(path, fields, name):
    """An object within the fields, empty where there is none."""
    value = fields.get(name)
    if not isinstance(value, dict | None):
        raise ModelError(f"{path}: {name} is {value!r}, not an object of fields: correct it")
    return value or {}


def _flag(path, fields, name, default):
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise ModelError(f"{path}: {name} is {value!r}, neither true nor false: correct it")
    return value
