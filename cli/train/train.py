"""Train a BERT of the Tiny shape to tell positive from negative movie reviews: what `acceltran train` does."""

import functools
import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional

from ...hw.spec.files import replacing, write_json
from ...sw.models.encoder_config import EncoderConfig
from ...sw.models.float_encoder import FUNCTIONS, FloatEncoder
from ...sw.models.registry import FAMILIES
from ...sw.models.sentences import encode_texts
from ...sw.models.tasks import TASKS
from ...sw.models.weight_sparsity import GroupSparsity
from .prune_training import Pruning

__all__ = ["CONFIG", "Recipe", "VARIANTS", "Variant", "accuracy", "forward", "initial_tensors", "save_model", "split_reviews",
           "train"]

CONFIG = EncoderConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512,
                    vocab_size=30522, position_rows=512, type_vocab_size=2, hidden_act="gelu",
                    layer_norm_eps=1e-12, num_labels=2, id2label={0: "negative", 1: "positive"})
BERT = FAMILIES[CONFIG.model_type]
LONGEST = 128
BUCKET = 16  # batches that are sorted by length together


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Hyper-parameters, chosen on the held-out fifth of the training data.

    A text's target is not its label but ``sigmoid(softness * mean rating)``: sentences that divided their raters
    weigh less.
    """

    seed: int = 0
    epochs: int = 3
    batch: int = 32
    rate: float = 5e-4
    warmup: float = 0.1
    decay: float = 0.01
    dropout: float = 0.1
    softness: float = 1.0
    deviation: float = 0.02
    clip: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One of the models that are trained.

    Parameters
    ----------
    recipe : Recipe
    hidden_act : function of the feed-forward network
    pruning : Pruning, or None
    start : name of the variant to go on from, or None
    folder : of the packaged model
    """

    recipe: Recipe
    folder: str
    hidden_act: str = "gelu"
    pruning: Pruning | None = None
    start: str | None = None

    @property
    def config(self):
        """EncoderConfig of the model."""
        return replace(CONFIG, hidden_act=self.hidden_act)


VARIANTS = {
    "dense": Variant(recipe=Recipe(), folder="bert-tiny-reviews"),
    "sparse": Variant(recipe=Recipe(rate=1e-4), folder="bert-tiny-sparse", pruning=Pruning(), start="dense"),
    "relu": Variant(recipe=Recipe(rate=1e-4), folder="bert-tiny-relu", hidden_act="relu", pruning=Pruning(), start="dense"),
    "nm": Variant(recipe=Recipe(rate=1e-4), folder="bert-tiny-nm", pruning=Pruning(weight_sparsity=GroupSparsity("2:4")),
                  start="dense"),
}


def initial_tensors(config, teacher, deviation, generator):
    """Starting weights: word and position embeddings from `teacher`, the rest random.

    The word table is the teacher's, centred and projected on its first `hidden_size` principal components; the
    positions are projected on the same, so that those beyond the training texts are of ordinary size too.
    """
    words = teacher.tensors["embeddings.word_embeddings.weight"]
    centred = words - words.mean(0)
    axes = torch.linalg.eigh((centred.T @ centred).double()).eigenvectors[:, -config.hidden_size:].flip(1).float()
    tensors = {}
    for name, shape in BERT.tensor_shapes(config, BERT.head(config, TASKS["text-classification"])).items():
        if name == "embeddings.word_embeddings.weight":
            tensors[name] = centred @ axes
        elif name == "embeddings.position_embeddings.weight":
            tensors[name] = teacher.tensors[name] @ axes
        elif len(shape) == 2:
            tensors[name] = torch.randn(shape, generator=generator) * deviation
        else:
            tensors[name] = torch.full(shape, float(name.endswith("LayerNorm.weight")))
    return {name: tensor.requires_grad_() for name, tensor in tensors.items()}


def forward(config, tensors, ids, lengths, dropout, prune=None):
    """Logits, with dropout where BERT has it: `FloatEncoder` without the intermediates, for gradients.

    With ``prune(name, tensor)``, see `FloatEncoder.run`, attention is written out, and its dropout acts on the context.
    """
    batch, size = ids.shape
    allowed = (torch.arange(size) < torch.as_tensor(lengths)[:, None])[:, None, None, :]

    def linear(x, name):
        return functional.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def norm(x, name):
        return functional.layer_norm(x, (config.hidden_size,), tensors[f"{name}.LayerNorm.weight"],
                                     tensors[f"{name}.LayerNorm.bias"], config.layer_norm_eps)

    def drop(x):
        return functional.dropout(x, dropout, dropout > 0)

    def site(name, x):
        return x if prune is None else prune(name, x)

    def attend(query, key, value, inside):
        if prune is None:
            return functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed, dropout_p=dropout)
        scores = (query @ key.transpose(-1, -2) / math.sqrt(config.head_size)).masked_fill(~allowed, -math.inf)
        return drop(prune(inside + "probabilities", scores.softmax(-1)) @ value)

    word, position, kind = (tensors[f"embeddings.{name}_embeddings.weight"]
                            for name in ("word", "position", "token_type"))
    state = drop(norm(functional.embedding(ids, word) + position[:size] + kind[0], "embeddings"))
    for layer in range(config.num_hidden_layers):
        prefix, inside = f"encoder.layer.{layer}", f"layer{layer}."
        heads = (site(inside + name, linear(state, f"{prefix}.attention.self.{name}"))
                 .unflatten(-1, (config.num_attention_heads, -1)).transpose(1, 2) for name in ("query", "key", "value"))
        context = site(inside + "context", attend(*heads, inside).transpose(1, 2).flatten(2))
        attention = linear(context, f"{prefix}.attention.output.dense")
        state = site(inside + "attention_norm", norm(state + drop(attention), f"{prefix}.attention.output"))
        hidden = site(inside + "hidden", FUNCTIONS[config.hidden_act](linear(state, f"{prefix}.intermediate.dense")))
        state = norm(state + drop(linear(hidden, f"{prefix}.output.dense")), f"{prefix}.output")
        if layer < config.num_hidden_layers - 1:
            state = site(inside + "output_norm", state)
    return linear(drop(torch.tanh(linear(state[:, 0], "pooler.dense"))), "classifier")


