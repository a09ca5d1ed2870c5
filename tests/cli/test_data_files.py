"""Data files: what is recognised is right, what is not certain is refused with the option that settles it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acceltran.cli.data_files import Layout, read_labelled, read_sentences, write_tsv
from acceltran.cli.labels import Targets
from acceltran.sw.models.encoder_config import EncoderConfig
from support.refusals import refused

TWO = {0: "negative", 1: "positive"}
THREE = {0: "contradiction", 1: "neutral", 2: "entailment"}


def targets(names):
    return Targets(EncoderConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16, vocab_size=9,
                              position_rows=9, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12,
                              num_labels=len(names), id2label=names))


@pytest.fixture
def file(tmp_path):
    """Write a file; bytes or text."""
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
    return write


@pytest.mark.parametrize(("name", "content"), [
    ("heading.tsv", "sentence\tlabel\na good film\t1\na bad film\t0\n"),
    ("bare.tsv", "a good film\t1\na bad film\t0\n"),
    ("index.tsv", "idx\tsentence\tlabel\n0\ta good film\t1\n1\ta bad film\t0\n"),
    ("pandas.csv", ",text,label\n0,a good film,1\n1,a bad film,0\n"),
    ("quoted.csv", 'text,label\n"a good film",1\n"a bad film",0\n'),
    ("front.csv", "label,text\n1,a good film\n0,a bad film\n"),
    ("names.csv", "Text;Label\na good film;positive\na bad film;negative\n"),
    ("bar.txt", "text|label\na good film|1\na bad film|0\n"),
    ("unnamed.txt", "text\tlabel\na good film\t1\na bad film\t0"),
    ("setfit.csv", "text,label,label_text\na good film,1,positive\na bad film,0,negative\n"),
    ("other.csv", "kommentar,label\na good film,1\na bad film,0\n"),
    ("crlf.csv", "text,label\r\na good film,1\r\n\r\na bad film,0\r\n"),
    ("bom.csv", b"\xef\xbb\xbftext,label\na good film,1\na bad film,0\n"),
    ("lines.jsonl", '{"label": 1, "text": "a good film"}\n\n{"text": "a bad film", "label": 0}\n'),
    ("lines.json", '{"id": 7, "sentence": "a good film", "label": "positive"}\n'
                   '{"id": 8, "sentence": "a bad film", "label": "negative"}\n'),
    ("lines", '{"text": "a good film", "label": 1.0}\n{"text": "a bad film", "label": 0.0}\n'),
    ("floats.tsv", "sentence\tlabel\na good film\t1.0\na bad film\t0.0\n"),
    ("prefix.tsv", "sentence\tlabel\na good film\tLABEL_1\na bad film\tLABEL_0\n"),
])
def test_d1_columns_headings_and_delimiters_are_recognised(file, name, content):
    data = read_labelled(file(name, content), targets(TWO))
    assert (data.texts, data.labels) == (["a good film", "a bad film"], [1, 0])
    assert data.describe().startswith("read 2 sentences from column ") and ", labels from column " in data.describe()
    assert data.notes == []


def test_d1_a_heading_tells_between_two_delimiters(file):
    """Both give each row two cells; only one of them makes a usual name."""
    data = read_labelled(file("a.csv", "Text;Label, coded\na film, good;1\na film, bad;0\n"), targets(TWO))
    assert data.texts == ["a film, good", "a film, bad"] and data.reading["delimiter"] == "semicolon"


def test_d1_what_was_recognised_is_said(file):
    data = read_labelled(file("a.csv", "text,label\na good film,1\n"), targets(TWO))
    assert data.describe() == f"read 1 sentence from column 'text', labels from column 'label' of {data.reading['file']}"
    assert data.notes == ["no sentence is labelled 'negative', of the model's 2 classes"]
    bare = read_labelled(file("b.tsv", "a good film\t1\na bad one\t0\n"), targets(TWO))
    assert "from column '1', labels from column '2', no heading of" in bare.describe()
    assert bare.reading == {"file": bare.reading["file"], "format": "tsv", "encoding": "utf-8", "delimiter": "tab",
                            "heading": False, "text_column": "1", "label_column": "2"}
    assert read_sentences(file("c.txt", "a\nb\n")).describe().startswith("read 2 sentences from the lines of ")


def test_d1_an_index_is_neither_text_nor_label(file):
    """Its numbers are classes of a model of many, but they count up."""
    many = targets({n: f"intent{n}" for n in range(10)})
    rows = "".join(f"{n}\tplay the song {n}\t{(3 * n) % 7}\n" for n in range(6))
    data = read_labelled(file("a.tsv", rows), many)
    assert data.labels == [0, 3, 6, 2, 5, 1] and data.texts[4] == "play the song 4"
    refused(lambda: read_labelled(file("b.tsv", "0\tplay it now\n1\tstop it now\n2\tplay it again\n"), many), "--label-column")


def test_d1_quotes_are_undone(file):
    content = 'text,label\n"well, ""good""",1\n"two\nlines, one cell",0\n" kept ",1\nsay "this" now,0\n'
    data = read_labelled(file("a.csv", content), targets(TWO))
    assert data.texts == ['well, "good"', "two\nlines, one cell", " kept ", 'say "this" now']
    assert data.lines == [2, 3, 5, 6] and data.labels == [1, 0, 1, 0]
    data = read_labelled(file("a.tsv", 'sentence\tlabel\n"a good\tfilm"\t1\n'), targets(TWO))
    assert data.texts == ["a good\tfilm"]


