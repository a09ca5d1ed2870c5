"""What a sweep does with a point: the Setting of its values is estimated."""

import functools
import hashlib
import json
import types
import typing
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ...hw.spec.config import RULES, AcceleratorConfig
from ...hw.spec.errors import ConfigError, InputError, RunError
from ...sim.sources import source_identity
from ...sw.models.random_model import PREFIX, SHAPES, check_shape
from ..estimate.point import estimate_setting
from ..estimate.setting import Setting
from .kept_setting import KeptSetting, forget, kept_by

__all__ = ["Request", "WorkerError", "check_values", "described", "estimate_row", "group_of", "identity_of", "sources"]

_SOURCES = ("acceltran.hw.spec", "acceltran.sw", "acceltran.silicon", "acceltran.cli.estimate")
"""Packages on which an estimate depends."""

_KINDS = typing.get_type_hints(Setting)


class WorkerError(RunError):
    """A worker has not the sources, the model or the configuration of the one who asks."""


@dataclass(frozen=True)
class Request:
    """What a worker gets.

    Parameters
    ----------
    values : of a Setting, plain
    sources : that the worker must have
    sweep : unlike that of any other sweep; what a process kept from another one may not be true any more
    """

    values: dict
    sources: str
    sweep: str


@functools.cache
def sources():
    """A digest of the sources on which an estimate depends."""
    return source_identity(*_SOURCES)


def check_values(values):
    """Refuse what no configuration and no model would take; values that do not go together are found when they are tried.

    Raises
    ------
    InputError : naming the value, and what to choose instead
    """
    for name, value in values.items():
        if name in _KINDS and not _fits(value, _KINDS[name]):
            raise InputError(f"{name} = {value!r}: is not of the kind that it must be: give {_told(_KINDS[name])}")
    setting = Setting.from_dict(values)
    _configuration(setting.config)
    for name, value in setting.fields.items():
        _check_field(name, value)
    _check_model(setting.model)


def identity_of(values):
    """A digest of a point: its values, what they name, and the sources on which its estimate depends."""
    setting = Setting.from_dict(values)
    named = {"config": _configuration(setting.config).to_json(), "model": _model_identity(setting.model)}
    if path := setting.sites_file:
        named["sites"] = _file_identity(path) if path.is_file() else None
    return hashlib.sha256(json.dumps([setting.to_dict(), named, sources()], sort_keys=True).encode()).hexdigest()[:24]


def described(values):
    """All values of a point, those that it does not name included."""
    return asdict(Setting.from_dict(values))


def group_of(values):
    """What a worker has to read and to quantise again for a point of another group, as text."""
    return kept_by(Setting.from_dict(values))


def estimate_row(request):
    """Estimate a Request.

    Returns
    -------
    dict of plain values: what `estimate_setting` returns, and the multipliers of the configuration

    Raises
    ------
    InputError : model, sentences and configuration do not go together
    WorkerError : the worker has not what it needs
    """
    if request.sources != sources():
        raise WorkerError("the worker has other sources of AccelTran than this program: install the same on both")
    _begin(request.sweep)
    setting = KeptSetting.from_dict(request.values)
    try:
        _configuration(setting.config)
        _check_model(setting.model)
    except InputError as error:
        raise WorkerError(f"on the worker: {error}") from None
    found = estimate_setting(setting)
    del found["setting"]
    return {"multipliers": setting.hardware().multipliers} | found


@functools.lru_cache(maxsize=1)
def _begin(sweep):
    """On a worker, once for each sweep."""
    torch.set_num_threads(1)
    forget()
    _configuration.cache_clear()
    _check_model.cache_clear()


@functools.cache
def _configuration(name):
    return AcceleratorConfig.load(name)


def _check_field(name, value):
    if name not in RULES:
        AcceleratorConfig.from_dict({name: value})  # It has a check of its own, or it is unknown.
    else:
        rule, remedy = RULES[name]
        try:
            fits = rule(value) and not isinstance(value, bool | float)
        except TypeError:
            fits = False
        if not fits:
            raise ConfigError(f"{name} = {value!r}: {remedy}")


@functools.cache
def _check_model(model):
    if not model.startswith(PREFIX):
        if not Path(model).is_dir():
            raise InputError(f"model = {model!r}: no such folder: give one with config.json, weights and a tokenizer, or one "
                             f"of {', '.join(PREFIX + shape for shape in SHAPES)}")
    else:
        check_shape(model.removeprefix(PREFIX))


@functools.cache
def _model_identity(model):
    if model.startswith(PREFIX):
        return model
    files = sorted(path for path in Path(model).rglob("*") if path.is_file() and path.suffix != ".md")
    return [(str(path.relative_to(model)), _file_identity(path)) for path in files]


@functools.cache
def _file_identity(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fits(value, kind):
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    plain = {typing.get_origin(one) or one for one in kinds}
    if tuple in plain and isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    if isinstance(value, bool):
        return bool in plain
    return isinstance(value, tuple(plain)) or float in plain and isinstance(value, int)


_WORDS = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false", dict: "a table"}


def _told(kind):
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    return " or ".join(_WORDS.get(one, "a list of texts") for one in kinds if one is not types.NoneType)
