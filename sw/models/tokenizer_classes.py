"""The classes of tokenizers: their special tokens, their vocabulary files, and what their options change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenizers import AddedToken
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import ByteLevel as ByteLevelOffsets
from tokenizers.processors import RobertaProcessing

from .sentencepiece_tokenizers import build_albert, build_camembert, build_xlm_roberta
from .vocabulary_files import build_bert, build_mpnet, build_roberta

__all__ = ["CLASSES", "GENERIC", "MODEL_TYPES", "SLOW_ONLY", "TokenizerClass"]


@dataclass(frozen=True)
class TokenizerClass:
    """One class of tokenizers.

    Members
    -------
    special : mapping of str to str
        Special tokens by their roles, where no file names others.
    additional : special tokens without a role, where no file names any
    files : names of the vocabulary files, all of which are needed where there is no tokenizer.json
    build : makes the tokenizer from these files: ``build(folder, settings, special)``
    adjust : lets options that only this class has change a tokenizer: ``adjust(tokenizer, settings)``
    flags : how special tokens match, by their roles; by "" those of the roles that are not named
    """

    special: Mapping[str, str] = field(default_factory=dict)
    additional: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    build: Callable | None = None
    adjust: Callable | None = None
    flags: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def token(self, role, token):
        """A special token that matches as the class wants it, if no file says how it does."""
        flags = self.flags.get(role, self.flags.get(""))
        return token if flags is None or not isinstance(token, str) else AddedToken(token, **flags)

    def apply(self, tokenizer, settings):
        """Let the options of the tokenizer's files change it, whatever tokenizer.json says."""
        splitter = tokenizer.pre_tokenizer
        if isinstance(splitter, ByteLevel):
            splitter.add_prefix_space = settings.flag("add_prefix_space", False)
        if self.adjust is not None:
            self.adjust(tokenizer, settings)


def _adjust_bert(tokenizer, settings):
    _adjust_normalizer(tokenizer, settings, handle_chinese_chars=settings.flag("tokenize_chinese_chars", True))


def _adjust_mpnet(tokenizer, settings):
    _adjust_normalizer(tokenizer, settings)


def _adjust_normalizer(tokenizer, settings, **changes):
    normalizer = tokenizer.normalizer
    if not isinstance(normalizer, BertNormalizer):
        return
    stored = {name: getattr(normalizer, name)
              for name in ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")}
    wanted = stored | {"lowercase": settings.flag("do_lower_case", True),
                       "strip_accents": settings.flag("strip_accents", None)} | changes
    if wanted != stored:
        tokenizer.normalizer = BertNormalizer(**wanted)


def _adjust_roberta(tokenizer, settings):
    processor = tokenizer.post_processor
    if isinstance(processor, RobertaProcessing | ByteLevelOffsets):
        processor.add_prefix_space = settings.flag("add_prefix_space", False)
        processor.trim_offsets = settings.flag("trim_offsets", True)


_BRACKETS = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
_ANGLES = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "sep": "</s>", "pad": "<pad>", "cls": "<s>", "mask": "<mask>"}
_MASK = {"lstrip": True}

_BERT = TokenizerClass(_BRACKETS, files=("vocab.txt",), build=build_bert, adjust=_adjust_bert)

GENERIC = TokenizerClass()
"""Knows nothing but what tokenizer.json and the files beside it say."""

CLASSES = {
    **dict.fromkeys(("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "DPRQuestionEncoderTokenizer",
                     "DPRContextEncoderTokenizer", "DPRReaderTokenizer"), _BERT),
    "MPNetTokenizer": TokenizerClass(
        _ANGLES | {"unk": "[UNK]"}, files=("vocab.txt",), build=build_mpnet, adjust=_adjust_mpnet,
        flags={"": {}, "mask": _MASK}),
    "RobertaTokenizer": TokenizerClass(
        _ANGLES, files=("vocab.json", "merges.txt"), build=build_roberta, adjust=_adjust_roberta,
        flags={"mask": _MASK | {"normalized": False}}),
    "XLMRobertaTokenizer": TokenizerClass(
        _ANGLES, files=("sentencepiece.bpe.model",), build=build_xlm_roberta, flags={"mask": _MASK}),
    "CamembertTokenizer": TokenizerClass(
        _ANGLES, ("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"), files=("sentencepiece.bpe.model",), build=build_camembert,
        flags={"mask": _MASK | {"special": True}}),
    "AlbertTokenizer": TokenizerClass(
        _BRACKETS | {"bos": "[CLS]", "eos": "[SEP]", "unk": "<unk>", "pad": "<pad>"}, files=("spiece.model",),
        build=build_albert, flags={"mask": _MASK | {"normalized": False}}),
    "PreTrainedTokenizer": GENERIC,
    "TokenizersBackend": GENERIC,
}
"""By their names in the tokenizer's files, without the ending Fast."""

MODEL_TYPES = {"bert": "BertTokenizer", "distilbert": "DistilBertTokenizer", "electra": "ElectraTokenizer",
               "mpnet": "MPNetTokenizer", "roberta": "RobertaTokenizer", "xlm-roberta": "XLMRobertaTokenizer",
               "camembert": "CamembertTokenizer", "albert": "AlbertTokenizer"}
"""The class of a model whose files name none, by the ``model_type`` of config.json."""

SLOW_ONLY = ("BertJapaneseTokenizer", "BertweetTokenizer", "PhobertTokenizer")
"""Classes that exist in Python only, which leave a tokenizer.json unread."""
