"""Tokenizer files: what texts become, and what is refused in one line that says why."""

import json

import pytest

from acceltran.sw.models.text_tokenizer import Encoded
from acceltran.sw.models.tokenizer_files import read_tokenizer
from support.refusals import refused
from support.tokenizer_folders import (
    FAMILIES,
    SENTENCEPIECE,
    VOCABULARY,
    edit_json,
    make_folder,
    make_tokenizer,
    sentencepiece_model,
)

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "new", "##er", "cafe", "café", "Café", "天", "气", ",", "strasse",
         "straße", "天气")
BERT = {"model_type": "bert", "vocab_size": len(WORDS)}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
SPECIAL = (("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3))
PIECES = (("▁", -3.0, 1), ("▁new", -2.0, 1), ("er", -2.5, 1), ("n", -5.0, 1), ("e", -5.0, 1), ("w", -5.0, 1))


def write_words(folder, words=WORDS, **files):
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_pieces(folder, family, pieces, **options):
    (folder / VOCABULARY[family]).write_bytes(sentencepiece_model(pieces, **options))
    return folder, {"model_type": family, "vocab_size": len(pieces) + 5}


def test_a_text_and_its_pair(tmp_path):
    tokenizer = read_tokenizer(write_words(tmp_path), BERT)
    assert tokenizer.encode("The Newer xyz, 天", "café [MASK]") == Encoded(
        ids=(2, 5, 6, 7, 1, 13, 11, 3, 8, 4, 3),
        names=("[CLS]", "the", "new", "##er", "[UNK]", ",", "天", "[SEP]", "cafe", "[MASK]", "[SEP]"),
        types=(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1),
        offsets=((0, 0), (0, 3), (4, 7), (7, 9), (10, 13), (13, 14), (15, 16), (0, 0), (0, 4), (5, 11), (0, 0)),
        parts=(None, 0, 0, 0, 0, 0, 0, None, 1, 1, None),
        words=(None, 0, 1, 1, 2, 3, 4, None, 0, 1, None),
        special=(True, *[False] * 6, True, False, False, True))
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.mask_id, tokenizer.mask_token) == (0, 1, 4, "[MASK]")
    assert (tokenizer.special_id("cls"), tokenizer.special_id("sep"), tokenizer.special_id("bos")) == (2, 3, None)
    assert (tokenizer.added(), tokenizer.added(pair=True), tokenizer.name(5)) == (2, 3, "the")
    assert (tokenizer.truncation_side, tokenizer.padding_side, tokenizer.model_max_length) == ("right", "right", None)
    assert tokenizer.encode("the", "") == tokenizer.encode("the")
    assert tokenizer.encode("").ids == (2, 3)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("options, expected", [
    ({}, [8, 8, 8, 15, 1, 11, 12]),
    ({"do_lower_case": False}, [10, 9, 1, 15, 1, 11, 12]),
    ({"do_lower_case": False, "strip_accents": True}, [1, 8, 8, 15, 1, 11, 12]),
    ({"strip_accents": False}, [9, 9, 1, 15, 1, 11, 12]),
    ({"tokenize_chinese_chars": False}, [8, 8, 8, 15, 1, 16]),
])
def test_options_say_how_text_is_normalised(tmp_path, stored, options, expected):
    """Whatever tokenizer.json says. A sharp s has no other lower-case form, a Turkish capital I has none of one character."""
    folder = write_words(tmp_path)
    if stored:
        read_tokenizer(folder, BERT).backend.save(str(folder / "tokenizer.json"))
        (folder / "vocab.txt").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    tokenizer = read_tokenizer(folder, BERT)
    assert list(tokenizer.encode("Café café cafe\u0301 straße İ 天气").ids[1:-1]) == expected


def test_texts_are_cut_where_the_files_say(tmp_path):
    folder = write_words(tmp_path)
    right = read_tokenizer(folder, BERT)
    text, pair = "the newer , 天", "café the"
    cut = right.encode(text, longest=5)
    assert (cut.ids, cut.lost, len(cut)) == ((2, 5, 6, 7, 3), 2, 5)
    assert right.encode(text, longest=7) == right.encode(text)
    assert right.encode(text, pair, longest=8).ids == (2, 5, 6, 7, 3, 8, 5, 3)
    assert right.encode(text, pair, longest=9, cut="only_second").ids == (2, 5, 6, 7, 13, 11, 3, 8, 3)
    assert right.encode(text, longest=2).ids == (2, 3)
    (folder / "tokenizer_config.json").write_text('{"truncation_side": "left", "padding_side": "left", "max_len": 9}')
    left = read_tokenizer(folder, BERT)
    assert left.encode(text, longest=5).ids == (2, 7, 13, 11, 3)
    assert (left.truncation_side, left.padding_side, left.model_max_length) == ("left", "left", 9)
    assert left.encode_many([text, text], [None, pair], longest=8) == [left.encode(text, longest=8),
                                                                       left.encode(text, pair, longest=8)]
    assert left.encode_many([]) == []
    assert len(left.encode(text)) == 7
    refused(lambda: right.encode(text, longest=1), "cannot be cut to 1", "adds 2")
    refused(lambda: right.encode(text, pair, longest=5, cut="only_second"), "too short", "allow more tokens")
    refused(lambda: right.encode("the \ud800"), "'the \\ud800'", "no valid Unicode")
    refused(lambda: right.encode_many(["the", "the"], [None, "a\udfff"]), "no valid Unicode")
    with pytest.raises(TypeError):
        right.encode(7)


def test_mpnet_has_two_tokens_between_text_and_pair(tmp_path):
    words = ("<s>", "<pad>", "</s>", "<unk>", "the", "[UNK]", "<mask>")
    tokenizer = read_tokenizer(write_words(tmp_path, words), {"model_type": "mpnet", "vocab_size": 7})
    encoded = tokenizer.encode("the <mask> xyz", "the")
    assert encoded.ids == (0, 4, 6, 5, 2, 2, 4, 2)
    assert encoded.offsets[2] == (3, 10), "the mask takes the space before it"
    assert (tokenizer.pad_id, tokenizer.mask_id, tokenizer.unk_id) == (1, 6, 5)


def test_roberta_reads_bytes(tmp_path):
    symbols = ["<s>", "<pad>", "</s>", "<unk>", "n", "e", "w", "Ġ", "Ã", "©", "ne", "new", "Ġnew", "<mask>"]
    (tmp_path / "vocab.json").write_text("\ufeff" + json.dumps({s: n for n, s in enumerate(symbols)}), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\nn e\nne w\nĠ new\n", encoding="utf-8")
    fields = {"model_type": "roberta", "vocab_size": 14}
    tokenizer = read_tokenizer(tmp_path, fields)
    encoded = tokenizer.encode("new newé <mask>", "new")
    assert encoded.ids == (0, 11, 12, 8, 9, 13, 2, 2, 11, 2)
    assert encoded.types == (0,) * 10
    assert encoded.offsets[1:6] == ((0, 3), (4, 7), (7, 8), (7, 8), (9, 15))
    (tmp_path / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    assert read_tokenizer(tmp_path, fields).encode("new").ids == (0, 12, 2)
    (tmp_path / "merges.txt").write_text("#version: 0.2\nn e w\n", encoding="utf-8")
    refused(lambda: read_tokenizer(tmp_path, fields), "merges.txt", "'n e w' is not two parts")
    (tmp_path / "merges.txt").write_text("#version: 0.2\nx y\n", encoding="utf-8")
    refused(lambda: read_tokenizer(tmp_path, fields), "vocab.json", "no valid vocabulary")
    (tmp_path / "vocab.json").unlink()
    refused(lambda: read_tokenizer(tmp_path, fields), "has no vocab.json beside merges.txt")


def test_xlm_roberta_numbers_pieces_from_four_on(tmp_path):
    tokenizer = read_tokenizer(*write_pieces(tmp_path, "xlm-roberta", SPECIAL + PIECES))
    assert tokenizer.encode("newer  x<mask>", "new").ids == (0, 5, 6, 4, 3, 10, 2, 2, 5, 2)
    assert (tokenizer.pad_id, tokenizer.mask_id, tokenizer.unk_id) == (1, 10, 3)


def test_camembert_numbers_pieces_from_five_on(tmp_path):
    tokenizer = read_tokenizer(*write_pieces(tmp_path, "camembert", SPECIAL + PIECES))
    assert tokenizer.encode("newer  x<mask>", "new").ids == (5, 8, 9, 7, 3, 13, 6, 6, 8, 6)
    assert (tokenizer.pad_id, tokenizer.mask_id, tokenizer.unk_id) == (1, 13, 3)


def test_albert_keeps_the_numbers_and_parts_digits_from_commas(tmp_path):
    special = (("<pad>", 0.0, 3), ("<unk>", 0.0, 2), ("[CLS]", 0.0, 3), ("[SEP]", 0.0, 3), ("[MASK]", 0.0, 3))
    pieces = (*special, *PIECES, ("▁9", -4.0, 1), ("▁9,", -1.0, 1), (",", -4.0, 1), ('"', -4.0, 1))
    folder, fields = write_pieces(tmp_path, "albert", pieces, unknown=1)
    tokenizer = read_tokenizer(folder, fields)
    assert tokenizer.encode("Néwer [MASK] 9,``", "new").ids == (2, 6, 7, 4, 11, 13, 14, 3, 6, 3)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "keep_accents": true}')
    assert read_tokenizer(folder, fields).encode("Néwer").ids == (2, 5, 1, 10, 7, 3)


def test_a_byte_order_mark_and_line_ends_are_no_part_of_the_text(tmp_path):
    folder = write_words(tmp_path, tokenizer_config={"do_lower_case": False}, special_tokens_map={"mask_token": "[MASK]"})
    expected = read_tokenizer(folder, BERT).encode("the newer Café")
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_tokenizer(folder, BERT).encode("the newer Café") == expected
    read_tokenizer(folder, BERT).backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer.json").write_bytes(b"\xef\xbb\xbf" + (folder / "tokenizer.json").read_bytes())
    assert read_tokenizer(folder, BERT).encode("the newer Café") == expected


def test_files_name_special_tokens(tmp_path):
    files = {"tokenizer_config": {"mask_token": "[MASK]", "additional_special_tokens": ["new"]},
             "special_tokens_map": {"mask_token": {"content": "the", "lstrip": True}},
             "added_tokens": {"er er": len(WORDS)}}
    fields = BERT | {"vocab_size": len(WORDS) + 1}
    tokenizer = read_tokenizer(write_words(tmp_path, **files), fields)
    assert (tokenizer.mask_token, tokenizer.mask_id) == ("the", 5)
    assert tokenizer.encode("a the newer er").ids == (2, 1, 5, 6, len(WORDS), 3)
    assert tokenizer.encode("a the").offsets[2] == (1, 5)
    edit_json(tmp_path / "tokenizer_config.json", added_tokens_decoder={"5": {"content": "the", "special": True}})
    assert read_tokenizer(tmp_path, fields).mask_token == "[MASK]", "with a list of added tokens, no other file counts"
    edit_json(tmp_path / "tokenizer_config.json", mask_token=None, extra_special_tokens=["cafe"],
              model_max_length=1000000000000000019884624838656)
    tokenizer = read_tokenizer(tmp_path, fields)
    assert (tokenizer.mask_token, tokenizer.mask_id, tokenizer.model_max_length) == (None, None, None)
    assert tokenizer.encode("cafe[MASK]").ids[1] == 8


def test_a_mask_that_no_file_names_and_the_model_has_no_row_for_is_no_token(tmp_path):
    words = [word for word in WORDS if word != "[MASK]"]
    folder, fields = write_words(tmp_path, words), {"model_type": "bert", "vocab_size": len(words)}
    assert read_tokenizer(folder, fields).mask_id is None
    assert read_tokenizer(folder, fields | {"vocab_size": len(WORDS)}).mask_id == len(words)
    (folder / "special_tokens_map.json").write_text('{"mask_token": "[MASK]"}')
    refused(lambda: read_tokenizer(folder, fields), f"token number {len(words)} is beyond vocab_size {len(words)}",
            "use the tokenizer of this model")


@pytest.mark.parametrize("family", FAMILIES)
def test_reads_what_it_saved(tmp_path, family):
    folder, fields = make_folder(tmp_path, family, tokenizer_config={"mask_token": None})
    text = "A naïve 東京 👩‍👩‍👧 [MASK]<mask>\t1,234"
    encoded = read_tokenizer(folder, fields).encode(text, "façade")
    assert encoded.ids == tuple(make_tokenizer(family).encode(text, "façade").ids)
    assert len({len(getattr(encoded, name)) for name in encoded.__dataclass_fields__ if name != "lost"}) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_refuses_a_folder_without_a_tokenizer(tmp_path, family):
    looked_for = {"roberta": ("vocab.json", "merges.txt")}.get(family, (VOCABULARY.get(family, "vocab.txt"),))
    refused(lambda: read_tokenizer(tmp_path, {"model_type": family}), tmp_path, "tokenizer.json", *looked_for)


@pytest.mark.parametrize("family, name", [(family, name) for family in FAMILIES for name in (
    "tokenizer.json", "tokenizer_config.json", *(() if family == "roberta" else (VOCABULARY.get(family, "vocab.txt"),)))])
@pytest.mark.parametrize("content, words", [
    (POINTER, ("is a git-lfs pointer, not the file: run git lfs pull",)), ("{]", ()), ("", ()), ("[1]", ()),
    (b"\xff\xfe\x00", ()), ("\x0a\x05ab", ())])
def test_refuses_files_that_are_not_valid(tmp_path, family, name, content, words):
    folder, fields = make_folder(tmp_path, family)
    if not name.startswith("tokenizer"):
        (folder / "tokenizer.json").unlink()
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(lambda: read_tokenizer(folder, fields), folder / name, *words)


def test_refuses_a_tokenizer_of_another_model(tmp_path):
    folder = write_words(tmp_path)
    refused(lambda: read_tokenizer(folder, BERT | {"vocab_size": 16}), folder / "vocab.txt",
            "token number 16 is beyond vocab_size 16 of config.json")
    read_tokenizer(folder, BERT).backend.save(str(folder / "tokenizer.json"))
    refused(lambda: read_tokenizer(folder, BERT | {"vocab_size": 16}), folder / "tokenizer.json", "number 16")
    stored = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    stored["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [99]
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    refused(lambda: read_tokenizer(folder, BERT), "token number 99 is beyond")


@pytest.mark.parametrize("word", ["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
def test_refuses_a_vocabulary_without_a_token_that_every_text_needs(tmp_path, word):
    folder = write_words(tmp_path, ["x" if known == word else known for known in WORDS])
    refused(lambda: read_tokenizer(folder, BERT), folder / "vocab.txt", f"token {word} is missing")
    stored = json.loads(make_tokenizer("bert").to_str())
    stored["model"]["vocab"]["x"] = stored["model"]["vocab"].pop(word)
    stored["added_tokens"] = []
    (folder / "tokenizer.json").write_text(json.dumps(stored), encoding="utf-8")
    refused(lambda: read_tokenizer(folder, {"model_type": "bert"}), folder / "tokenizer.json", word)


@pytest.mark.parametrize("options, words", [
    ({"tokenizer_class": "BertJapaneseTokenizer"}, ("BertJapaneseTokenizer", "no fast form")),
    ({"do_lower_case": "yes"}, ("do_lower_case is 'yes'", "true or false")),
    ({"truncation_side": "up"}, ("truncation_side is 'up'",)),
    ({"padding_side": 1}, ("padding_side is 1",)),
    ({"model_max_length": "long"}, ("model_max_length is 'long'",)),
    ({"pad_token": None}, ("pad_token",)),
    ({"mask_token": 4}, ("token 4 is neither a text nor an object",)),
    ({"mask_token": {"content": "a", "lstrip": 1}}, ("neither a text nor an object",)),
    ({"additional_special_tokens": "a"}, ("additional_special_tokens is 'a', not a list",)),
    ({"extra_special_tokens": "a"}, ("extra_special_tokens is 'a', not an object",)),
    ({"added_tokens_decoder": {"x": {"content": "a"}}}, ("added_tokens_decoder",)),
    ({"added_tokens_decoder": [1]}, ("added_tokens_decoder",)),
])
@pytest.mark.parametrize("stored", [False, True])
def test_refuses_options(tmp_path, options, words, stored):
    folder = write_words(tmp_path, tokenizer_config=options)
    if stored:
        make_tokenizer("bert").save(str(folder / "tokenizer.json"))
    refused(lambda: read_tokenizer(folder, {"model_type": "bert"}), folder, *words)


def test_refuses_classes_that_the_files_do_not_serve(tmp_path):
    folder = write_words(tmp_path)
    phobert = {"model_type": "roberta", "tokenizer_class": "PhobertTokenizer"}
    refused(lambda: read_tokenizer(folder, phobert), "PhobertTokenizer", "no fast form")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "MadeUpTokenizer"}')
    refused(lambda: read_tokenizer(folder, BERT), "has no tokenizer.json", "MadeUpTokenizer", "save tokenizer.json with")
    make_tokenizer("bert").save(str(folder / "tokenizer.json"))
    refused(lambda: read_tokenizer(folder, {"model_type": "bert"}), "names no pad_token")
    (folder / "special_tokens_map.json").write_text('{"pad_token": "[PAD]"}')
    assert read_tokenizer(folder, {"model_type": "bert"}).special == {"pad": "[PAD]"}
    (folder / "added_tokens.json").write_text('{"a": "b"}')
    refused(lambda: read_tokenizer(folder, {"model_type": "bert"}), "added_tokens.json", "not whole")


@pytest.mark.parametrize("family", SENTENCEPIECE)
def test_refuses_other_kinds_of_sentencepiece_models(tmp_path, family):
    folder, fields = write_pieces(tmp_path, family, SPECIAL + PIECES, kind=2)
    refused(lambda: read_tokenizer(folder, fields), "is a BPE model, only Unigram is read", "save tokenizer.json with")
    path = folder / VOCABULARY[family]
    path.write_bytes(sentencepiece_model(SPECIAL + PIECES)[:-3])
    refused(lambda: read_tokenizer(folder, fields), path, "is not a SentencePiece model")
