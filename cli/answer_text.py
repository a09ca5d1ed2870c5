"""Answers in a form to read."""

from rich.markup import escape

__all__ = ["answer_lines", "similarity_lines"]

_FEW = 5
"""Labels up to which the logits of all are shown, and tokens and probabilities that are shown of more."""

_FEW_TOKENS = 32
"""Tokens up to which each is shown with its label."""

_LONG = 160
"""Characters of a context that are shown."""


def answer_lines(prediction, kind):
    """Lines for one sentence, in the markup of rich.

    Parameters
    ----------
    prediction : of a report, with ``text`` and, if there is one, ``pair``
    kind : see `Answers`
    """
    lines = [escape(prediction["text"])]
    if prediction.get("pair"):
        pair = prediction["pair"]
        lines.append(f"  with: {escape(pair if len(pair) <= _LONG else pair[:_LONG] + ' ...')}")
    return lines + [f"  {line}" for line in _ANSWERS[kind](prediction)]


def _label(one):
    if len(one["logits"]) <= _FEW:
        return [f"-> [bold]{escape(one['label'])}[/bold] (logits {', '.join(f'{x:.4f}' for x in one['logits'])})"]
    return [f"-> [bold]{escape(one['label'])}[/bold] ({_probabilities(one['probabilities'])})"]


def _labels(one):
    label = f"[bold]{escape(one['label'])}[/bold]" if one["labels"] else "no label is above 0.5"
    return [f"-> {label} ({_probabilities(one['probabilities'])})"]


def _probabilities(values):
    return ", ".join(f"{escape(name)} {value:.4f}" for name, value in values.items())


def _value(one):
    return [f"-> [bold]{escape(one['label'])}[/bold]"]


def _tokens(one):
    found = ", ".join(f"[bold]{escape(entity['text'])}[/bold] {escape(entity['label'])} {entity['probability']:.4f}"
                      for entity in one["entities"])
    lines = [f"-> {found or 'every token is O'}"]
    if len(one["tokens"]) <= _FEW_TOKENS:
        lines.append("tokens: " + " ".join(escape(f"{token['token']}/{token['label']}") for token in one["tokens"]))
    return lines


def _span(one):
    best = f"{_quoted(one['answer'])} (score {one['score']:.4f}, characters {one['start']} to {one['end']})"
    if one["no_answer_score"] > one["score"]:
        return [f"-> no answer in the text is likelier (score {one['no_answer_score']:.4f}) than {best}"]
    return [f"-> {best}"]


def _quoted(text):
    return f"[bold]{escape(text)}[/bold]" if text else '""'


def _masks(one):
    lines = [f"-> [bold]{escape(one['filled'])}[/bold]"]
    if one.get("filled_pair"):
        lines.append(f"with: {escape(one['filled_pair'])}")
    for position, best in zip(one["positions"], one["masks"], strict=True):
        names = ", ".join(f"{escape(token['token'])} {token['probability']:.4f}" for token in best)
        lines.append(f"token {position}: {names}")
    return lines


def _plain(one):
    return [f"-> {escape(one['label'])}"]


_ANSWERS = {"text-classification": _label, "multi-label": _labels, "value": _value, "token-classification": _tokens,
            "question-answering": _span, "fill-mask": _masks, "sentence-embedding": _plain, "hidden-states": _plain}


def similarity_lines(matrix, kind):
    """A matrix of similarities of a few sentences, with their numbers, a line for each."""
    numbers = range(1, len(matrix) + 1)
    lines = [f"similarity ({kind}):", "    " + "".join(f"{number:>9}" for number in numbers)]
    return lines + [f"{number:>4}" + "".join(f"{value:9.4f}" for value in row)
                    for number, row in zip(numbers, matrix, strict=True)]
