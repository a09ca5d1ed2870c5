"""Train the demonstration model: a BERT of the Tiny shape that tells positive from negative movie reviews.

About a minute on one core. Run ``python -m acceltran.sw.train --help``.
"""

import functools
import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import save_file
from torch.nn import functional

from acceltran.sw.checkpoint import BertConfig, ModelError, encode_texts, load_checkpoint, tensor_shapes
from acceltran.sw.float_encoder import FUNCTIONS, FloatEncoder
from acceltran.sw.reviews import (
    contains_excluded,
    fetch_minilm,
    fetch_reviews,
    read_exclusions,
    read_tsv,
    write_exclusions,
)

__all__ = ["Recipe", "CONFIG", "initial_tensors", "forward", "train", "save_model", "accuracy", "split_reviews",
           "main"]

CONFIG = BertConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512,
                    vocab_size=30522, max_position_embeddings=512, type_vocab_size=2, hidden_act="gelu",
                    layer_norm_eps=1e-12, num_labels=2, id2label={0: "negative", 1: "positive"})
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


def initial_tensors(config, teacher, deviation, generator):
    """Starting weights: word and position embeddings from `teacher`, the rest random.

    The word table is the teacher's, centred and projected on its first `hidden_size` principal components; the
    positions are projected on the same, so that those beyond the training texts are of ordinary size too.
    """
    words = teacher.tensors["embeddings.word_embeddings.weight"]
    centred = words - words.mean(0)
    axes = torch.linalg.eigh((centred.T @ centred).double()).eigenvectors[:, -config.hidden_size:].flip(1).float()
    tensors = {}
    for name, shape in tensor_shapes(config).items():
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
    config : BertConfig
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
    fields = asdict(config) | {
        "architectures": ["BertForSequenceClassification"], "model_type": "bert", "pad_token_id": 0,
        "position_embedding_type": "absolute", "torch_dtype": "float16",
        "label2id": {label: index for index, label in config.id2label.items()}}
    del fields["num_labels"]
    (folder / "config.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    halves = {name if name.startswith("classifier") else f"bert.{name}": tensor.half().contiguous()
              for name, tensor in tensors.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(tokenizer_file, folder / "tokenizer.json")


def accuracy(checkpoint, texts, labels, batch=64):
    """Share of texts whose larger logit is their label, and its standard error."""
    encoder = FloatEncoder(checkpoint)
    right = 0
    for first in range(0, len(texts), batch):
        logits = encoder.run(*encode_texts(checkpoint, texts[first:first + batch]))["logits"]
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


def main(
    output: Annotated[Path, typer.Option(help="Folder of the model.")] = Path("models/bert-tiny-reviews"),
    cache: Annotated[Path, typer.Option(help="Where the fetched packages stay.")] = Path("build/training"),
    exclusions: Annotated[Path, typer.Option(
        help="Fingerprints of the sentences never to train on.")] = Path("models/sst2-dev-exclusions.txt"),
    evaluate: Annotated[Path | None, typer.Option(help="A sentence<TAB>label file to report accuracy on.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and dropout.")] = Recipe.seed,
    train_model: Annotated[bool, typer.Option(
        "--train/--no-train", help="Train, or only measure the model in OUTPUT.")] = True,
    exclude: Annotated[Path | None, typer.Option(
        help="Write EXCLUSIONS from this sentence<TAB>label file and stop.")] = None,
):
    """Train the movie-review classifier on four fifths of VADER's snippets and measure it."""
    torch.set_num_threads(1)
    console = Console()
    try:
        if exclude is not None:
            write_exclusions(exclusions, read_tsv(exclude)[0])
            return
        cache.mkdir(parents=True, exist_ok=True)
        training, held_out = _split_data(cache, exclusions, console)
        if train_model:
            _train_into(output, cache, training, Recipe(seed=seed), console)
        sets = {"held out": ([review.text for review in held_out], [int(review.rating > 0) for review in held_out])}
        if evaluate is not None:
            sets[evaluate.name] = read_tsv(evaluate)
        checkpoint = load_checkpoint(output)
        for name, (texts, labels) in sets.items():
            share, error = accuracy(checkpoint, texts, labels)
            console.print(f"{name}: {share:.2%} of {len(texts)} (standard error {error:.2%})")
    except (ModelError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _split_data(cache, exclusions, console):
    with console.status("Fetching sentences"):
        rated = fetch_reviews(cache)
    excluded = read_exclusions(exclusions)
    allowed = [review for review in rated if not contains_excluded(review.text, excluded)]
    reviews = [review for review in allowed if review.rating]
    training, held_out = split_reviews(reviews)
    console.print(f"{len(rated)} sentences: {len(rated) - len(allowed)} excluded, {len(allowed) - len(reviews)} rated "
                  f"neutral, {len(training)} to train on, {len(held_out)} held out")
    return training, held_out


def _train_into(output, cache, reviews, recipe, console):
    with console.status("Fetching embeddings"):
        folder = fetch_minilm(cache)
    numbers = TextColumn("{task.completed}/{task.total} loss {task.fields[loss]:.3f}")
    with Progress(TextColumn("Training"), BarColumn(), numbers, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("training", total=None, loss=math.log(2))
        tensors = train(CONFIG, load_checkpoint(folder), reviews, recipe,
                        lambda done, total, loss: progress.update(bar, completed=done, total=total, loss=loss))
    save_model(output, CONFIG, tensors, folder / "tokenizer.json")


if __name__ == "__main__":
    typer.run(main)
