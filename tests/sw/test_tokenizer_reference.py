"""Tokenizer files, read as transformers reads them."""

import json
import shutil

import pytest

from acceltran.sw.models.tokenizer_files import read_tokenizer
from support.tokenizer_folders import CORPUS, FAMILIES, SENTENCEPIECE, VOCABULARY, edit_json, make_folder, train_pieces

transformers = pytest.importorskip("transformers")

TEXTS = (
    *CORPUS,
    "",
    " ",
    "?!...,;:-()[]{}",
    "three little words",
    "Café cafe\u0301 Ångström A\u030angstro\u0308m",
    "Straße STRASSE İstanbul istanbul ıI ǅ ﬁ Ⅷ ½",
    "今天天气很好 東京 한국어 カタカナ",
    "👩‍👩‍👧‍👦 😀😀 🇫🇷 ❤️ x👍🏽y",
    "[CLS] a [MASK] b[MASK]c [SEP] [PAD] [UNK] [cls] [mask]",
    "<s> a <mask> b<mask>c </s> <pad> <unk> <S> <MASK>",
    "a  <mask>  b \t[MASK]\n c",
    "tab\there\nand\r\nlines\x0b\x0c \u00a0\u2003\u3000\u200b\ufeff end ",
    "  leading and   many    spaces  ",
    "nul\x00 bell\x07 \x1b[0m \x7f \u0085 \ufffd \u202e",
    "x" * 250,
    "antidisestablishmentarianism " * 3,
    "1,234,567.89 9,9 ``quoted'' \"x\" don't 'll",
    "\u0301 alone \u200d \ue000 \U0010ffff",
    "new new,new NEW <extra> extra-token <s>NOTUSED </s>NOTUSED",
)
PAIRS = (("three little words", "and four more words"), (CORPUS[0], CORPUS[1]), ("a", CORPUS[3]), (CORPUS[2], "b"), ("a", ""),
         ("", "b"), ("[MASK] <mask>", "[SEP] </s> x"))


def added(content, **flags):
    return {"content": content, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False} | flags


def typed(content, **flags):
    return {"__type": "AddedToken"} | added(content, **flags)


WORDPIECE = ("bert", "mpnet")
ANGLED = ("mpnet", "roberta", "xlm-roberta", "camembert")
BOTH = [(family, form) for family in FAMILIES for form in ("json", "vocabulary")
        if form == "json" or family not in SENTENCEPIECE]
"""Families and the files that hold their vocabulary."""


def cases(families, *options, **files):
    """What stands beside the vocabulary of each of these families: files, or options of tokenizer_config.json."""
    return [(family, form, files | {"tokenizer_config": option} if option else files)
            for family, form in BOTH if family in families for option in options or [{}]]


CASES = [
    *cases(FAMILIES),
    *cases(WORDPIECE, {"do_lower_case": False}, {"do_lower_case": False, "strip_accents": True},
           {"strip_accents": False, "tokenize_chinese_chars": False}, {"do_basic_tokenize": False, "never_split": ["three"]}),
    *cases(("distilbert", "electra"), {"do_lower_case": False, "tokenize_chinese_chars": False}),
    *cases(("roberta",), {"add_prefix_space": True}, {"trim_offsets": False},
           {"add_prefix_space": True, "trim_offsets": False}),
    *cases(SENTENCEPIECE, {"do_lower_case": False, "keep_accents": True, "add_prefix_space": False}),
    *cases(FAMILIES, {"truncation_side": "left", "padding_side": "left", "model_max_length": 12}),
    *cases(("bert", "roberta"), {"model_max_length": 1000000000000000019884624838656, "max_len": 7}, {"max_len": 7}),
    *cases(ANGLED, special_tokens_map={"mask_token": added("<mask>", lstrip=True), "pad_token": added("<pad>"),
                                       "unk_token": added("<unk>", normalized=True)}),
    *cases(ANGLED, {"mask_token": typed("<mask>", lstrip=False)},
           special_tokens_map={"mask_token": added("<mask>", rstrip=True)}),
    *cases(FAMILIES, {"mask_token": "new", "additional_special_tokens": ["<extra>", typed("three")]},
           special_tokens_map={"additional_special_tokens": ["<extra>", added("three", rstrip=True),
                                                             added("little", lstrip=True)]}),
    *cases(FAMILIES, added_tokens={"extra-token": 310, "<extra>": 311},
           special_tokens_map={"additional_special_tokens": ["<extra>"]}),
    *cases(FAMILIES, {"added_tokens_decoder": {"310": added("extra-token", normalized=True, special=False),
                                               "309": added("NEW", single_word=True, special=False, normalized=True),
                                               "311": added("<extra>", special=True)},
                      "extra_special_tokens": {"image_token": "lines"}}, special_tokens_map={"mask_token": "ignored"}),
    *((family, "json", {"tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>",
                                             "mask_token": None}}) for family in ANGLED),
    ("bert", "json", {"tokenizer_config": {"tokenizer_class": "MPNetTokenizer", "pad_token": "[PAD]", "cls_token": "[CLS]",
                                           "sep_token": "[SEP]", "unk_token": "[UNK]", "mask_token": "[MASK]"}}),
    *cases(("bert",), {"split_special_tokens": True}, {"mask_token": None}, {"cls_token": "the"}),
]


@pytest.fixture(scope="module")
def spm_files(tmp_path_factory):
    """SentencePiece models by family."""
    pytest.importorskip("google.protobuf")
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("pieces")
    for family in SENTENCEPIECE:
        train_pieces(sentencepiece, folder / family, family)
    return folder


