"""Small random checkpoints for each task."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from acceltran.sw.models.registry import FAMILIES
from acceltran.sw.models.tasks import TASKS
from acceltran.sw.models.tiny_encoder import random_weight, word_tokenizer

__all__ = ["SENTENCES", "make_task_model"]

_CLASSES = {"text-classification": "BertForSequenceClassification", "token-classification": "BertForTokenClassification",
            "question-answering": "BertForQuestionAnswering", "fill-mask": "BertForMaskedLM", "sentence-embedding": "BertModel",
            "hidden-states": "BertModel"}

SENTENCES = {
    "text-classification": [("w1 w2 w3", "w4"), ("w5", None)], "token-classification": [("w1 w2 w3", None), ("w4", None)],
    "question-answering": [("w1 w2", "w3 w4 w5"), ("w6", "w7 w8")],
    "fill-mask": [("w1 [MASK] w2", None), ("[MASK] [MASK]", None)],
    "sentence-embedding": [("w1 w2 w3", None), ("w4", None)], "hidden-states": [("w1 w2 w3", None), ("w4", None)]}
"""(Text, pair) of two sentences for each task."""


def make_task_model(folder, task, *, labels=3, vocab=64):
    """Write a BERT of one layer for a task, and return its folder; words are ``w0``, ``w1``, ..."""
    folder, bert = Path(folder), FAMILIES["bert"]
    folder.mkdir(parents=True, exist_ok=True)
    labels = 2 if task == "question-answering" else labels
    fields = {"model_type": "bert", "architectures": [_CLASSES[task]], "hidden_size": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": vocab, "max_position_embeddings": 32,
              "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
              "id2label": {str(index): f"class{index}" for index in range(labels)}}
    path = folder / "config.json"
    path.write_text(json.dumps(fields))
    config = bert.read_config(path, fields)
    generator = torch.Generator().manual_seed(1)
    shapes = bert.tensor_shapes(config, bert.head(config, TASKS[task]))
    tied = bert.tied(config)
    # A layer-norm of a head does not tell by its name that it is one.
    save_file({name: random_weight("LayerNorm.weight" if name.endswith("norm.weight") else name, shape, generator)
               for name, shape in shapes.items() if name not in tied}, folder / "model.safetensors")
    word_tokenizer(vocab).save(str(folder / "tokenizer.json"))
    return folder