def test_d1_quotes_that_are_no_quoting_stay(file):
    """Between tabs a quote may begin a sentence and never end; between commas that is refused."""
    content = 'sentence\tlabel\n" what a film\t1\n"good" , they said\t0\n'
    data = read_labelled(file("a.tsv", content), targets(TWO))
    assert data.texts == ['" what a film', '"good" , they said']
    path = file("a.csv", content.replace(" ,", "").replace("\t", ","))
    refused(lambda: read_labelled(path, targets(TWO)), "line 2", "--no-quotes")
    data = read_labelled(path, targets(TWO), Layout(quotes=False))
    assert data.texts == ['" what a film', '"good" they said']
    assert read_labelled(file("b.tsv", 'sentence\tlabel\n"good"\t1\n'), targets(TWO), Layout(quotes=False)).texts == ['"good"']


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.tsv", "kommentar\twert\na good film\t1\na bad film\t0\n", ("'kommentar'", "--heading or --no-heading")),
    ("a.tsv", "sentence\tlabel\na good film\t1\na\tbad film\t0\n", ("line 3", "has 3 cells by tab", "first row has 2")),
    ("a.csv", "text,label\na good film, really,1\n", ("line 2", "3 cells by comma", "--delimiter")),
    ("a.tsv", "sentence\nno label\n", ("no tab between cells", "--delimiter")),
    ("a.txt", "one, two\nthree, four\n", ("--heading or --no-heading",)),
    ("a.txt", "a, b; c\nd, e; f\n", ("comma and semicolon", "--delimiter")),
    ("a.csv", "text,sentence,label\na b,c d,1\n", ("'text', 'sentence' may be the text", "--text-column")),
    ("a.csv", "text,label,score\na b,1,0\n", ("'label', 'score' may be the label", "--label-column")),
    ("a.csv", "text,text,label\na b,c d,1\n", ("two columns are called 'text'", "numbers")),
    ("a.csv", "a good film,1,0\na bad film,0,1\n", ("several may", "--label-column")),
    ("a.csv", "a good film,old one,1\na bad film,old two,0\n", ("several may", "--text-column")),
    ("a.csv", "text,label\n", ("no sentence",)),
    ("a.csv", "", ("no sentence",)),
    ("a.tsv", "\n\n", ("no sentence",)),
    ("a.jsonl", "\n", ("no sentence",)),
    ("a.csv", "text,label\na b,1\n ,0\n", ("line 3", "sentence is empty")),
    ("a.csv", "text,label\na b,1\nc d,\n", ("line 3", "no label")),
    ("a.csv", "text,label\na b,1\nc d,nan\n", ("line 3", "'nan'", "'negative', 'positive' (0 to 1)")),
    ("a.csv", 'text,label\n"a b,1\nc d,0\n', ("line 2", "unexpected end of data")),
    ("a.jsonl", '{"text": "a b", "label": 1}\n{"text": \n', ("line 2", "is no JSON")),
    ("a.jsonl", '["a b", 1]\n', ("line 1", "JSON list", "one object in each line")),
    ("a.json", '[{"text": "a b", "label": 1}]\n', ("JSON list", "one object in each line")),
    ("a.jsonl", '{"text": "a b", "label": 1}\n{"label": 0}\n', ("line 2", "nothing where the sentence is")),
    ("a.jsonl", '{"text": "a b", "label": 1}\n{"text": ["a"], "label": 0}\n', ("line 2", "the list", "--text-column")),
    ("a.jsonl", '{"text": "a b", "label": 1}\n{"text": "c"}\n', ("line 2", "no label")),
    ("a.jsonl", '{"text": "a b", "label": NaN}\n', ("line 1", "nan", "no class")),
    ("a.jsonl", '{"text": "a b", "label": true}\n', ("line 1", "True", "no class")),
    ("a.jsonl", '{"text": "a b"}\n', ("holds the label is not certain", "--label-column")),
])
def test_d1_what_is_not_certain_is_refused(file, name, content, words):
    refused(lambda: read_labelled(file(name, content), targets(TWO)), name, *words)


