"""Every command that reads a data file: bad files and models in one line with exit code 2, and what good ones give."""

import json
import sys
from pathlib import Path

import pytest
from scipy.stats import pearsonr, spearmanr

from acceltran.cli import main as cli
from acceltran.cli.evaluate import Method, cost_command, evaluate
from acceltran.cli.evaluate.float_runs import FloatRuns
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import quantise_encoder
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.errors import ModelError
from acceltran.sw.models.sentences import count_cut, encode_texts
from support.models import make_checkpoint, predict, random_texts

NANO = AcceleratorConfig.load("nano")
GOOD = "text,label\n" + "".join(f"{text},{n % 2}\n" for n, text in enumerate(random_texts(30, 5)))

LABELLED = {
    "evaluate": ["evaluate", "--config", "nano", "--length", "16", "--model", "MODEL", "--data", "FILE"],
    "calibrate": ["calibrate", "--sentences", "10", "-o", "sites.json", "--model", "MODEL", "--data", "FILE"],
    "study": ["study", "--results", "r.json", "-o", "d.md", "--model", "MODEL", "--train", "FILE", "--data", "FILE"],
    "study --train": ["study", "--results", "r.json", "-o", "d.md", "--model", "MODEL", "--data", "good.csv", "--train",
                      "FILE"],
}
WITHOUT_MODEL = {
    "seeds": ["seeds", "-o", "d.md", "--data", "FILE"],
    "train --evaluate": ["train", "--no-train", "--cache", "cache", "--evaluate", "FILE"],
}
TEXTS = {
    "cost": ["cost", "--model", "MODEL", "--data", "FILE"],
    "run": ["run", "--config", "nano", "--model", "MODEL", "--file", "FILE"],
    "compile": ["compile", "--config", "nano", "-o", "program", "--model", "MODEL", "--file", "FILE"],
    "power": ["power", "--config", "nano", "--liberty", "none.lib", "--model", "MODEL", "--file", "FILE"],
    "train --exclude": ["train", "--exclusions", "list", "--exclude", "FILE"],
}
FILES = {
    "latin.csv": "text,label\ncafé noir,1\nw1 w2,0\n".encode("latin-1"),
    "wide.csv": GOOD.encode("utf-16"),
    "bytes.csv": b"\x89PNG\r\n\0\0",
    "empty.csv": b"",
    "blank.csv": b"\n \n",
    "heading.csv": b"text,label\n",
    "hole.csv": b"text,label\nw1 w2,1\n,0\n",
    "ragged.csv": b"text,label\nw1 w2,1\nw1, w2,0\n",
    "quote.csv": b'text,label\n"w1 w2,1\nw3,0\n',
    "broken.jsonl": b'{"text": "w1", "label": 1}\n{"text": "w1", \n',
    "list.jsonl": b'["w1", 1]\n',
    "number.jsonl": b'{"text": 3, "label": 1}\n',
    "odd.csv": b"gedanke;wort\nw1 w2;w3 w4\n",
}
LABEL_FILES = {
    "nan.csv": b"text,label\nw1 w2,1\nw3 w4,nan\n",
    "none.csv": b"text,label\nw1 w2,1\nw3 w4,\n",
    "other.csv": b"text,label\nw1 w2,joy\nw3 w4,anger\n",
    "two.csv": b"text,label\nw1 w2,1\nw3 w4,2\n",
    "half.csv": b"text,label\nw1 w2,1\nw3 w4,0.5\n",
    "unlabelled.csv": b"text,comment\nw1 w2,w3 w4\n",
    "null.jsonl": b'{"text": "w1 w2", "label": null}\n',
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    shapes = {"two": {}, "three": {"labels": 3}, "one": {"labels": 1}, "headless": {"labels": 0}, "encoder": {"pooler": False}}
    return {name: make_checkpoint(folder / name, hidden=16, heads=2, layers=1, ffn=16, **shape)
            for name, shape in shapes.items()}


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder; its exit code, output and errors."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "d.md").write_text("")
    (work / "good.csv").write_text(GOOD)
    monkeypatch.chdir(work)

    def run(arguments, model, file):
        names = {"MODEL": model, "FILE": file}
        monkeypatch.setattr(sys, "argv", ["acceltran", *(str(names.get(argument, argument)) for argument in arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        shown = capsys.readouterr()
        return stop.value.code, shown.out, shown.err
    return run


@pytest.fixture
def refuse(call):
    def run(arguments, model, file, *words):
        before = sorted(Path().rglob("*"))
        code, out, err = call(arguments, model, file)
        assert code == 2 and not out and err.startswith("error: ") and err.count("\n") == 1, (code, out, err)
        assert all(word in err for word in words), err
        assert sorted(Path().rglob("*")) == before
    return run


@pytest.mark.parametrize("command", [*LABELLED, *WITHOUT_MODEL, *TEXTS])
def test_d4_no_file_is_a_traceback(refuse, models, command):
    arguments = (LABELLED | WITHOUT_MODEL | TEXTS)[command]
    for name, content in (FILES if command in TEXTS else FILES | LABEL_FILES).items():
        if command == "run" and name == "hole.csv":
            continue  # see test_batches
        Path(name).write_bytes(content)
        refuse(arguments, models["two"], name, name)
    refuse(arguments, models["two"], "nowhere.csv", "nowhere.csv", "No such file")
    Path("folder.csv").mkdir()
    refuse(arguments, models["two"], "folder.csv", "is a folder")
    refuse([*arguments, "--text-column", "review"], models["two"], "good.csv", "'review'", "'text', 'label'")
    refuse([*arguments, "--encoding", "klingon"], models["two"], "good.csv", "klingon")


@pytest.mark.parametrize("command", LABELLED)
@pytest.mark.parametrize("model", ["headless", "encoder"])
def test_d4_no_classifier_is_one_line(refuse, models, command, model):
    refuse(LABELLED[command], models[model], "good.csv", "no classifier", str(models[model]))


@pytest.mark.parametrize("command", ["calibrate", "study"])
def test_d2_thresholds_need_classes(refuse, models, command):
    refuse(LABELLED[command], models["one"], "good.csv", "num_labels is 1", "two labels or more")


def test_d2_models_of_a_study_share_their_classes(refuse, models, tmp_path):
    folder = make_checkpoint(tmp_path / "swapped", hidden=16, heads=2, layers=1, ffn=16)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": {"0": "class1", "1": "class0"}}))
    Path("named.csv").write_text(GOOD.replace(",0\n", ",class0\n").replace(",1\n", ",class1\n"))
    refuse([*LABELLED["study"], "--model", folder], models["two"], "named.csv", "other classes to", "swapped")


def test_d2_a_float_run_needs_classes(models):
    for name in ("one", "headless", "encoder"):
        with pytest.raises(ModelError, match="classes|no classifier"):
            FloatRuns(load_checkpoint(models[name]), ["w1"], [0])


def evaluated(call, arguments, model, file):
    code, out, err = call([*arguments, "--json", "out.json"], model, file)
    assert code in (0, None), err
    return json.loads(Path("out.json").read_text()), out, err


def test_d2_one_output_gives_correlations(call, models):
    """In table and JSON, in place of accuracy; predictions are the values of the golden model."""
    rows = (f"{text},{n * n / 7}\n" for n, text in enumerate(random_texts(8, 5)))
    Path("values.csv").write_text("text,score\n" + "".join(rows))
    values, out, err = evaluated(call, LABELLED["evaluate"], models["one"], "values.csv")
    checkpoint = load_checkpoint(models["one"])
    ids, lengths = encode_texts(checkpoint, random_texts(8, 5), 16)
    expected = predict(quantise_encoder(checkpoint, NANO), ids, lengths)["logits"][:, 0].tolist()
    labels = [n * n / 7 for n in range(8)]
    assert values["predictions"] == expected and len(set(expected)) > 4
    assert values["pearson"] == pytest.approx(pearsonr(expected, labels).statistic)
    assert values["spearman"] == pytest.approx(spearmanr(expected, labels).statistic)
    assert "accuracy" not in values and "accuracy" not in out
    assert f"Pearson {values['pearson']:.4f}, Spearman {values['spearman']:.4f} (8 sentences)" in out
    assert "read 8 sentences from column 'text', labels from column 'score'" in err
    binary, out, _ = evaluated(call, LABELLED["evaluate"], models["one"], "good.csv")
    assert -1 <= binary["pearson"] <= 1 and "accuracy" not in binary
    Path("values.csv").write_text("text,score\nw1 w2,1\nw3 w4,1\n")
    constant, out, _ = evaluated(call, LABELLED["evaluate"], models["one"], "values.csv")
    assert constant["pearson"] is None and "Pearson undefined, since one side is constant" in out


def test_d3_three_classes_by_name_and_number(call, models):
    texts, labels = random_texts(9, 5), [n % 3 for n in range(9)]
    direct = evaluate(load_checkpoint(models["three"]), NANO, texts, labels, Method(), length=16)
    for form in ("{}", "class{}", "{}.0", "LABEL_{}"):
        Path("t.tsv").write_text("".join(f"{n}\t{text}\t{form.format(label)}\n" for n, (text, label) in enumerate(
            zip(texts, labels, strict=True))))
        values, out, err = evaluated(call, LABELLED["evaluate"], models["three"], "t.tsv")
        assert values | direct == values, form
        assert values["reading"]["text_column"] == "2" and values["reading"]["heading"] is False
        assert f"accuracy {100 * direct['accuracy']:.2f} %" in out


def test_d2_a_class_that_never_occurs_is_said(call, models):
    _, _, err = evaluated(call, LABELLED["evaluate"], models["three"], "good.csv")
    assert "no sentence is labelled 'class2', of the model's 3 classes" in err.splitlines()


def test_d5_long_texts_are_cut_and_counted(call, models, monkeypatch):
    """To --length, or the model's 32 positions: [CLS], the first tokens, [SEP]."""
    monkeypatch.setattr(cost_command, "SHAPES", {})
    monkeypatch.setattr(cost_command, "selector_gates", lambda width, tiles: {})
    texts = [*random_texts(3, 5), *random_texts(2, 40, seed=1)]
    Path("long.csv").write_text("text,label\n" + "".join(f"{text},1\n" for text in texts))
    values, out, _ = evaluated(call, LABELLED["evaluate"], models["two"], "long.csv")
    assert (values["cut"], values["longest"]) == (2, 16) and "2 of 5 texts were cut to 16 tokens" in out
    cut = [" ".join(text.split()[:14]) for text in texts]
    whole = evaluate(load_checkpoint(models["two"]), NANO, cut, [1] * 5, Method(), length=16)
    assert whole["cut"] == 0
    assert values["predictions"] == whole["predictions"] and values["sparsity"] == whole["sparsity"]
    Path("long.csv").write_text(f"{GOOD}{texts[3]},1\n")
    code, _, err = call([*LABELLED["calibrate"], "--budget", "50"], models["two"], "long.csv")
    assert code in (0, None) and "1 of 31 texts was cut to 32 tokens" in err
    Path("long.csv").write_text(f"text\n{texts[3]}\n" + "w1 w2\n" * 20)
    code, _, err = call([*TEXTS["cost"], "--length", "16"], models["two"], "long.csv")
    assert code in (0, None) and "1 of 16 texts was cut to 16 tokens" in err


def test_d5_a_file_is_cut_and_text_on_request(call, refuse, models):
    long = random_texts(1, 40)[0]
    Path("long.txt").write_text(f"{long}\nw1\n")
    code, out, _ = call(TEXTS["compile"], models["two"], "long.txt")
    assert code in (0, None) and "1 of 2 texts was cut to 32 tokens" in out
    given = ["compile", "--config", "nano", "-o", "other", "--model", "MODEL", "--text", long, "--text", "w1"]
    refuse(given, models["two"], None, "has 42 tokens", "max_position_embeddings allows 32")
    code, out, _ = call([*given, "--truncate"], models["two"], None)
    assert code in (0, None) and "1 of 2 texts was cut to 32 tokens" in out
    assert Path("program/image.bin").read_bytes() == Path("other/image.bin").read_bytes()


def test_d5_the_tokenizer_says_which_end_is_cut(models, tmp_path):
    folder = make_checkpoint(tmp_path / "model", hidden=16, heads=2, layers=1, ffn=16)
    text = " ".join(f"w{n}" for n in range(12))

    def words(side):
        checkpoint = load_checkpoint(folder)
        assert checkpoint.tokenizer.truncation_side == side
        ids, lengths = encode_texts(checkpoint, [text, "w1"], longest=6)
        assert lengths == [6, 3] and count_cut(checkpoint, [text, "w1"], 6) == 1
        assert [count_cut(checkpoint, [text], longest) for longest in (13, 14)] == [1, 0]
        return checkpoint.tokenizer.backend.decode(ids[0].tolist(), skip_special_tokens=False)

    assert words("right") == "[CLS] w0 w1 w2 w3 [SEP]"
    fields = json.loads((folder / "tokenizer.json").read_text())
    fields["truncation"] = {"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 0}
    (folder / "tokenizer.json").write_text(json.dumps(fields))
    assert words("left") == "[CLS] w8 w9 w10 w11 [SEP]"
    (folder / "tokenizer_config.json").write_text('{"truncation_side": "right"}')
    assert words("right") == "[CLS] w0 w1 w2 w3 [SEP]"
    for content in ('{"truncation_side": "middle"}', "{", "[]"):
        (folder / "tokenizer_config.json").write_text(content)
        with pytest.raises(ModelError, match="tokenizer_config.json"):
            load_checkpoint(folder)
