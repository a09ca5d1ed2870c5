"""The modules of a design as RTLIL, each distinct one once."""

import hashlib
import re
from dataclasses import dataclass, field

__all__ = ["DistinctModule", "merge_modules", "split_modules"]

_DECLARED = re.compile(r"^\s*(?:wire|memory|cell|process)\b.* (\S+)$")
_PORT = re.compile(r"^\s*wire(?: width (\d+))?.* (input|output|inout) (\d+) .*?(\S+)$")
_PORT_NUMBER = re.compile(r"\b(input|output|inout) \d+")
_TOKEN = re.compile(r'(?<=\s)"?[\\$][^\s"]+"?')
_NUMBER = re.compile(r"(\$\d+|_\d+)+$")
_PARAMETER = re.compile(r"^\s*parameter (?:signed )?\\(\w+) (.*)$")


@dataclass(frozen=True)
class DistinctModule:
    """One module and all its copies.

    Members
    -------
    name : instance name of the first copy without its number, and a digest of the content
    text : RTLIL, with the children under their own distinct names
    ports : ((name, direction, bits), ...)
    instances : ((instance name, name of its distinct module), ...)
    origins : paths of the modules that are equal to this one
    """

    name: str
    text: str
    ports: tuple
    instances: tuple
    origins: list = field(default_factory=list, compare=False)

    @classmethod
    def from_json(cls, values):
        """From its fields as JSON has them."""
        return cls(**values | {key: tuple(map(tuple, values[key])) for key in ("ports", "instances")})

    @property
    def stub(self):
        """RTLIL of a black box with these ports."""
        wires = "".join(f"  wire width {bits} {direction} {n} {name}\n" for n, (name, direction, bits) in enumerate(self.ports))
        return f"attribute \\keep 1\nattribute \\blackbox 1\nmodule \\{self.name}\n{wires}end\n"


def split_modules(rtlil):
    """{module name: its lines, without attributes} of RTLIL text."""
    modules, lines = {}, None
    for line in rtlil.splitlines():
        word = line.strip()
        if line.startswith("module "):
            lines = modules[line.split()[1].removeprefix("\\")] = []
        elif line == "end":
            lines = None
        elif lines is not None and word and not word.startswith(("attribute ", "#")):
            lines.append(line)
    return modules


def merge_modules(rtlil, top, elaborate):
    """The distinct modules below `top`, children first: {name: DistinctModule}, `top` last.

    Modules are equal if their texts are, up to attributes, the names in them, and the names of equal children.

    Parameters
    ----------
    rtlil : text of all modules
    top : name of the module to start from
    elaborate : function of (module name, {parameter: value}) for instances with parameters, giving (RTLIL, its top)
    """
    return _Merge(split_modules(rtlil), elaborate).run(top)


class _Merge:
    def __init__(self, sources, elaborate):
        self._sources, self._elaborate = sources, elaborate
        self._merged = {}  # By name in the sources: the distinct module, and its port for each of this copy's.
        self._distinct, self._kept = {}, {}  # By digest: the module, and its ports by canonical name.

    def run(self, top):
        self._visit(top)
        return {module.name: module for module in self._distinct.values()}

    def _visit(self, name):
        if name in self._merged:
            return self._merged[name]
        lines, instances = self._with_children(self._sources[name])
        digest, names = _canonical(lines)
        ports = [(names[p[4]], (p[4], p[2], int(p[1] or 1))) for p in map(_PORT.match, lines) if p]
        if digest not in self._distinct:
            plain = _NUMBER.sub("", name.split(".")[-1]) or name
            own = f"{plain}_{digest[:6]}" if not re.search(r"_[0-9a-f]{6}$", plain) else f"{plain[:-7]}_{digest[:6]}"
            text = "\n".join([f"module \\{own}", *lines, "end", ""])
            self._distinct[digest] = DistinctModule(own, text, tuple(port for _, port in ports), tuple(instances))
            self._kept[digest] = {canonical: port[0] for canonical, port in ports}
        module = self._distinct[digest]
        module.origins.append(name)
        self._merged[name] = module, {port[0]: self._kept[digest][canonical] for canonical, port in ports}
        return self._merged[name]

    def _with_children(self, lines):
        """`lines` with distinct children in place, and the list of instances."""
        done, instances, ports = [], [], None
        parameters = self._parameters(lines)
        for number, line in enumerate(lines):
            words = line.split()
            if words[0] == "cell" and words[1].startswith("\\"):
                child, ports = self._visit(self._specialised(words[1][1:], parameters.get(number, {})))
                instances.append((words[2].removeprefix("\\"), child.name))
                line = f"  cell \\{child.name} {words[2]}"
            elif ports is not None and words[0] == "parameter":
                continue
            elif ports is not None and words[0] == "connect":
                line = f"    connect {ports[words[1]]} {' '.join(words[2:])}"
            elif words[0] == "end":
                ports = None
            done.append(line)
        return done, instances

    @staticmethod
    def _parameters(lines):
        """{number of the line of a cell: {parameter: value}}"""
        found, cell = {}, None
        for number, line in enumerate(lines):
            if line.lstrip().startswith("cell "):
                cell = number
            elif cell is not None and (entry := _PARAMETER.match(line)):
                found.setdefault(cell, {})[entry[1]] = entry[2]
        return found

    def _specialised(self, kind, parameters):
        """Name in the sources of module `kind` with `parameters`."""
        if kind in self._sources:
            return kind
        parameters = {name: int(value) for name, value in parameters.items() if value.isdigit()}
        name = f"{kind}_{'x'.join(str(value) for _, value in sorted(parameters.items()))}"
        if name not in self._sources:
            text, top = self._elaborate(kind, parameters)
            self._sources[name] = split_modules(text)[top]
        return name


def _canonical(lines):
    """Digest of `lines` without names, and the canonical name of each: the place where it is first used."""
    declared = {found[1] for found in map(_DECLARED.match, lines) if found}
    names = {}

    def rename(found):
        word = found[0].strip('"').replace("\\\\", "\\")
        return names.setdefault(word, f"n{len(names)}") if word in declared else found[0]

    wires, body, inside = [], [], False
    for line in lines:
        head = line.split(maxsplit=2)
        if head[0] in ("wire", "memory"):
            wires.append(line)
            continue
        if head[0] == "cell":
            inside, port, line = True, f"cell {head[1]}", ""
        else:
            inside &= head[0] != "end"
            port, line = (head[1], f" {head[2]}") if inside and head[0] == "connect" else ("", line)
        body.append(port + _TOKEN.sub(rename, line))
    wires = sorted(_PORT_NUMBER.sub(r"\1", _TOKEN.sub(rename, line)) for line in wires)
    return hashlib.sha256("\n".join(wires + body).encode()).hexdigest(), names