def theirs(encoding):
    return encoding.ids, encoding.tokens, encoding.type_ids, encoding.offsets, encoding.sequence_ids, encoding.word_ids, \
        [bool(mark) for mark in encoding.special_tokens_mask]


def ours(encoded):
    return tuple(map(list, (encoded.ids, encoded.names, encoded.types, encoded.offsets, encoded.parts, encoded.words,
                            encoded.special)))


def state(tokenizer):
    """All that a tokenizer is, without what is set for every call."""
    content = json.loads(tokenizer.to_str()) | {"truncation": None, "padding": None}
    if content["normalizer"] is None:
        for token in content["added_tokens"]:
            token.pop("normalized")
    return content


def compare(folder, fields):
    """Everything of a tokenizer, and everything that it says of texts, is as in transformers."""
    tokenizer, reference = read_tokenizer(folder, fields), transformers.AutoTokenizer.from_pretrained(folder)
    assert state(tokenizer.backend) == state(reference.backend_tokenizer)
    assert (tokenizer.pad_id, tokenizer.unk_id) == (reference.pad_token_id, reference.unk_token_id)
    assert (tokenizer.mask_id, tokenizer.mask_token) == (reference.mask_token_id, reference.mask_token)
    for role in ("cls", "sep", "bos", "eos"):
        assert tokenizer.special_id(role) == getattr(reference, f"{role}_token_id")
    assert tokenizer.truncation_side == reference.truncation_side
    assert tokenizer.padding_side == reference.padding_side
    assert tokenizer.model_max_length == (reference.model_max_length if reference.model_max_length < 1e20 else None)
    for text, pair in [(text, None) for text in TEXTS] + list(PAIRS):
        encoded = tokenizer.encode(text, pair)
        assert ours(encoded) == theirs(reference(text, pair).encodings[0]), (text, pair)
    for text, pair in [(TEXTS[0], None), *PAIRS]:
        encoded = tokenizer.encode(text, pair)
        least = tokenizer.added(bool(pair))
        for longest in {least, least + 1, least + 6, max(least, len(encoded) - 1), len(encoded), len(encoded) + 1}:
            kept = tokenizer.encode(text, pair, longest=longest)
            expected = reference(text, pair, truncation="longest_first", max_length=longest)
            assert ours(kept) == theirs(expected.encodings[0]), (text, pair, longest)
            assert kept.lost == len(encoded) - len(kept)
    text, pair = "three", CORPUS[1]
    expected = reference(text, pair, truncation="only_second", max_length=14)
    assert ours(tokenizer.encode(text, pair, longest=14, cut="only_second")) == theirs(expected.encodings[0])
    many = tokenizer.encode_many(TEXTS, longest=9)
    assert many == [tokenizer.encode(text, longest=9) for text in TEXTS]


def name(case):
    family, form, files = case
    return f"{family}-{form}-{'-'.join(str(option) for content in files.values() for option in content)}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_reads_as_transformers(tmp_path, case):
    family, form, files = case
    compare(*make_folder(tmp_path, family, form, **files))


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("changes", [
    {"normalizer": {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True,
                    "lowercase": False}},
    {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}},
    {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": False}},
    {"post_processor": None},
    {"post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}},
    {"truncation": {"direction": "Left", "max_length": 5, "strategy": "OnlyFirst", "stride": 1},
     "padding": {"strategy": {"Fixed": 9}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 7, "pad_type_id": 1,
                 "pad_token": "a"}}], ids=str)
def test_options_against_a_stored_tokenizer(tmp_path, family, changes):
    folder, fields = make_folder(tmp_path, family)
    edit_json(folder / "tokenizer.json", **changes)
    compare(folder, fields)


@pytest.mark.parametrize("family", SENTENCEPIECE)
@pytest.mark.parametrize("files", [
    {}, {"tokenizer_config": {"do_lower_case": False, "keep_accents": True, "truncation_side": "left"}},
    {"special_tokens_map": {"additional_special_tokens": ["<extra>"]}, "added_tokens": {"<extra>": 310}}], ids=str)
def test_reads_sentencepiece_as_transformers(tmp_path, family, files, spm_files):
    folder, fields = make_folder(tmp_path, family, **files)
    (folder / "tokenizer.json").unlink()
    shutil.copy(spm_files / family, folder / VOCABULARY[family])
    compare(folder, fields)


def test_a_stored_padding_names_the_padding_token(tmp_path):
    folder, fields = make_folder(tmp_path, "bert", tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast"})
    edit_json(folder / "tokenizer.json", padding={"strategy": "BatchLongest", "direction": "Left", "pad_id": 4,
                                                  "pad_type_id": 0, "pad_token": "[MASK]", "pad_to_multiple_of": None})
    compare(folder, fields)
    assert read_tokenizer(folder, fields).special == {"pad": "[MASK]"}


def test_vocabulary_files_as_some_people_write_them(tmp_path):
    folder, fields = make_folder(tmp_path / "lines", "bert", "vocabulary")
    text = (folder / "vocab.txt").read_text(encoding="utf-8")
    (folder / "vocab.txt").write_bytes((text + "\nnew\nnew\n\n").replace("\n", "\r\n").encode())
    compare(folder, fields)
    for number, edit in enumerate((lambda text: text.removesuffix("\n"), lambda text: text.split("\n", 1)[1])):
        folder, fields = make_folder(tmp_path / f"merges{number}", "roberta", "vocabulary")
        (folder / "merges.txt").write_text(edit((folder / "merges.txt").read_text(encoding="utf-8")), encoding="utf-8")
        compare(folder, fields)
