"""Tokenizer files of every family, small ones, trained on a few sentences."""

import json
import struct
from functools import cache

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE, Unigram, WordPiece
from tokenizers.normalizers import NFKD, BertNormalizer, Lowercase, Replace, Sequence, StripAccents
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel, Metaspace
from tokenizers.processors import RobertaProcessing, TemplateProcessing
from tokenizers.trainers import BpeTrainer, UnigramTrainer

__all__ = ["CORPUS", "FAMILIES", "SENTENCEPIECE", "SIZE", "VOCABULARY", "edit_json", "make_folder", "make_tokenizer",
           "sentencepiece_model", "train_pieces"]

CORPUS = (
    "The quick brown fox jumps over the lazy dog while 1,234 birds sing.",
    "A new idea is never new: it is the old one, seen from the other side.",
    "Café, naïve, Ångström, façade: accents make words longer.",
    "Le château de Chenonceau enjambe le Cher, où l'eau est très calme.",
    "Straße und Fußweg sind gesperrt, İstanbul ist weit.",
    "今天天气很好,我们去公园。 東京は大きい。",
    "Emoji 😀 and 👩‍👩‍👧 and 🇫🇷 stand between words!",
    "don't won't can't (really) [no] <yes> \"quoted\" 'single' -- dashes - and ... dots?",
)
SIZE = 320
"""Numbers that a model of these folders has rows for; the vocabularies are smaller."""

FAMILIES = ("bert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta", "camembert", "albert")
SENTENCEPIECE = ("xlm-roberta", "camembert", "albert")

BRACKETS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ANGLES = ("<s>", "<pad>", "</s>", "<unk>")
CAMEMBERT = ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>")
ALBERT = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")

VOCABULARY = {"xlm-roberta": "sentencepiece.bpe.model", "camembert": "sentencepiece.bpe.model", "albert": "spiece.model"}


@cache
def _trained(family):
    """The tokenizer of a family, as JSON."""
    if family in SENTENCEPIECE:
        return _in_order(_unigram(family).to_str())
    if family == "roberta":
        return _byte_pairs().to_str()
    return _wordpiece(family).to_str()


def _in_order(tokenizer):
    """The pieces by name, with scores that follow: each training gives other ones; as JSON."""
    content = json.loads(tokenizer)
    pieces = content["model"]["vocab"]
    special = next(number for number, (_, score) in enumerate(pieces) if score)
    names = sorted(piece for piece, _ in pieces[special:])
    content["model"]["vocab"] = pieces[:special] + [(name, -5 - 0.01 * number) for number, name in enumerate(names)]
    return json.dumps(content)


def make_tokenizer(family):
    """The tokenizer of a family."""
    return Tokenizer.from_str(_trained(family))


def make_folder(folder, family, form="json", **files):
    """Write the tokenizer of a family into a folder.

    Parameters
    ----------
    form : "json" for tokenizer.json, "vocabulary" for the vocabulary files of WordPiece and byte-level BPE
    files : objects of further JSON files, by their names without the ending

    Returns
    -------
    folder, and the fields of its config.json
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(family)
    if form == "json":
        tokenizer.save(str(folder / "tokenizer.json"))
    else:
        tokenizer.model.save(str(folder))
    fields = {"model_type": family, "vocab_size": SIZE}
    for name, content in (files | {"config": fields}).items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder, fields


def edit_json(path, **changes):
    """Change fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def sentencepiece_model(pieces, kind=1, unknown=0):
    """The bytes of a SentencePiece model.

    Parameters
    ----------
    pieces : sequence of (text, score, kind of piece)
    kind : of model, 1 for Unigram
    """
    content = b"".join(_field(1, _field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + _number(3, sort))
                       for text, score, sort in pieces)
    return content + _field(2, _number(3, kind) + _number(40, unknown)) + _field(3, _field(1, b"identity"))


