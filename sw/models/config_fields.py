"""Reading config.json: what every family checks in the same way."""

from .errors import ModelError
from .files import read_json

__all__ = ["read_fields", "read_labels", "read_share", "read_size", "refuse_fields"]


def read_fields(path):
    """The fields of a config.json.

    Raises
    ------
    ModelError : for a file that holds no object, or names a field twice
    """
    return read_json(path)


def refuse_fields(path, fields, plain, remedy):
    """Refuse fields that change the computation.

    Parameters
    ----------
    plain : {field: (the only value that is computed here, why)}
    remedy : what to use instead
    """
    for field, (known, reason) in plain.items():
        if (fields.get(field) or known) != known:
            raise ModelError(f"{path}: {field} is {fields[field]!r}, but {reason}: {remedy}")


def read_size(path, fields, name, default=None, *, least=1):
    """A whole number, positive or from `least` on."""
    value = fields.get(name, default)
    if value is None:
        raise ModelError(f"{path}: field {name} is missing: add it")
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        kind = "a positive whole number" if least == 1 else f"a whole number from {least} on"
        raise ModelError(f"{path}: {name} is {value!r}, not {kind}: correct it")
    return value


def read_share(path, fields, name, default):
    """A number between 0 and 1."""
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ModelError(f"{path}: {name} is {value!r}, not a number between 0 and 1: correct it")
    return float(value)


def read_labels(path, fields):
    """Names of the classes, by number."""
    labels = fields.get("id2label")
    if labels is None:
        return {index: f"LABEL_{index}" for index in range(read_size(path, fields, "num_labels", 2))}
    if not labels or not isinstance(labels, dict) or set(labels) != {str(index) for index in range(len(labels))}:
        raise ModelError(f"{path}: id2label is {labels!r}, not an object with the keys 0, 1, ...: correct it")
    count = fields.get("num_labels", len(labels))
    if count != len(labels):
        raise ModelError(f"{path}: num_labels is {count!r} but id2label names {len(labels)}: correct one")
    return {index: str(labels[str(index)]) for index in range(len(labels))}