def train(config, teacher, reviews, recipe, report=lambda done, total, loss: None, *, start=None, pruning=None):
    """Train on `reviews`, deterministically from the recipe's seed.

    Parameters
    ----------
    config : EncoderConfig
        The shape to train.
    teacher : Checkpoint
        Gives the tokenizer and the first embeddings.
    reviews : sequence of Review
        Texts of at most LONGEST tokens and their ratings.
    recipe : Recipe
        The hyper-parameters.
    report : callable
        Called as ``report(steps done, steps in all, loss)`` after every step.
    start : dict of str to Tensor, optional
        Go on from these tensors.
    pruning : Pruning, optional
        Prune in every step; the weights that come out are pruned.

    Returns
    -------
    dict of str to Tensor
        Trained tensors under their canonical names.
    """
    torch.manual_seed(recipe.seed)
    if start is None:
        tensors = initial_tensors(config, teacher, recipe.deviation, torch.Generator().manual_seed(recipe.seed))
    else:
        tensors = {name: tensor.detach().clone().requires_grad_() for name, tensor in start.items()}
    generator = torch.Generator().manual_seed(recipe.seed)
    ids, lengths = encode_texts(teacher, [review.text for review in reviews], LONGEST)
    lengths = torch.tensor(lengths)
    positive = torch.sigmoid(recipe.softness * torch.tensor([review.rating for review in reviews]))
    targets = torch.stack([1 - positive, positive], 1)
    total = recipe.epochs * math.ceil(len(reviews) / recipe.batch)
    rising = recipe.warmup * total
    optimiser = torch.optim.AdamW(tensors.values(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / rising, (total - step) / (total - rising)))
    done = 0
    for _ in range(recipe.epochs):
        for rows in _batches(lengths, recipe.batch):
            size = int(lengths[rows].max())
            used, prune = tensors, None
            if pruning is not None:
                used, prune = pruning.weights(tensors, done / total), functools.partial(
                    _prune, pruning=pruning, progress=done / total, generator=generator)
            logits = forward(config, used, ids[rows, :size], lengths[rows], recipe.dropout, prune)
            loss = functional.cross_entropy(logits, targets[rows])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tensors.values(), recipe.clip)
            optimiser.step()
            schedule.step()
            done += 1
            report(done, total, loss.item())
    tensors = {name: tensor.detach() for name, tensor in tensors.items()}
    return tensors if pruning is None else pruning.final_weights(tensors)


def _prune(name, tensor, pruning, progress, generator):
    return pruning.activation(name, tensor, progress, generator)


def save_model(folder, config, tensors, tokenizer_file):
    """Write a model folder: config.json, model.safetensors in half precision, tokenizer.json."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    fields = {name: getattr(config, name) for name in (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
        "max_position_embeddings", "type_vocab_size", "hidden_act", "layer_norm_eps", "id2label")} | {
        "architectures": ["BertForSequenceClassification"], "model_type": "bert", "pad_token_id": 0,
        "position_embedding_type": "absolute", "torch_dtype": "float16",
        "label2id": {label: index for index, label in config.id2label.items()}}
    write_json(folder / "config.json", fields)
    halves = {name if name.startswith("classifier") else f"bert.{name}": tensor.half().contiguous()
              for name, tensor in tensors.items()}
    with replacing(folder / "model.safetensors") as new:
        save_file(halves, new, metadata={"format": "pt"})
    with replacing(folder / "tokenizer.json") as new:
        shutil.copyfile(tokenizer_file, new)


def accuracy(checkpoint, texts, labels, batch=64):
    """Share of texts, cut to the model's positions, whose largest logit is their label, and its standard error."""
    encoder = FloatEncoder(checkpoint)
    right = 0
    for first in range(0, len(texts), batch):
        encoded = encode_texts(checkpoint, texts[first:first + batch], longest=checkpoint.config.max_position_embeddings)
        logits = encoder.run(*encoded)["logits"]
        right += int((logits.argmax(1) == torch.tensor(labels[first:first + batch])).sum())
    share = right / len(texts)
    return share, math.sqrt(share * (1 - share) / len(texts))


def split_reviews(reviews):
    """Four fifths to train on and the held-out fifth, always the same ones."""
    order = torch.randperm(len(reviews), generator=torch.Generator().manual_seed(0)).tolist()
    fifth = len(reviews) // 5
    return [reviews[index] for index in order[fifth:]], [reviews[index] for index in order[:fifth]]


def _batches(lengths, batch):
    """Random rows in batches of similar length."""
    order = torch.randperm(len(lengths))
    chunks = [chunk[lengths[chunk].argsort(stable=True)] for chunk in order.split(batch * BUCKET)]
    batches = [rows for chunk in chunks for rows in chunk.split(batch)]
    return [batches[index] for index in torch.randperm(len(batches)).tolist()]