def train_pieces(sentencepiece, path, family):
    """Train a SentencePiece model, with its usual character map, and write it to a path."""
    special = {"unk_id": 0, "bos_id": 1, "eos_id": 2}
    if family == "albert":
        special = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": "[CLS],[SEP],[MASK]",
                   "user_defined_symbols": "(,)"}
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS * 4), model_writer=file, vocab_size=200, hard_vocab_limit=False, minloglevel=2,
            character_coverage=1.0, normalization_rule_name="nmt_nfkc", **special)


def _number(field, value):
    return bytes([*_varint(field << 3), *_varint(value)])


def _field(field, content):
    return bytes([*_varint(field << 3 | 2), *_varint(len(content))]) + content


def _varint(value):
    while value > 127:
        yield value & 127 | 128
        value >>= 7
    yield value


def _wordpiece(family):
    special = (*ANGLES, "[UNK]", "<mask>") if family == "mpnet" else BRACKETS
    tokenizer = Tokenizer(WordPiece(_pieces(special), unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    tokenizer.add_special_tokens(list(special))
    first, last = ("<s>", "</s>") if family == "mpnet" else ("[CLS]", "[SEP]")
    between = "</s>:0 </s>:0" if family == "mpnet" else "[SEP]:0"
    tokenizer.post_processor = _template(tokenizer, first, last, f"{first}:0 $A:0 {last}:0",
                                         f"{first}:0 $A:0 {between} $B:1 {last}:1")
    if family == "mpnet":
        tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


def _pieces(special):
    """310 pieces, always the same: characters at the begin and inside of words, ends of words, words."""
    splitter = BertPreTokenizer()
    words = [word for lower in (True, False) for text in CORPUS
             for word, _ in splitter.pre_tokenize_str(BertNormalizer(lowercase=lower).normalize_str(text))]
    ends = {f"##{word[number:]}" for word in words for number in range(1, len(word) - 1)}
    pieces = [*special, *sorted({word[0] for word in words}), *sorted({f"##{one}" for word in words for one in word[1:]}),
              *sorted({one for one in ends if len(one) == 5}), *sorted(words, key=len), *sorted(ends)]
    pieces = list(dict.fromkeys(pieces))[:310]
    assert len(pieces) == 310
    return {piece: number for number, piece in enumerate(pieces)}


def _byte_pairs():
    tokenizer = Tokenizer(BPE(continuing_subword_prefix="", end_of_word_suffix=""))
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()
    tokenizer.train_from_iterator(CORPUS, BpeTrainer(
        vocab_size=310, special_tokens=[*ANGLES, "<mask>"], initial_alphabet=ByteLevel.alphabet(), show_progress=False))
    first, last = (((token, tokenizer.token_to_id(token))) for token in ("<s>", "</s>"))
    tokenizer.post_processor = RobertaProcessing(last, first, add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


def _unigram(family):
    special = {"xlm-roberta": ANGLES, "camembert": CAMEMBERT, "albert": ALBERT}[family]
    tokenizer = Tokenizer(Unigram())
    tokenizer.pre_tokenizer = Metaspace()
    tokenizer.train_from_iterator(CORPUS, UnigramTrainer(vocab_size=200, special_tokens=list(special), unk_token="<unk>",
                                                         show_progress=False))
    if family != "albert":
        tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
        tokenizer.post_processor = _template(tokenizer, "<s>", "</s>", "<s> $A </s>", "<s> $A </s> </s> $B </s>")
        return tokenizer
    tokenizer.normalizer = Sequence([Replace("``", '"'), Replace("''", '"'), NFKD(), StripAccents(), Lowercase()])
    tokenizer.post_processor = _template(tokenizer, "[CLS]", "[SEP]", "[CLS]:0 $A:0 [SEP]:0",
                                         "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1")
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True, normalized=False)])
    return tokenizer


def _template(tokenizer, first, last, single, pair):
    return TemplateProcessing(single=single, pair=pair, special_tokens=[
        (token, tokenizer.token_to_id(token)) for token in (first, last)])
