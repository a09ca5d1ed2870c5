"""Tiny random models of transformers, in folders as it saves them, and what it computes with them."""

from dataclasses import dataclass

import pytest
import torch

from acceltran.sw.models.answers import answers_of
from acceltran.sw.models.sentence import Sentence
from acceltran.sw.models.sentences import encode_sentences
from support.tokenizer_folders import SIZE, make_folder

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

__all__ = ["FAMILIES", "KINDS", "MASKS", "Kind", "compare_floats", "float_arrays", "make_model", "make_reference",
           "reference_outputs", "reference_pipeline", "sentences_for", "transformers"]

FAMILIES = {"bert": "Bert", "distilbert": "DistilBert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta",
            "camembert": "Camembert", "electra": "Electra", "albert": "Albert", "mpnet": "MPNet"}
"""How the names of a family's classes begin."""

MASKS = {"roberta": "<mask>", "xlm-roberta": "<mask>", "camembert": "<mask>", "mpnet": "<mask>"}
"""The token that hides a word, where it is not [MASK]."""

_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": SIZE,
          "max_position_embeddings": 80, "hidden_act": "gelu"}
_DISTILBERT = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
               "intermediate_size": "hidden_dim", "hidden_act": "activation"}
_ROBERTA = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
_OWN = {"roberta": _ROBERTA, "xlm-roberta": _ROBERTA, "camembert": _ROBERTA, "mpnet": {"pad_token_id": 1},
        "electra": {"embedding_size": 24}, "albert": {"embedding_size": 24, "num_hidden_groups": 2, "inner_group_num": 1}}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a model is made for.

    Parameters
    ----------
    suffix : of the name of transformers' class
    task : its name here
    fields : of config.json
    """

    suffix: str
    task: str
    fields: dict

    @property
    def masked(self):
        """Whether it predicts tokens."""
        return self.task == "fill-mask"


def _labels(*names):
    return {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}


KINDS = {
    "two-labels": Kind(suffix="ForSequenceClassification", task="text-classification", fields=_labels("bad", "good")),
    "five-labels": Kind(suffix="ForSequenceClassification", task="text-classification", fields=_labels(*"ABCDE")),
    "multi-label": Kind(suffix="ForSequenceClassification", task="text-classification",
                        fields=_labels(*"ABCD") | {"problem_type": "multi_label_classification"}),
    "regression": Kind(suffix="ForSequenceClassification", task="text-classification",
                       fields=_labels("score") | {"problem_type": "regression"}),
    "tokens": Kind(suffix="ForTokenClassification", task="token-classification",
                   fields=_labels("O", "B-PER", "I-PER", "B-LOC", "I-LOC")),
    "question": Kind(suffix="ForQuestionAnswering", task="question-answering", fields={}),
    "masks": Kind(suffix="ForMaskedLM", task="fill-mask", fields={}),
    "base": Kind(suffix="Model", task="hidden-states", fields={}),
}
"""The kinds of models that every family has."""


def make_model(family, kind="two-labels", *, seed=0, **fields):
    """A random model of transformers.

    Parameters
    ----------
    family : one of `FAMILIES`
    kind : name of one of `KINDS`, or how the name of another class of the family ends
    seed : of the random numbers
    fields : of its configuration, by the names of BERT
    """
    name = FAMILIES[family]
    own = KINDS[kind].fields if kind in KINDS else {}
    fields = _SIZES | _OWN.get(family, {}) | own | fields
    if family == "distilbert":
        fields = {_DISTILBERT.get(field, field): value for field, value in fields.items()}
    model_class = getattr(transformers, name + (KINDS[kind].suffix if kind in KINDS else kind))
    model = model_class(getattr(transformers, f"{name}Config")(**fields)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for field, values in model.named_parameters():
            values.copy_(_random(field, values.shape, generator))
    return model


def _random(name, shape, generator):
    """Values of a parameter that look trained: decided attention, decided answers."""
    noise = torch.randn(shape, generator=generator)
    if len(shape) == 1:
        return 1 + 0.1 * noise if name.endswith("weight") else 0.1 * noise
    if "embeddings." in name:
        return 0.3 * noise
    return noise * min(0.5, 1.5 / shape[1] ** 0.5)


def make_reference(folder, family, kind="two-labels", *, seed=0, fields=None, dtype=torch.float32, **options):
    """Write a random model with its tokenizer into a folder.

    Parameters
    ----------
    family, kind, seed : as in `make_model`
    fields : of its configuration
    dtype : of its tensors
    options : of ``save_pretrained``

    Returns
    -------
    folder, and the model
    """
    make_folder(folder, family)
    model = make_model(family, kind, seed=seed, **fields or {}).to(dtype)
    model.save_pretrained(folder, **options)
    return folder, model


@torch.no_grad()
def reference_outputs(folder, model, sentences):
    """Run a batch of sentences, padded to the longest.

    Parameters
    ----------
    folder : holds the tokenizer
    model : of `make_model`; it stays in float64
    sentences : Sentence each

    Returns
    -------
    what the tokenizer gives for each sentence, and in float64 arrays as those of `Answers.arrays`
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    encoded = [tokenizer(one.text, one.pair) for one in sentences]
    batch = tokenizer.pad(encoded, return_tensors="pt")
    outputs = model.double()(**batch)
    lengths, mask = [len(one["input_ids"]) for one in encoded], tokenizer.mask_token_id
    arrays = []
    for number, length in enumerate(lengths):
        if "start_logits" in outputs:
            logits = torch.stack([outputs.start_logits[number], outputs.end_logits[number]], 1)[:length]
        elif "logits" not in outputs:
            pooler = outputs.get("pooler_output")
            arrays.append({"hidden_state": outputs.last_hidden_state[number, :length]}
                          | ({} if pooler is None else {"pooler": pooler[number]}))
            continue
        else:
            logits = outputs.logits[number]
            if type(model).__name__.endswith("ForMaskedLM"):
                logits = logits[(batch["input_ids"][number] == mask).nonzero()[:, 0]]
            elif logits.ndim == 2:
                logits = logits[:length]
        arrays.append({"logits": logits})
    return encoded, arrays