def test_d1_the_options_settle_it(file):
    two = targets(TWO)
    path = file("a.tsv", "kommentar\twert\na good film\t1\na bad film\t0\n")
    assert read_labelled(path, two, Layout(heading=True)).labels == [1, 0]
    refused(lambda: read_labelled(path, two, Layout(heading=False, label_column="2")), "line 1", "'wert'")
    path = file("a.txt", "a, b; 1\nd, e; 0\n")
    assert read_labelled(path, two, Layout(delimiter="semicolon")).texts == ["a, b", "d, e"]
    path = file("a.csv", "text,sentence,label,score\na b,c d,1,0\nx y,u v,1,1\n")
    data = read_labelled(path, two, Layout(text_column="sentence", label_column="4"))
    assert (data.texts, data.labels) == (["c d", "u v"], [0, 1])
    assert data.reading["label_column"] == "score"
    for column, words in (("review", ("'review'", "'text', 'sentence', 'label', 'score'")), ("5", ("'5'",)), ("0", ("'0'",)),
                          ("label", ("text and label",))):
        layout = Layout(text_column=column, label_column="label")
        refused(lambda layout=layout: read_labelled(path, two, layout), "--text-column", *words)
    path = file("b.csv", "a good film,1,0\na bad film,0,1\n")
    assert read_labelled(path, two, Layout(label_column="3")).labels == [0, 1]
    refused(lambda: Layout(delimiter="::"), "delimiter = '::'", "tab, comma")
    assert read_labelled(file("c", "text#label\na b#1\n"), two, Layout(delimiter="#")).texts == ["a b"]


def test_sentences_alone(file):
    plain = read_sentences(file("a.txt", '\ufeff one, two \r\n\n"three"\tfour\u2028five\x85six\n'))
    assert plain.texts == ["one, two", '"three"\tfour\u2028five\x85six'] and plain.lines == [1, 3]
    data = read_sentences(file("a.csv", "id,text\n3,a b\n4,c d\n"))
    assert data.texts == ["a b", "c d"] and data.labels is None and data.lines == [2, 3]
    assert read_sentences(file("a.tsv", "sentence\na b\n")).texts == ["a b"]
    assert read_sentences(file("a.jsonl", '{"text": "a b"}\n')).texts == ["a b"]
    assert read_sentences(file("b.csv", "a good film\nanother\n"), Layout(heading=False)).texts == ["a good film", "another"]
    assert read_sentences(file("b.txt", "n\ttext\n1\ta b\n"), Layout(text_column="text")).texts == ["a b"]
    refused(lambda: read_sentences(file("b.csv", "a good film\nanother\n")), "'a good film'", "--no-heading")
    refused(lambda: read_sentences(file("b.txt", "\n \n")), "no sentence")
    assert read_sentences(file("c.csv", "text\nwell, good\nbad\n")).texts == ["well, good", "bad"]
    refused(lambda: read_sentences(file("c.csv", "id,text\n1,well, good\n2,bad\n"), Layout(heading=True)), "line 2", "3 cells")


