"""From the numbers that a program stores to the answer that a model is asked for: the part that runs on the host."""

import math
from dataclasses import dataclass, field

import torch

from .sentence_modules import Dense, SentenceModules, pool
from .tokens import masked_rows

__all__ = ["Answers", "answers_of", "similarities"]

_BEST = 5
"""Labels, spans and tokens that an answer names."""

_KEPT = 20
"""Tokens of each mask whose names a saved program knows."""

_LONGEST_SPAN = 15
"""Tokens of the longest answer to a question, as in the pipeline of transformers."""

_THRESHOLD = 0.5
"""Probability from which a model of several labels gives one."""

_HOST = {
    "text-classification": "softmax and arg-max over the labels",
    "multi-label": "sigmoid of each label",
    "value": "nothing",
    "token-classification": "softmax and arg-max over the labels of each token",
    "question-answering": "softmax over the starts and ends, and the search for the best span",
    "fill-mask": "softmax over the vocabulary, and the search for the best tokens",
    "hidden-states": "nothing",
}
_PLAIN = ("task", "state", "labels", "problem", "sentences", "rows", "names", "layers", "prompt_tokens")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How to read what a program stores for its sentences.

    Parameters
    ----------
    task : name of the Task; that of the hidden states where fewer layers run than the model has and it is no embedding
    state : name of the last hidden state, which may be an output
    labels : names of the classes, by number
    problem : ``problem_type`` of the configuration, or None
    sentences : of each {"text", "pair", "ids", "names", "offsets", "parts", "special"}, see `Encoded`
    rows : (sentence, token, row of the stored logits) of each masked token
    names : tokens by their numbers, as many as are known
    layers : (layers that run, layers of the model)
    modules : SentenceModules of an embedding, or None where it is the pooler's vector
    prompt_tokens : see `pool`
    """

    task: str
    state: str
    labels: dict[int, str]
    problem: str | None
    sentences: list[dict]
    rows: list[tuple[int, int, int]]
    names: dict[int, str] = field(repr=False)
    layers: tuple[int, int]
    modules: SentenceModules | None = None
    prompt_tokens: int = 0

    @property
    def kind(self):
        """The task; of a classifier also whether it gives several labels, or values."""
        if self.task != "text-classification":
            return self.task
        if len(self.labels) == 1 or self.problem == "regression":
            return "value"
        return "multi-label" if self.problem == "multi_label_classification" else self.task

    @property
    def similarity(self):
        """How vectors are to be compared, see `similarities`; None where there are none."""
        return None if self.task != "sentence-embedding" else self.modules.similarity if self.modules else "cosine"

    @property
    def loses_layers(self):
        """Whether the vectors are made by layers behind the pooling, which `to_dict` leaves out."""
        return self.modules is not None and any(isinstance(step, Dense) for step in self.modules.steps)

    @property
    def output(self):
        """What is compared with the float model, in a word."""
        return {"sentence-embedding": "embedding", "hidden-states": self.state}.get(self.task, "logits")

    @property
    def host(self):
        """What is computed here and not by the accelerator, in words."""
        if self.modules is None:
            return _HOST.get(self.kind, "nothing")
        steps = [type(step).__name__.lower() for step in self.modules.steps]
        return " and ".join([f"{'+'.join(self.modules.pooling)} pooling", *steps])

    def arrays(self, outputs):
        """The stored outputs, without padding, of each sentence.

        Parameters
        ----------
        outputs : floats by name, as `results` gives them

        Returns
        -------
        list of dict : ``logits`` [labels], [tokens, labels] or [masks, vocabulary]; ``embedding`` [width]; or ``hidden_state``
            [tokens, hidden] and ``pooler`` [hidden]
        """
        lengths = [len(one["names"]) for one in self.sentences]
        parts = [value for name, value in outputs.items() if name.split(".")[0] == "logits"]
        if self.task == "fill-mask":
            logits = torch.cat([part.flatten(0, -2) for part in parts], 1)
            return [{"logits": logits[[row for sentence, _, row in self.rows if sentence == number]]}
                    for number in range(len(lengths))]
        if parts:
            return [{"logits": one[:length] if one.ndim == 2 else one} for one, length in zip(parts[0], lengths, strict=True)]
        return self._states(outputs, lengths)

    def float_arrays(self, values):
        """The same of what `FloatEncoder.run` gives."""
        if self.task != "fill-mask":
            return self.arrays(values)
        logits = torch.cat([value for name, value in values.items() if name.split(".")[0] == "logits"], 2)
        return [{"logits": one[[token for sentence, token, _ in self.rows if sentence == number]]}
                for number, one in enumerate(logits)]

    def _states(self, outputs, lengths):
        pooler = outputs.get("pooler")
        if self.task == "sentence-embedding":
            vectors = pooler if self.modules is None else pool(outputs[self.state], lengths, self.modules, self.prompt_tokens)
            return [{"embedding": vector} for vector in vectors]
        state = outputs[self.state]
        return [{"hidden_state": one[:length]} | ({} if pooler is None else {"pooler": pooler[number]})
                for number, (one, length) in enumerate(zip(state, lengths, strict=True))]

    def read(self, outputs):
        """The answer for each sentence, as plain values; see the methods of each task for what they hold."""
        return [self.answer(number, arrays) for number, arrays in enumerate(self.arrays(outputs))]

    def answer(self, number, arrays):
        """The answer for one sentence from its `arrays`."""
        reader = {"text-classification": self._label, "multi-label": self._labels, "value": self._value,
                  "token-classification": self._tokens, "question-answering": self._span, "fill-mask": self._masks,
                  "sentence-embedding": self._vector, "hidden-states": self._state}[self.kind]
        return reader(self.sentences[number], arrays) | (self._filled(number, arrays) if self.kind == "fill-mask" else {})

    def decisions(self, arrays):
        """What of each sentence's answer is no number, to be compared; None for those that have nothing of the kind."""
        if self.kind in ("value", "sentence-embedding", "hidden-states"):
            return [None] * len(arrays)
        keys = {"text-classification": ("index",), "multi-label": ("chosen",), "token-classification": ("indices",),
                "question-answering": ("start", "end"), "fill-mask": ("indices",)}[self.kind]
        answers = [self.answer(number, one) for number, one in enumerate(arrays)]
        return [tuple(answer[key] for key in keys) for answer in answers]

    def _name(self, index):
        return self.labels.get(index, f"LABEL_{index}")

    def _best(self, probabilities):
        """The likeliest labels with their probabilities."""
        values, order = probabilities.topk(min(_BEST, len(probabilities)))
        return {self._name(index): value for index, value in zip(order.tolist(), values.tolist(), strict=True)}

    def _label(self, sentence, arrays):
        logits = arrays["logits"].double()
        index = int(logits.argmax())
        return {"label": self._name(index), "index": index, "probabilities": self._best(logits.softmax(0)),
                "logits": logits.tolist()}

    def _labels(self, sentence, arrays):
        logits = arrays["logits"].double()
        probabilities = logits.sigmoid()
        chosen = [index for index in range(len(logits)) if probabilities[index] > _THRESHOLD]
        return {"label": ", ".join(map(self._name, chosen)), "labels": [self._name(index) for index in chosen],
                "chosen": chosen, "probabilities": self._best(probabilities), "logits": logits.tolist()}

    def _value(self, sentence, arrays):
        values = arrays["logits"].tolist()
        named = {self._name(index): value for index, value in enumerate(values)}
        label = f"{values[0]:.4f}" if len(values) == 1 else ", ".join(f"{name} {value:.4f}" for name, value in named.items())
        return {"label": label, "value": values[0] if len(values) == 1 else named, "logits": values}

    def _tokens(self, sentence, arrays):
        logits = arrays["logits"].double()
        probabilities = logits.softmax(1)
        indices = logits.argmax(1).tolist()
        tokens = []
        for at, index in enumerate(indices):
            if not sentence["special"][at]:
                start, end = sentence["offsets"][at]
                tokens.append({"token": sentence["names"][at], "text": self._text(sentence, at)[start:end], "start": start,
                               "end": end, "part": sentence["parts"][at], "label": self._name(index),
                               "probability": float(probabilities[at, index])})
        groups = _entities(sentence, tokens)
        return {"label": ", ".join(f"{one['text']} {one['label']}" for one in groups), "entities": groups, "tokens": tokens,
                "indices": [index for index, special in zip(indices, sentence["special"], strict=True) if not special]}

    @staticmethod
    def _text(sentence, at):
        return sentence["pair"] if sentence["parts"][at] == 1 else sentence["text"]

    def _span(self, sentence, arrays):
        """As the pipeline of transformers: the first token stands for no answer, and takes part in the softmax."""
        inside = torch.tensor([part == 1 for part in sentence["parts"]])
        allowed = inside.clone()
        allowed[0] = True
        start, end = (arrays["logits"][:, side].double().masked_fill(~allowed, -math.inf).softmax(0) for side in (0, 1))
        none = float(start[0] * end[0])
        scores = (start * inside)[:, None] * (end * inside)[None]
        scores = scores.triu().tril(_LONGEST_SPAN - 1)
        best = []
        for place in scores.flatten().topk(min(_BEST, scores.numel())).indices.tolist():
            first, last = divmod(place, len(inside))
            span = sentence["offsets"][first][0], sentence["offsets"][last][1]
            best.append({"answer": sentence["pair"][slice(*span)], "score": float(scores[first, last]), "start": span[0],
                         "end": span[1]})
        return {"label": best[0]["answer"], **best[0], "others": best[1:], "no_answer_score": none}

    def _masks(self, sentence, arrays):
        masks = []
        for logits in arrays["logits"].double():
            values, order = logits.softmax(0).topk(min(_BEST, len(logits)))
            masks.append([{"token": self.names.get(index, str(index)), "index": index, "probability": value}
                          for index, value in zip(order.tolist(), values.tolist(), strict=True)])
        return {"label": ", ".join(best[0]["token"] for best in masks), "masks": masks,
                "indices": [best[0]["index"] for best in masks]}

    def masked(self, number):
        """The masked tokens of a sentence, by their numbers in it."""
        return [token for sentence, token, _ in self.rows if sentence == number]

    def _filled(self, number, arrays):
        """The sentence with the likeliest token in place of each mask, and the masks' tokens by their numbers."""
        sentence, tokens = self.sentences[number], self.masked(number)
        texts = [sentence["text"], sentence["pair"] or ""]
        for at, logits in reversed(list(zip(tokens, arrays["logits"], strict=True))):
            best, part, (start, end) = int(logits.argmax()), sentence["parts"][at] or 0, sentence["offsets"][at]
            texts[part] = texts[part][:start] + _readable(self.names.get(best, str(best))) + texts[part][end:]
        return {"filled": texts[0], "positions": tokens} | ({"filled_pair": texts[1]} if sentence["pair"] else {})

    def _vector(self, sentence, arrays):
        vector = arrays["embedding"]
        return {"label": f"a vector of {len(vector)} values, norm {vector.norm():.4f}", "embedding": vector.tolist()}

    def _state(self, sentence, arrays):
        state = arrays["hidden_state"]
        answer = {"label": f"hidden state [{state.shape[0]}, {state.shape[1]}]", "shape": list(state.shape),
                  "first_token": state[0].tolist()}
        if "pooler" in arrays:
            answer |= {"label": f"{answer['label']}, and the pooler's vector", "pooler": arrays["pooler"].tolist()}
        return answer

    def keep_names(self, outputs):
        """The same with the names of the likeliest tokens only, which is what a saved program needs."""
        if self.task != "fill-mask":
            return self
        logits = [row for arrays in self.arrays(outputs) for row in arrays["logits"]]
        likely = {index for row in logits for index in row.topk(min(_KEPT, len(row))).indices.tolist()}
        return Answers(**self.__dict__ | {"names": {index: self.names[index] for index in sorted(likely & self.names.keys())}})

    def to_dict(self):
        """Plain values for JSON. The weights of layers behind a pooling are left out: the hidden states are the answer then."""
        values = {name: getattr(self, name) for name in _PLAIN}
        values |= {name: {str(number): text for number, text in values[name].items()} for name in ("labels", "names")}
        if self.loses_layers:
            return values | {"task": "hidden-states", "modules": None}
        return values | {"modules": self.modules and self.modules.to_dict()}

    @classmethod
    def from_dict(cls, values):
        """The inverse of `to_dict`."""
        values = dict(values)
        numbered = {name: {int(number): text for number, text in values[name].items()} for name in ("labels", "names")}
        modules = values.pop("modules")
        return cls(**values | numbered | {"rows": [tuple(row) for row in values["rows"]], "layers": tuple(values["layers"]),
                                          "modules": modules and SentenceModules.from_dict(modules)})


