"""Answers as they are printed."""

from rich.text import Text

from acceltran.cli.answer_text import answer_lines, similarity_lines


def shown(kind, text="some text", **answer):
    return [Text.from_markup(line).plain for line in answer_lines({"text": text} | answer, kind)]


def test_labels_and_values():
    assert shown("text-classification", label="yes", logits=[1.0, -2.0], pair="other [text]") == [
        "some text", "  with: other [text]", "  -> yes (logits 1.0000, -2.0000)"]
    many = {f"i{n}": 0.5 / 2**n for n in range(5)}
    assert shown("text-classification", label="i0", logits=[0.0] * 77, probabilities=many)[1] == (
        "  -> i0 (i0 0.5000, i1 0.2500, i2 0.1250, i3 0.0625, i4 0.0312)")
    assert shown("multi-label", label="a, b", labels=["a", "b"], probabilities={"a": 0.9, "b": 0.6})[1] == (
        "  -> a, b (a 0.9000, b 0.6000)")
    assert "no label is above 0.5" in shown("multi-label", label="", labels=[], probabilities={"a": 0.1})[1]
    assert shown("value", label="2.5000", value=2.5) == ["some text", "  -> 2.5000"]


def test_tokens_and_spans():
    entity = {"text": "Anna Lee", "label": "PER", "probability": 0.75}
    tokens = [{"token": "anna", "label": "B-PER"}, {"token": "sings", "label": "O"}]
    assert shown("token-classification", entities=[entity], tokens=tokens)[1:] == [
        "  -> Anna Lee PER 0.7500", "  tokens: anna/B-PER sings/O"]
    assert shown("token-classification", entities=[], tokens=tokens * 20)[1:] == ["  -> every token is O"]
    span = {"answer": "Anna", "score": 0.75, "start": 3, "end": 7, "pair": "x" * 200}
    lines = shown("question-answering", **span, no_answer_score=0.1)
    assert lines[1] == f"  with: {'x' * 160} ..." and lines[2] == "  -> Anna (score 0.7500, characters 3 to 7)"
    assert "no answer in the text is likelier (score 0.8000) than Anna" in shown(
        "question-answering", **span, no_answer_score=0.8)[2]


def test_masks_and_vectors():
    best = [{"token": "capital", "probability": 0.5}, {"token": "[x]", "probability": 0.25}]
    assert shown("fill-mask", filled="the capital", positions=[2], masks=[best])[1:] == [
        "  -> the capital", "  token 2: capital 0.5000, [x] 0.2500"]
    assert shown("sentence-embedding", label="a vector of 4 values, norm 1.0000")[1] == "  -> a vector of 4 values, norm 1.0000"
    assert similarity_lines([[1.0, 0.5], [0.5, 1.0]], "cosine") == [
        "similarity (cosine):", "            1        2", "   1   1.0000   0.5000", "   2   0.5000   1.0000"]