def test_d4_bytes_of_another_encoding(file):
    raw = "text,label\na good film,1\ncafé noir,0\n".encode("latin-1")
    refused(lambda: read_labelled(file("a.csv", raw), targets(TWO)), "line 3", "byte 0xe9", "offset 28", "--encoding")
    refused(lambda: read_sentences(file("a.txt", raw)), "a.txt, line 3", "byte 0xe9", "--encoding")
    for name in ("latin-1", "cp1252"):
        assert read_labelled(file("a.csv", raw), targets(TWO), Layout(encoding=name)).texts[1] == "café noir"
    wide = "text,label\na good film,1\n".encode("utf-16")
    refused(lambda: read_labelled(file("a.csv", wide), targets(TWO)), "UTF-16", "--encoding utf-16")
    assert read_labelled(file("a.csv", wide), targets(TWO), Layout(encoding="utf-16")).texts == ["a good film"]
    refused(lambda: read_labelled(file("a.csv", wide[2:]), targets(TWO)), "zero byte", "line 1")
    refused(lambda: read_labelled(file("a.csv", raw), targets(TWO), Layout(encoding="nonsense")), "'nonsense'", "latin-1")
    refused(lambda: read_labelled(file("a.csv", raw), targets(TWO), Layout(encoding="base64")), "'base64'")
    refused(lambda: read_labelled(file("a.csv", raw), targets(TWO), Layout(encoding="ascii")), "line 3", "is not ascii")


def test_what_cannot_be_opened(file, tmp_path):
    refused(lambda: read_sentences(tmp_path), "is a folder")
    refused(lambda: read_labelled(tmp_path / "none.csv", targets(TWO)), "none.csv", "No such file")


def test_d3_labels_of_three_classes(file):
    three = targets(THREE)
    by_name = "".join(f"a b {n},{THREE[n % 3]}\n" for n in range(6))
    assert read_labelled(file("a.csv", "text,label\n" + by_name), three).labels == [0, 1, 2, 0, 1, 2]
    for form in ("{}", "{}.0", " {} ", "LABEL_{}"):
        rows = "".join(f"a b {n},{form.format(n % 3)}\n" for n in range(6))
        assert read_labelled(file("a.csv", "text,label\n" + rows), three).labels == [0, 1, 2, 0, 1, 2], form
    path = file("a.csv", "text,label\na b,neutral\nc d,Entailment\n")
    refused(lambda: read_labelled(path, three), "line 3", "'Entailment'", "'contradiction', 'neutral', 'entailment' (0 to 2)")
    path = file("a.csv", "text,label\na b,neutral\nc d,1\n")
    refused(lambda: read_labelled(path, three), "line 3", "another way than the others")


def test_d2_labels_that_are_none_of_the_models(file):
    refused(lambda: read_labelled(file("a.csv", "text,label\na b,0\nc d,2\n"), targets(TWO)), "line 3", "'2'", "0 to 1")
    refused(lambda: read_labelled(file("a.csv", "text,label\na b,0.5\nc d,1\n"), targets(TWO)), "line 2", "'0.5'")
    refused(lambda: read_labelled(file("a.csv", "text,label\na b,-1\nc d,1\n"), targets(TWO)), "line 2", "'-1'")
    refused(lambda: read_labelled(file("a.csv", "text,label\na b,positive\n"), targets(THREE)), "line 2", "'positive'")
    data = read_labelled(file("a.csv", "text,label\na b,0\nc d,1\n"), targets(THREE))
    assert data.notes == ["no sentence is labelled 'entailment', of the model's 3 classes"]
    many = targets({n: f"intent{n}" for n in range(77)})
    refused(lambda: read_labelled(file("a.csv", "text,label\na b,77\n"), many), "'intent4' and 72 more (0 to 76)")
    note, = read_labelled(file("a.csv", "text,label\na b,7\n"), many).notes
    assert note == ("no sentence is labelled 'intent0', 'intent1', 'intent2', 'intent3', 'intent4' and 71 more, of the model's "
                    "77 classes")


def test_d2_values_for_a_model_with_one_output(file):
    one = targets({0: "LABEL_0"})
    data = read_labelled(file("a.csv", "text,label\na b,0\nc d,1\ne f,2.75\ng h,-1e-3\n"), one)
    assert data.labels == [0.0, 1.0, 2.75, -0.001] and data.notes == []
    refused(lambda: read_labelled(file("a.csv", "text,label\na b,1\nc d,good\n"), one), "line 3", "'good'", "num_labels is 1")
    refused(lambda: read_labelled(file("a.csv", "text,label\na b,inf\n"), one), "'inf'")
    refused(lambda: read_labelled(file("a.csv", "text,label\na b,1_0\n"), one), "'1_0'")


