"""The configuration as a C header, beside that of the register map, which is the same for all configurations."""

from dataclasses import fields

from ..spec.registers import REGISTERS, config_values

__all__ = ["to_config_header"]

_GUARD = "ACCELTRAN_CONFIG_H"

_TAKEN = {register.name for register in REGISTERS} | {
    f"{register.name}_{field.name.upper()}_{part}" for register in REGISTERS for field in register.fields
    for part in ("SHIFT", "MASK")}
"""Names in the header of the register map."""


def to_config_header(config):
    """Every field of the configuration as ``ACCELTRAN_CONFIG_<FIELD>``, and what its constant registers read.

    A name that the register map has already, such as that of the offset of CONFIG_MAX_INNER, gets ``_VALUE`` behind it.

    Parameters
    ----------
    config : AcceleratorConfig
    """
    constants = config_values(config)
    lines = ["/* AccelTran configuration, generated: do not edit. */", f"#ifndef {_GUARD}", f"#define {_GUARD}", ""]
    for field in fields(config):
        value = config.b_width if field.name == "weight_bits" else getattr(config, field.name)
        if isinstance(value, tuple):
            lines += [_define(f"{field.name}_{entry}", "1") for entry in value]
        else:
            lines.append(_define(field.name, f'"{value}"' if isinstance(value, str) else f"{value}u"))
    lines += [_define("width", f"{config.width}u"), _define("identity", f"0x{constants['CONFIG_IDENTITY']:08x}u"), "",
              "/* What the constant registers read. */"]
    lines += [f"#define ACCELTRAN_EXPECTED_{name} 0x{value:08x}u" for name, value in constants.items()]
    return "\n".join([*lines, "", "#endif", ""])


def _define(name, value):
    name = f"CONFIG_{name.upper()}"
    return f"#define ACCELTRAN_{name}{'_VALUE' if name in _TAKEN else ''} {value}"
