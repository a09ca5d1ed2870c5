"""Faults planted on purpose: a module of the project with one text replaced, beside the one that is right."""

import inspect
from types import ModuleType

__all__ = ["mutated", "with_names"]


def mutated(module, old, new):
    """`module` again, with the text `old` of its source replaced by `new`; the module itself stays as it is.

    Raises
    ------
    ValueError : `old` does not occur exactly once
    """
    source = _source(module)
    if source.count(old) != 1:
        raise ValueError(f"{module.__name__}: {source.count(old)} times {old!r}, it must occur once")
    return _executed(module, source.replace(old, new), _names(module))


def with_names(module, **names):
    """`module`, which may be a mutated one, again, with other values for some of its global names: a faulty part, a width."""
    unknown = [name for name in names if not hasattr(module, name)]
    if unknown:
        raise ValueError(f"{module.__name__} has no {', '.join(unknown)}")
    return _executed(module, _source(module), _names(module) | names)


def _source(module):
    return vars(module).get("_changed_source") or inspect.getsource(module)


def _names(module):
    return vars(module).get("_changed_names", {})


def _executed(module, source, names):
    changed = ModuleType(module.__name__)
    changed.__package__, changed.__file__ = module.__package__, module.__file__
    exec(compile(source, module.__file__, "exec"), vars(changed))
    vars(changed).update(names, _changed_source=source, _changed_names=names)
    return changed
