"""Programs as text."""

from ...hw.spec.isa import HEADER, INSTRUCTION_BYTES, INSTRUCTIONS, Engine, Opcode, decode

__all__ = ["disassemble"]

_ENGINES = {instruction.opcode: instruction.engine for instruction in INSTRUCTIONS}
_HEADER = {field.name for field in HEADER} - {"clusters"}


def disassemble(raw):
    """One line per instruction: number, engine, opcode, waits, signals, fields that are not zero, clusters among them.

    Parameters
    ----------
    raw : bytes of a program, whole instructions

    Returns
    -------
    str

    Raises
    ------
    ValueError : for an unknown opcode or a length that is no whole number of instructions
    """
    words = [bytes(raw[n: n + INSTRUCTION_BYTES]) for n in range(0, len(raw), INSTRUCTION_BYTES)]
    digits = len(str(len(words)))
    return "\n".join(f"{number:{digits}} {_line(*decode(word))}" for number, word in enumerate(words))


def _line(opcode, fields):
    engine = Engine(fields["engine"]) if opcode is Opcode.SYNC else _ENGINES[opcode]
    waits = "".join(f" wait {e.name.lower()}" + (f" x{count}" if count > 1 else "")
                    for e in Engine if (count := fields[f"wait_{e.name.lower()}"]))
    signals = "".join(f" signal {e.name.lower()}" for e in Engine if fields["signal"] >> e & 1)
    body = " ".join(f"{name}={value}" for name, value in fields.items() if name not in _HEADER and value)
    name = engine.name.lower() if engine is not None else "-"
    return f"{name:6} {opcode.name:9}{f' [{(waits + signals).strip()}]' if waits or signals else ''} {body}".rstrip()
