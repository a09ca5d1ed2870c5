"""Tokenizers from vocabulary files: vocab.txt for WordPiece, vocab.json and merges.txt for byte-level BPE."""

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import BPE, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel
from tokenizers.processors import RobertaProcessing, TemplateProcessing

from .errors import ModelError
from .files import read_json, read_text

__all__ = ["build_bert", "build_mpnet", "build_roberta", "token_number"]


def build_bert(folder, settings, special):
    """The tokenizer of vocab.txt, between ``[CLS]`` and ``[SEP]``."""
    return _wordpiece(folder / "vocab.txt", settings, special, "{sep}:0")


def build_mpnet(folder, settings, special):
    """The tokenizer of vocab.txt, between ``<s>`` and ``</s>``, with two of the latter between text and pair."""
    return _wordpiece(folder / "vocab.txt", settings, special, "{sep}:0 {sep}:0")


def build_roberta(folder, settings, special):
    """The tokenizer of vocab.json and merges.txt."""
    path, merges = folder / "vocab.json", folder / "merges.txt"
    vocabulary = read_json(path)
    # The first line tells the version, and every line ends with a newline character.
    pairs = list(dict.fromkeys(tuple(line.split()) for line in read_text(merges).split("\n")[1:-1]))
    wrong = next((pair for pair in pairs if len(pair) != 2), None)
    if wrong is not None:
        raise ModelError(f"{merges}: {' '.join(wrong)!r} is not two parts: fetch the file again")
    tokenizer = Tokenizer(BPE(vocabulary, pairs, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False))
    space = settings.flag("add_prefix_space", False)
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=space)
    tokenizer.decoder = ByteLevelDecoder()
    first, last = ((special[role], token_number(path, settings, tokenizer, special[role])) for role in ("cls", "sep"))
    tokenizer.post_processor = RobertaProcessing(last, first, add_prefix_space=space)
    return tokenizer


def _wordpiece(path, settings, special, between):
    text = read_text(path)
    lines = text.removesuffix("\n").split("\n")
    tokenizer = Tokenizer(WordPiece({token: number for number, token in enumerate(lines)}, unk_token=special["unk"]))
    plain = not settings.flag("do_basic_tokenize", True)
    tokenizer.normalizer = BertNormalizer(
        clean_text=True,
        handle_chinese_chars=not plain and settings.flag("tokenize_chinese_chars", True),
        strip_accents=False if plain else settings.flag("strip_accents", None),
        lowercase=not plain and settings.flag("do_lower_case", True))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder(prefix="##")
    cls, sep = special["cls"], special["sep"]
    between = between.format(sep=sep)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0", pair=f"{cls}:0 $A:0 {between} $B:1 {sep}:1",
        special_tokens=[(token, token_number(path, settings, tokenizer, token)) for token in (cls, sep)])
    return tokenizer


def token_number(path, settings, tokenizer, token):
    """The number of a token, in the vocabulary of a tokenizer or among the added tokens.

    Raises
    ------
    ModelError : for a token that is in neither
    """
    number = tokenizer.token_to_id(token)
    if number is None:
        number = next((number for number, added in settings.added.items() if added.content == token), None)
    if number is None:
        raise ModelError(f"{path}: token {token} is missing: use the tokenizer of this model")
    return number
