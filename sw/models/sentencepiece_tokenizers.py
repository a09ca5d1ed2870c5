"""Tokenizers from SentencePiece models: XLM-RoBERTa, CamemBERT and ALBERT each number the pieces in their own way."""

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import Metaspace as MetaspaceDecoder
from tokenizers.models import Unigram
from tokenizers.normalizers import NFKD, Lowercase, Normalizer, Precompiled, Replace, Sequence, Strip, StripAccents
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing

from .sentencepiece_file import CONTROL, USER_DEFINED, read_pieces
from .vocabulary_files import token_number

__all__ = ["build_albert", "build_camembert", "build_xlm_roberta"]


def build_xlm_roberta(folder, settings, special):
    """The tokenizer of sentencepiece.bpe.model: after four tokens of its own come the pieces from the fourth on."""
    path = folder / "sentencepiece.bpe.model"
    model = read_pieces(path)
    own = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    vocabulary = [*own, *((piece.text, piece.score) for piece in model.pieces[3:]), ("<mask>", 0.0)]
    return _between(path, settings, _unigram(model, vocabulary, 3, _spaces(model)), *_ANGLES)


def build_camembert(folder, settings, special):
    """The tokenizer of sentencepiece.bpe.model: after five tokens of its own come the pieces from the second on."""
    path = folder / "sentencepiece.bpe.model"
    model = read_pieces(path)
    own = [("<s>NOTUSED", 0.0), ("<pad>", 0.0), ("</s>NOTUSED", 0.0), ("<unk>", 0.0), ("<unk>NOTUSED", -100.0)]
    vocabulary = [*own, *((piece.text, piece.score) for piece in model.pieces[1:]), ("<mask>", 0.0)]
    return _between(path, settings, _unigram(model, vocabulary, 3, _spaces(model)), *_ANGLES)


def build_albert(folder, settings, special):
    """The tokenizer of spiece.model: pieces keep their numbers, and one of a digit and a comma is hardly ever chosen."""
    path = folder / "spiece.model"
    model = read_pieces(path)
    vocabulary = [(piece.text, piece.score - 100 if _digit_and_comma(piece.text) else piece.score) for piece in model.pieces]
    steps: list[Normalizer] = [Replace("``", '"'), Replace("''", '"')]
    if not settings.flag("keep_accents", False):
        steps += [NFKD(), StripAccents()]
    if settings.flag("do_lower_case", True):
        steps.append(Lowercase())
    steps += [*_characters(model), Replace(Regex(" {2,}"), " ")]
    return _between(path, settings, _unigram(model, vocabulary, model.unknown, Sequence(steps)), *_BRACKETS)


_ANGLES = ("<s>", "</s>", "{first} $A {last}", "{first} $A {last} {last} $B {last}")
_BRACKETS = ("[CLS]", "[SEP]", "{first}:0 $A:0 {last}:0", "{first}:0 $A:0 {last}:0 $B:1 {last}:1")


def _unigram(model, vocabulary, unknown, normalizer):
    tokenizer = Tokenizer(Unigram(vocabulary, unk_id=unknown, byte_fallback=False))
    tokenizer.add_tokens([AddedToken(piece.text, normalized=False, special=piece.kind == CONTROL)
                          for piece in model.pieces if piece.kind in (CONTROL, USER_DEFINED)])
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = MetaspaceDecoder(replacement="▁", prepend_scheme="always")
    return tokenizer


def _between(path, settings, tokenizer, first, last, single, pair):
    """Put every text between its first and its last token."""
    tokenizer.post_processor = TemplateProcessing(
        single=single.format(first=first, last=last), pair=pair.format(first=first, last=last),
        special_tokens=[(token, token_number(path, settings, tokenizer, token)) for token in (first, last)])
    return tokenizer


def _spaces(model):
    return Sequence([*_characters(model), Strip(left=False, right=True), Replace(Regex(" {2,}"), "▁")])


def _characters(model):
    return [Precompiled(model.character_map)] if model.character_map else []


def _digit_and_comma(text):
    return len(text) > 1 and text[-1] == "," and text[-2].isdigit()