def float_arrays(checkpoint, batch, answers):
    """The outputs of the float model, in float64, for a Batch and its Answers."""
    encoder = checkpoint.float_encoder(torch.float64)
    return answers.float_arrays(encoder.run(batch.ids, batch.lengths, tokens=batch.tokens))


def compare_floats(checkpoint, model, sentences):
    """The tokens and the float model's outputs are those of transformers; the Batch, and the arrays of transformers.

    Of the outputs, float64 leaves differences by its own rounding, and by that of a constant in ``gelu_fast``.
    """
    batch = encode_sentences(checkpoint, sentences)
    encoded, wanted = reference_outputs(checkpoint.folder, model, sentences)
    assert [list(one.ids) for one in batch.encoded] == [one["input_ids"] for one in encoded]
    if "token_type_ids" in encoded[0]:
        assert [list(one.types) for one in batch.encoded] == [one["token_type_ids"] for one in encoded]
    for one, other in zip(float_arrays(checkpoint, batch, answers_of(checkpoint, batch)), wanted, strict=True):
        assert one.keys() == other.keys()
        for name in other:
            torch.testing.assert_close(one[name], other[name], rtol=1e-9, atol=1e-9)
    return batch, wanted


def reference_pipeline(task, folder, model):
    """The pipeline of transformers for a task, in float64."""
    return transformers.pipeline(task, model=model.double(), tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
                                 device="cpu")


def sentences_for(family, kind):
    """Texts and pairs of varied lengths for one of `KINDS`, by its name."""
    kind, mask = KINDS[kind], MASKS.get(family, "[MASK]")
    if kind.task == "question-answering":
        return [Sentence("Who jumps?", "The quick brown fox jumps over the lazy dog."), Sentence("Où?", "Le Cher est calme."),
                Sentence("What is never new, and why is it seen from there?", "A new idea is the old one: 1,234 birds sing.")]
    if kind.masked:
        return [Sentence(f"The quick {mask} fox."), Sentence(f"{mask} new idea is never {mask}: it is the old {mask}, seen."),
                Sentence("Straße und", f"{mask} sind gesperrt")]
    return [Sentence("The quick brown fox jumps."), Sentence("Café?"), Sentence("A new idea", "is never new: it is old"),
            Sentence("don't won't can't (really) [no] <yes> 'single' -- and 1,234 birds 😀")]
