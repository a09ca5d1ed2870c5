"""Read the tokenizer of a model folder as ``transformers.AutoTokenizer.from_pretrained`` does."""

from pathlib import Path

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece

from .errors import ModelError
from .files import read_text
from .text_tokenizer import TextTokenizer
from .tokenizer_classes import CLASSES, GENERIC, MODEL_TYPES, SLOW_ONLY
from .tokenizer_settings import ROLES, read_settings

__all__ = ["read_tokenizer"]

TOKENIZER = "tokenizer.json"
UNLIMITED = 10**20
"""A ``model_max_length`` above this says that there is no limit."""

SAVE = f"save {TOKENIZER} with transformers"


def read_tokenizer(folder, fields):
    """Read the tokenizer of a model folder.

    Parameters
    ----------
    folder : path
        Holds tokenizer.json, or the vocabulary files of the tokenizer's class: vocab.txt for BERT, DistilBERT, ELECTRA and
        MPNet, vocab.json and merges.txt for RoBERTa, sentencepiece.bpe.model for XLM-RoBERTa and CamemBERT, spiece.model
        for ALBERT. Beside them tokenizer_config.json, special_tokens_map.json and added_tokens.json may say more.
    fields : dict
        The fields of config.json. They give ``model_type``, ``tokenizer_class`` and ``vocab_size``.

    Returns
    -------
    TextTokenizer

    Raises
    ------
    ModelError
        One line naming the file, what was found, and the remedy.
    """
    folder = Path(folder)
    path = folder / TOKENIZER
    tokenizer = _load(path) if path.is_file() else None
    settings = read_settings(folder, tokenizer.get_added_tokens_decoder() if tokenizer else {})
    kind = _class(folder, settings, fields, tokenizer)
    roles = dict(kind.special) | settings.roles
    if tokenizer is None:
        path, tokenizer = _build(folder, kind, settings, roles)
    cut, fill = tokenizer.truncation or {}, tokenizer.padding or {}
    tokenizer.no_truncation()
    tokenizer.no_padding()
    roles = {"pad": fill.get("pad_token")} | roles
    roles = {role: kind.token(role, token) for role, token in roles.items() if token}
    tokenizer.encode_special_tokens = settings.flag("split_special_tokens", False)
    _add_tokens(path, tokenizer, settings, kind, roles, fields.get("vocab_size"))
    kind.apply(tokenizer, settings)
    _check_numbers(path, tokenizer, fields.get("vocab_size"))
    return TextTokenizer(
        tokenizer, {role: str(token) for role, token in roles.items() if tokenizer.token_to_id(str(token)) is not None},
        settings.side("truncation_side", cut.get("direction", "right")),
        settings.side("padding_side", fill.get("direction", "right")), _longest(settings))


def _load(path):
    text = read_text(path)
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises plain Exception
        raise ModelError(f"{path}: no valid tokenizer ({error}): fetch the file again") from None


def _class(folder, settings, fields, tokenizer):
    """The TokenizerClass that the files name."""
    model_type = fields.get("model_type", "bert")
    name = settings.options.get("tokenizer_class") or fields.get("tokenizer_class") or MODEL_TYPES.get(model_type)
    if name in SLOW_ONLY:
        raise ModelError(f"{folder}: tokenizer_class is {name!r}, which has no fast form: use a model with another tokenizer")
    kind = CLASSES.get(str(name).removesuffix("Fast"), GENERIC)
    if tokenizer is None and kind is GENERIC:
        raise ModelError(f"{folder}: has no {TOKENIZER}, which tokenizer_class {name!r} needs: {SAVE}")
    return kind


def _build(folder, kind, settings, roles):
    """The first vocabulary file of a folder without tokenizer.json, and the tokenizer."""
    missing = [name for name in kind.files if not (folder / name).is_file()]
    if missing:
        found = [name for name in kind.files if name not in missing]
        beside = f" beside {', '.join(found)}" if found else f" and no {TOKENIZER}"
        raise ModelError(f"{folder}: has no {' and no '.join(missing)}{beside}: fetch the tokenizer of the model, or {SAVE}")
    path = folder / kind.files[0]
    special = {role: str(token) for role, token in roles.items() if token}
    null = next((role for role in ("pad", "cls", "sep", "unk") if role not in special), None)
    if null is not None:
        raise ModelError(f"{settings.path}: {null}_token is null: name the token")
    try:
        return path, kind.build(folder, settings, special)
    except ModelError:
        raise
    except Exception as error:  # the library raises plain Exception
        raise ModelError(f"{path}: no valid vocabulary ({error}): fetch the file again") from None


def _add_tokens(path, tokenizer, settings, kind, roles, size):
    """Add the tokens that the files list, then special tokens that are not there yet."""
    additional = kind.additional if settings.additional is None else settings.additional
    unnamed = {str(token) for role, token in roles.items() if role not in settings.roles}
    unnamed |= set(kind.additional) if settings.additional is None else set()
    special: list[str | AddedToken] = []
    names: set[str] = set()
    for group in [*([roles[role]] for role in ROLES if role in roles), additional, *([token] for token in settings.extra)]:
        special += [token for token in group if str(token) not in names]
        names |= {str(token) for token in group}
    tokenizer.add_tokens([_marked(token, names) for _, token in sorted(settings.added.items())])
    _check_needed(path, tokenizer, settings, roles)
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    tokens = [token for token in special if not (isinstance(token, str) and token in known)]
    absent = [token for token in tokens if tokenizer.token_to_id(str(token)) is None]
    if size is not None and tokenizer.get_vocab_size() + len(absent) > size:
        # A token that only its class names, and that the model has no row for.
        tokens = [token for token in tokens if token not in absent or str(token) not in unnamed]
    tokenizer.add_tokens([_marked(token, names) for token in tokens])


def _marked(token, names):
    """An added token, special if it is one of the special tokens, whose names are given."""
    if isinstance(token, str):
        return AddedToken(token, special=True)
    token.special = token.special or token.content in names
    return token


def _check_needed(path, tokenizer, settings, roles):
    if "pad" not in roles:
        raise ModelError(f"{settings.path}: names no pad_token: add the token that fills up short texts")
    needed = [str(roles[role]) for role in ("pad", "cls", "sep") if role in roles]
    if isinstance(tokenizer.model, WordPiece):
        needed.append(tokenizer.model.unk_token)
    for token in needed:
        if tokenizer.token_to_id(token) is None:
            raise ModelError(f"{path}: token {token} is missing: use the tokenizer of this model")


def _check_numbers(path, tokenizer, size):
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    if not vocabulary:
        raise ModelError(f"{path}: holds no token: fetch the file again")
    largest = max(max(vocabulary.values()), max(tokenizer.encode("").ids, default=0))
    if size is not None and largest >= size:
        raise ModelError(f"{path}: token number {largest} is beyond vocab_size {size} of config.json: use the tokenizer of "
                         "this model")


def _longest(settings):
    value = settings.options.get("model_max_length", settings.options.get("max_len"))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 1:
        raise ModelError(f"{settings.path}: model_max_length is {value!r}, not a positive number: correct it")
    return None if value > UNLIMITED else int(value)
