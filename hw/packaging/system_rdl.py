"""The register map in SystemRDL 2.0, for generators of register models and their documents."""

from ..spec.registers import ADDRESS_BITS
from .register_view import INNER, register_views
from .wrapper import TOP

__all__ = ["to_system_rdl"]

_ACCESS = {
    "ro": ("sw = r;", "hw = w;"),
    "rw": ("sw = rw;", "hw = r;"),
    "wo": ("sw = w;", "hw = r;"),
    "w1c": ("sw = rw; onwrite = woclr;", "hw = rw;"),
    "w1s": ("sw = rw; onwrite = woset;", "hw = r;"),
}


def to_system_rdl(config):
    """The text of the address map ``acceltran``, as built for `config`.

    Parameters
    ----------
    config : AcceleratorConfig
    """
    lines = [f"// Registers of the AccelTran configuration {config.name}, generated: do not edit."]
    views = register_views(config)
    for view in views:
        lines += _enumeration(view)
    lines += [f"addrmap {TOP} {{", f"    name = {_text(f'AccelTran {config.name}')};",
              f"    desc = {_text(f'Registers, {1 << ADDRESS_BITS} bytes. Words that are not listed are answered SLVERR.')};",
              "    default regwidth = 32;", "    default accesswidth = 32;", ""]
    for view in views:
        lines += [f"    {line}" if line else "" for line in _register(view)]
    return "\n".join([*lines, "};", ""])


def _enumeration(view):
    for field in view.fields:
        if field.values:
            yield f"enum {_enumeration_name(view)} {{"
            for name, number, doc in field.values:
                yield f"    {name} = {field.bits}'d{number}{f' {{ desc = {_text(doc)}; }}' if doc else ''};"
            yield "};"


def _enumeration_name(view):
    return f"{view.register.name.lower()}_values"


def _register(view):
    register = view.register
    *outer, inner = view.dimensions or (None,)
    name = INNER[register.name] if outer else register.name
    lines = ["reg {", f"    desc = {_text(register.doc)};"]
    for field in view.fields:
        lines += [f"    {line}" for line in _field(view, field)]
    place = f"{'' if inner is None else f'[{inner.count}]'} @ 0x{0 if outer else register.offset:03x}"
    lines.append(f"}} {name}{place}{'' if inner is None else f' += 0x{inner.stride:x}'};")
    for dimension in outer:
        lines = ["regfile {", f"    desc = {_text(register.doc)};", *(f"    {line}" for line in lines),
                 f"}} {register.name}[{dimension.count}] @ 0x{register.offset:03x} += 0x{dimension.stride:x};"]
    return lines


def _field(view, field):
    software, hardware = _ACCESS[view.register.access]
    if view.register.constant:
        hardware = "hw = na;"
    yield "field {"
    yield f"    desc = {_text(field.doc)};"
    yield f"    {software} {hardware}"
    if field.values:
        yield f"    encode = {_enumeration_name(view)};"
    reset = "" if field.reset is None else f" = {field.bits}'h{field.reset:x}"
    yield f"}} {field.name}[{field.offset + field.bits - 1}:{field.offset}]{reset};"


def _text(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