def test_d3_names_that_are_numbers(file):
    """Stars: the name "2" is class 1. Where both readings are whole they are asked for, never guessed."""
    stars = targets({n: f"{n + 1}" for n in range(5)})
    assert read_labelled(file("a.csv", "text,label\na b,1\nc d,5\n"), stars).labels == [0, 4]
    assert read_labelled(file("a.csv", "text,label\na b,0\nc d,4\n"), stars).labels == [0, 4]
    path = file("a.csv", "text,label\na b,1\nc d,2\n")
    refused(lambda: read_labelled(path, stars), "line 2", "'1'", "name of class 0", "--labels names or --labels numbers")
    assert read_labelled(path, stars, Layout(labels="names")).labels == [0, 1]
    assert read_labelled(path, stars, Layout(labels="numbers")).labels == [1, 2]
    refused(lambda: Layout(labels="both"), "names or numbers")
    swapped = targets({0: "LABEL_1", 1: "LABEL_0"})
    assert read_labelled(file("a.csv", "text,label\na b,LABEL_1\n"), swapped).labels == [0]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff\r"), min_size=1, max_size=20).filter(str.strip)


@settings(max_examples=150)
@given(st.lists(st.tuples(CELLS, st.integers(0, 1)), min_size=1, max_size=6))
def test_what_is_written_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "written.tsv"
    texts, labels = map(list, zip(*rows, strict=True))
    write_tsv(path, texts, labels)
    data = read_labelled(path, targets(TWO))
    assert (data.texts, data.labels) == (texts, labels)
    path = path.with_suffix(".jsonl")
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    assert read_labelled(path, targets(TWO)).texts == texts


@pytest.mark.parametrize("names", [("sentence1", "sentence2"), ("premise", "hypothesis"), ("question", "context"),
                                   ("text", "text_pair"), ("question", "sentence")])
def test_columns_of_pairs_are_recognised(file, names):
    path = file("a.csv", f"id,{names[1]},{names[0]},label\n0,c d,a b,1\n1,g h,e f,0\n")
    data = read_labelled(path, targets(TWO))
    assert (data.texts, data.pairs, data.labels) == (["a b", "e f"], ["c d", "g h"], [1, 0])
    assert f"from column {names[0]!r}, pairs from column {names[1]!r}, labels" in data.describe()
    assert data.reading["pair_column"] == names[1] and data.sentences[1].pair == "g h"
    chosen = read_sentences(path, Layout(text_column="3", pair_column="2"))
    assert (chosen.texts, chosen.pairs) == (data.texts, data.pairs)
    assert read_sentences(path, Layout(text_column=names[1])).pairs is None


def test_pairs_that_are_not_certain(file):
    two = file("a.csv", "premise,hypothesis,text,text_pair\na,b,c,d\n")
    refused(lambda: read_sentences(two), "'premise' and 'hypothesis'", "--text-column and --pair-column")
    refused(lambda: read_sentences(file("b.csv", "text,x\na b,c\n"), Layout(pair_column="text")), "would be pair and text")
    refused(lambda: read_sentences(file("c.csv", "premise,hypothesis\na,\n")), "line 2", "its pair is empty")


def test_few_broken_lines_are_left_out(file):
    good = [f"w{n},{n % 2}" for n in range(6)]
    data = read_sentences(file("a.csv", "\n".join(["text,label", *good, "a,b,c", " ,1"])), lenient=True)
    assert len(data.texts) == 6 and sorted(data.skipped) == [8, 9]
    assert [line for line, _ in data.rows] == list(range(2, 10)) and "3 cells by comma" in data.rows[6][1]
    lines = "".join(f'{{"text": "w{n}"}}\n' for n in range(5))
    data = read_sentences(file("a.jsonl", lines + '{"text": \n{"text": 3}\n'), lenient=True)
    assert len(data.texts) == 5 and "no JSON" in data.skipped[6] and "the int 3" in data.skipped[7]
    data = read_sentences(file("a.txt", b"w1\nw2\nw3\ncaf\xe9\nw4\n"), lenient=True)
    assert data.texts == ["w1", "w2", "w3", "w4"] and "0xe9 is not utf-8" in data.skipped[4]


def test_many_broken_lines_are_another_file(file):
    for name, content in (("a.txt", b"w1\ncaf\xe9\n"), ("a.csv", b"text,label\nw1,0\na,b,c\n"),
                          ("a.jsonl", b'{"text": "a"}\n3\n')):
        refused(lambda name=name, content=content: read_sentences(file(name, content), lenient=True), "line ")
    empty = file("b.csv", "text,label\n,1\n ,0\n")
    refused(lambda: read_sentences(empty, lenient=True), "no sentence that can be used; line 2")
