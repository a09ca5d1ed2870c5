"""Small random checkpoints in the Hugging Face layout, with weights scaled like a trained model's."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from acceltran.sw.ir.execute import execute, results
from acceltran.sw.models.build_encoder import build_graph
from acceltran.sw.models.encoder_config import EncoderConfig
from acceltran.sw.models.registry import FAMILIES
from acceltran.sw.models.tasks import TASKS
from acceltran.sw.models.tiny_encoder import SPECIAL, random_texts, random_weight, word_tokenizer

__all__ = ["BASE", "SPECIAL", "TWO_PES", "make_checkpoint", "predict", "random_texts"]

TWO_PES = """
tile = 8
grid_rows = 1
grid_columns = 2
window = 2
lines_per_beat = 1
activation_banks = 2
activation_tiles = 256
weight_tiles = 64
vector_lines = 64
bus_width = 64
"""
"""A configuration of two small PEs, as TOML."""

BASE = {"hidden": 768, "heads": 12, "layers": 12, "ffn": 3072, "vocab": 1000, "positions": 512}
"""BERT-Base in all but the number of words."""


def make_checkpoint(folder, *, hidden=32, heads=2, layers=2, ffn=64, vocab=64, positions=32, act="gelu", labels=2,
                    pooler=True, seed=0, dtype=torch.float32, prefix="bert."):
    """Write a model folder and return its path.

    Words are ``w0``, ``w1``, ... (`vocab` less the five special tokens). With `labels` 0, or no pooler, there is no
    classifier. `prefix` stands before the encoder's tensor names, as in files of classification models.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    classifier = pooler and labels > 0
    bert = FAMILIES["bert"]
    config = EncoderConfig(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=ffn,
                        vocab_size=vocab, position_rows=positions, type_vocab_size=2, hidden_act=act,
                        layer_norm_eps=1e-12, num_labels=labels or 2, id2label={})
    head = bert.head(config, TASKS["text-classification" if classifier else "hidden-states"], pooler=pooler)
    generator = torch.Generator().manual_seed(seed)
    tensors = {(name if name.startswith("classifier") else prefix + name): random_weight(name, shape, generator).to(dtype)
               for name, shape in bert.tensor_shapes(config, head).items()}
    save_file(tensors, folder / "model.safetensors")
    fields = {"model_type": "bert", "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
              "intermediate_size": ffn, "vocab_size": vocab, "max_position_embeddings": positions,
              "type_vocab_size": 2, "hidden_act": act, "layer_norm_eps": 1e-12}
    if classifier:
        fields["id2label"] = {str(index): f"class{index}" for index in range(labels)}
    (folder / "config.json").write_text(json.dumps(fields))
    word_tokenizer(vocab).save(str(folder / "tokenizer.json"))
    return folder


def predict(encoder, ids, lengths):
    """Results of a quantised encoder for a batch of sentences, without compiling a program.

    Parameters
    ----------
    encoder : QuantisedEncoder
    ids : int64 [batch, columns]
    lengths : valid tokens of each row

    Returns
    -------
    as `results`
    """
    graph = build_graph(encoder, lengths, ids.shape[1])
    return results(graph, execute(graph, ids))
