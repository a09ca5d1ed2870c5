"""What the files beside a vocabulary say about a tokenizer: its class, its special and added tokens, its options."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from tokenizers import AddedToken

from .errors import ModelError
from .files import read_json

__all__ = ["ADDED_TOKENS", "ROLES", "TOKENIZER_CONFIG", "Token", "TokenizerSettings", "read_settings"]

TOKENIZER_CONFIG, SPECIAL_TOKENS, ADDED_TOKENS = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
"""Roles of special tokens, in the order in which those without a number get one."""

ADDITIONAL, EXTRA = "additional_special_tokens", "extra_special_tokens"

Token: TypeAlias = str | AddedToken


@dataclass(frozen=True)
class TokenizerSettings:
    """What the files say.

    Members
    -------
    path : tokenizer_config.json, there or not
    options : dict
        The fields of tokenizer_config.json.
    roles : dict of str to Token or None
        The special tokens that a file names, by `ROLES`; None where it says that there is none.
    additional : list of Token, optional
        Special tokens without a role; None if no file names any.
    extra : list of Token
        More of them, with roles of the model's own.
    added : dict of int to AddedToken
        Tokens beside the vocabulary, by their numbers.
    """

    path: Any
    options: dict[str, Any]
    roles: dict[str, Token | None]
    additional: list[Token] | None
    extra: list[Token]
    added: dict[int, AddedToken]

    def flag(self, name, default):
        """An option that is true or false."""
        value = self.options.get(name, default)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise ModelError(f"{self.path}: {name} is {value!r}: set it to true or false")
        return value

    def side(self, name, default):
        """An option that names a side."""
        value = self.options.get(name, default)
        if value not in ("right", "left"):
            raise ModelError(f'{self.path}: {name} is {value!r}: set it to "right" or "left"')
        return value


def read_settings(folder, stored):
    """Read tokenizer_config.json, and where it lists no added tokens, special_tokens_map.json and added_tokens.json.

    Parameters
    ----------
    folder : Path
    stored : dict of int to AddedToken
        The added tokens of tokenizer.json; where tokenizer_config.json lists none, they say how special tokens match.

    Returns
    -------
    TokenizerSettings

    Raises
    ------
    ModelError : for files that are not valid
    """
    path = folder / TOKENIZER_CONFIG
    options = read_json(path) if path.is_file() else {}
    fields = dict(options)
    if "added_tokens_decoder" in options:
        added = _listed(path, options["added_tokens_decoder"])
        flags = {token.content: token for token in added.values()}
    else:
        _merge_special(folder / SPECIAL_TOKENS, fields)
        added = _legacy(folder / ADDED_TOKENS, fields) | stored
        flags = {token.content: token for token in stored.values()}
    roles = {role: _token(path, fields[f"{role}_token"]) for role in ROLES if f"{role}_token" in fields}
    roles = {role: token and flags.get(str(token), token) for role, token in roles.items()}
    extra = fields.get(EXTRA) or {}
    additional = _tokens(path, ADDITIONAL, fields.get(ADDITIONAL))
    if isinstance(extra, list):  # transformers 5 writes the additional tokens under this name
        additional, extra = (additional or []) + _tokens(path, EXTRA, extra), {}
    if not isinstance(extra, dict):
        raise ModelError(f"{path}: {EXTRA} is {extra!r}, not an object of tokens: correct it")
    return TokenizerSettings(path, options, roles, additional, _tokens(path, EXTRA, list(extra.values())), added)


def _listed(path, entries):
    """The tokens of ``added_tokens_decoder``."""
    try:
        return {int(number): _token(path, dict(entry)) for number, entry in entries.items()}
    except ModelError:
        raise
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: added_tokens_decoder is no object of tokens by number ({error}): correct it") from None


def _merge_special(path, fields):
    """Let special_tokens_map.json replace special tokens among `fields`, and add to the additional ones."""
    for name, value in (read_json(path) if path.is_file() else {}).items():
        if name == ADDITIONAL and isinstance(value, list):
            known = fields.get(ADDITIONAL) or []
            value = known + [entry for entry in value if entry not in known]
        fields[name] = value | {"special": True} if isinstance(value, dict) else value


def _legacy(path, fields):
    """The tokens of added_tokens.json: the special ones match in the text as it is, others after it is normalised."""
    numbers = read_json(path) if path.is_file() else {}
    special = {str(_token(path, fields.get(f"{role}_token"))) for role in ROLES}
    special |= {str(_token(path, entry)) for entry in fields.get(ADDITIONAL) or []}
    if any(isinstance(number, bool) or not isinstance(number, int) for number in numbers.values()):
        raise ModelError(f"{path}: holds a number that is not whole: fetch the file again")
    return {number: AddedToken(content, rstrip=False, lstrip=False, normalized=content not in special,
                               special=content in special)
            for content, number in numbers.items()}


def _tokens(path, name, entries):
    if entries is None or isinstance(entries, list):
        return entries and [_token(path, entry) for entry in entries]
    raise ModelError(f"{path}: {name} is {entries!r}, not a list of tokens: correct it")


def _token(path, entry):
    """A token, stored as its text or as an object."""
    if isinstance(entry, dict) and isinstance(entry.get("content"), str):
        options = {name: value for name, value in entry.items() if name in _FLAGS}
        if all(isinstance(value, bool) for value in options.values()):
            return AddedToken(entry["content"], **options)
    elif entry is None or isinstance(entry, str):
        return entry
    raise ModelError(f"{path}: the token {entry!r} is neither a text nor an object with its content: correct it")


_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
