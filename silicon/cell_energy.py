"""What the cells of a library take, from its power tables."""

import re
from dataclasses import dataclass

import numpy as np

from .errors import SynthesisError
from .liberty import groups

__all__ = ["CellEnergy", "cell_energies"]

_NUMBER = r"\s*:\s*\"?([-+\d.eE]+)"
_CAPACITANCE = re.compile(rf"\bcapacitance{_NUMBER}")
_LEAKAGE = re.compile(rf"\bcell_leakage_power{_NUMBER}")
_VALUE = re.compile(rf"\bvalue{_NUMBER}")
_LEAKAGE_UNIT = re.compile(r"leakage_power_unit\s*:\s*\"?([\d.]+)(m|u|n|p)W", re.IGNORECASE)
_VOLTAGE = re.compile(r"\boperating_conditions\s*\([^)]*\)\s*\{[^}]*?\bvoltage" + _NUMBER)
_LIST = re.compile(r"\b(index_1|index_2|values)\s*\(([^)]*)\)")
_VARIABLE = re.compile(r"\b(variable_[12])\s*:\s*\"?(\w+)")
_SLEW = "input_transition_time"
_UNITS = {"m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}


@dataclass(frozen=True)
class CellEnergy:
    """Of one cell.

    Members
    -------
    inputs : {pin: (farads, joules inside the cell per toggle of the pin alone)}
    outputs : {pin: (loads in farads, joules inside the cell per toggle at these)}, the mean over rise and fall, inputs and
        conditions, at the middle input slope of the table
    clock : name of the clock pin of a flip-flop, or None
    leakage : watts
    """

    inputs: dict
    outputs: dict
    clock: str | None
    leakage: float


def cell_energies(library):
    """(supply in volts, {cell: CellEnergy}) of a `Library` that was read with its power tables.

    Raises
    ------
    SynthesisError : there is no supply voltage
    """
    text = library.text
    conditions = _VOLTAGE.search(text)
    if not conditions:
        raise SynthesisError(f"{library.name}: has no operating_conditions with a voltage, which power needs")
    unit = _LEAKAGE_UNIT.search(text)
    watts = float(unit[1]) * _UNITS[unit[2].lower()] if unit else 1e-9
    farads = 1e-15 * library.load_ff
    templates, cells = {}, {}
    for kind, name, start, end in groups(text, text.index("{") + 1):
        body = text[start:end]
        if kind == "power_lut_template":
            templates[name] = dict(_VARIABLE.findall(body)), _lists(body)
        elif kind == "cell":
            cells[name] = _cell(body, templates, farads, watts)
    return float(conditions[1]), cells


def _inside(body):
    """(group, label, text) of the groups directly inside `body`, a group with its head."""
    return ((kind, label, body[start:end]) for kind, label, start, end in groups(body, body.index("{") + 1))


def _lists(body):
    return {name: [float(number) for number in re.findall(r"[-+\d.eE]+", values)] for name, values in _LIST.findall(body)}


def _cell(body, templates, farads, watts):
    inputs, outputs, clock = {}, {}, None
    leakages = [float(_VALUE.search(text)[1]) for kind, _, text in _inside(body) if kind == "leakage_power"]
    total = _LEAKAGE.search(body)
    leakage = float(total[1]) if total else sum(leakages) / len(leakages) if leakages else 0.0
    for kind, pin, text in _inside(body):
        if kind != "pin":
            continue
        tables = [
            _table(label, table, templates)
            for power, _, entry in _inside(text) if power == "internal_power"
            for edge, label, table in _inside(entry) if edge in ("rise_power", "fall_power", "power")
        ]
        loads = max((table[0] for table in tables), key=len, default=(0.0,))
        energy = sum(np.interp(loads, *table) for table in tables) / len(tables) if tables else np.zeros(len(loads))
        if re.search(r"\bdirection\s*:\s*\"?output", text):
            outputs[pin] = np.array(loads) * farads, energy * farads
        else:
            found = _CAPACITANCE.search(text)
            inputs[pin] = farads * float(found[1]) if found else 0.0, float(energy[0]) * farads
            if re.search(r"\bclock\s*:\s*\"?true", text):
                clock = pin
    if clock is None and re.search(r"\bff\s*\(", body):
        clock = re.search(r"\bclocked_on\s*:\s*\"?\s*\(?(\w+)", body)[1]
    return CellEnergy(inputs, outputs, clock, leakage * watts)


def _table(label, body, templates):
    """(loads, energies) of a table at the middle slope; one load if it has no such index. Energies are loads times V^2."""
    variables, defaults = templates.get(label, ({"variable_1": _SLEW}, {}))
    lists = {**defaults, **_lists(body)}
    axes = [(variables.get(f"variable_{n}"), lists[f"index_{n}"]) for n in (1, 2) if f"index_{n}" in lists]
    values = np.array(lists["values"])
    values = values.reshape([len(axis) for _, axis in axes]) if values.size > 1 else values.reshape([1] * len(axes))
    loads = (0.0,)
    for n, (variable, axis) in reversed(list(enumerate(axes))):
        if variable == _SLEW or len(axis) == 1:
            values = values.take(min(len(axis) // 2, values.shape[n] - 1), axis=n)
        else:
            loads = axis
    values = np.atleast_1d(values)
    return loads, np.broadcast_to(values, (len(loads),))