def answers_of(checkpoint, batch, *, layers=None, tile=1):
    """The Answers for a Batch.

    Parameters
    ----------
    checkpoint : Checkpoint
    batch : Batch
    layers : as in `quantise_encoder`
    tile : of the configuration
    """
    count, task = checkpoint.config.num_hidden_layers, checkpoint.task.name
    whole = layers in (None, count)
    return Answers(
        task=task if whole or task == "sentence-embedding" else "hidden-states", state=checkpoint.parts(layers).state,
        labels=checkpoint.config.id2label, problem=checkpoint.config.problem_type,
        sentences=[{"text": sentence.text, "pair": sentence.pair, "ids": list(one.ids),
                    "names": list(one.names), "offsets": [list(span) for span in one.offsets], "parts": list(one.parts),
                    "special": list(one.special)}
                   for sentence, one in zip(batch.sentences, batch.encoded, strict=True)],
        rows=masked_rows(batch.tokens, tile)[1] if whole else [],
        names=checkpoint.token_names if task == "fill-mask" and whole else {},
        layers=(count if layers is None else layers, count),
        modules=checkpoint.modules, prompt_tokens=checkpoint.prompt_tokens)


def similarities(vectors, kind="cosine"):
    """How alike vectors are, float64 [n, n]: cosine, dot product, or the negative of a distance.

    Parameters
    ----------
    vectors : Tensor [n, width]
    kind : cosine, dot, euclidean or manhattan
    """
    vectors = vectors.double()
    if kind in ("euclidean", "manhattan"):
        return -torch.cdist(vectors, vectors, p=2 if kind == "euclidean" else 1)
    if kind == "cosine":
        vectors = torch.nn.functional.normalize(vectors, dim=1)
    return vectors @ vectors.T


def _readable(token):
    """A token as a reader would write it: without the marks of wordpiece, and with a space where others mark one."""
    return token.removeprefix("##").replace("\u0120", " ").replace("\u2581", " ").strip() or token


def _entities(sentence, tokens):
    """Tokens of one label that follow each other, as one piece of text; ``B-`` begins a new one, and ``O`` is none."""
    runs: list[tuple] = []
    for one in tokens:
        head, _, kind = one["label"].partition("-")
        kind = kind if head in ("B", "I") else one["label"]
        if head == "B" or not runs or runs[-1][0] != (kind, one["part"]):
            runs.append(((kind, one["part"]), []))
        runs[-1][1].append(one)
    entities = []
    for (kind, part), members in runs:
        if kind != "O":
            text = sentence["pair"] if part == 1 else sentence["text"]
            span = members[0]["start"], members[-1]["end"]
            entities.append({"label": kind, "text": text[slice(*span)], "start": span[0], "end": span[1], "part": part,
                             "probability": sum(one["probability"] for one in members) / len(members)})
    return entities
