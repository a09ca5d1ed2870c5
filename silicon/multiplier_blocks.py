"""Multiplier blocks of an ECP5: fewer wires into them, and the registers around them inside."""

from collections import defaultdict

__all__ = ["settle_multipliers"]

_BLOCK, _OPERAND_BITS, _PRODUCT_BITS = "MULT18X18D", 18, 36
_ENABLES = 4
"""CE inputs of a block."""


def settle_multipliers(module):
    """Rewrite the multiplier blocks of a mapped module, so that the same values need fewer wires.

    A signed operand that is narrower than the block comes with its sign on all bits above, a wire each. It moves to the top
    of the port instead, over constant zeros, and the product moves up with it. After that, registers that only feed the
    operands of a block, or only take its product, become registers of the block, with their enable. Registers with a reset
    stay: four blocks side by side share four reset wires.

    Parameters
    ----------
    module : of Yosys' JSON netlist after ``synth_ecp5``; changed in place
    """
    cells = module["cells"]
    drivers, readers = {}, defaultdict(list)
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            for bit in bits:
                if cell["port_directions"][port] == "output":
                    drivers[bit] = name
                else:
                    readers[bit].append((name, port))
    for port in module["ports"].values():
        for bit in port["bits"]:
            readers[bit].append((None, None))

    for name in [name for name, cell in cells.items() if cell["type"] == _BLOCK]:
        block = cells[name]
        _raise_operands(block["connections"], readers)
        enables = _Enables()
        sides = {side: _operand_registers(name, side, cells, drivers, readers, enables) for side in "AB"}
        if None in sides.values():  # nextpnr knows no timing with registers at one operand only.
            sides, enables = {}, _Enables()
        product = _product_registers(block, cells, readers, enables)
        if product:
            sides["P"] = product
        if sides:
            _absorb(block, cells, sides, enables)


def _bits(connections, side, count):
    return [connections.get(f"{side}{n}", ["0"])[0] for n in range(count)]


def _raise_operands(connections, readers):
    """Move signed operands up by the copies of their sign, as far as the product has room."""
    product = _bits(connections, "P", _PRODUCT_BITS)
    room = _PRODUCT_BITS - 1 - max((n for n, bit in enumerate(product) if readers[bit]), default=0)
    moved = 0
    for side in "AB":
        operand = _bits(connections, side, _OPERAND_BITS)
        sign = operand[-1]
        copies = next(n for n, bit in enumerate([*reversed(operand), None]) if bit != sign) - 1
        step = min(copies, room - moved)
        if isinstance(sign, str) or connections[f"SIGNED{side}"] != ["1"] or not step:
            continue
        for n, bit in enumerate(["0"] * step + operand[:_OPERAND_BITS - step]):
            connections[f"{side}{n}"] = [bit]
        moved += step
    for n, bit in enumerate(product[_PRODUCT_BITS - moved:] + product[:_PRODUCT_BITS - moved]):
        connections[f"P{n}"] = [bit]


class _Enables:
    """Enables that the registers of one block use, by the input that carries each."""

    def __init__(self):
        self.wires = []

    def take(self, register):
        """The input for a register's enable, or None if the block cannot do what the register does."""
        p, c = register["parameters"], register["connections"]
        wire = {"CE": c.get("CE", ["1"])[0], "1": "1"}.get(p["CEMUX"].strip())
        plain = p["REGSET"] == "RESET" and p["CLKMUX"] == "CLK" and c["LSR"] == ["0"] and p["LSRMUX"] == "LSR"
        if not plain or wire is None:
            return None
        if wire not in self.wires:
            if len(self.wires) == _ENABLES:
                return None
            self.wires.append(wire)
        return f"CE{self.wires.index(wire)}"


def _common(registers, cells, enables):
    """The input of the enable that all `registers` share, and their clock; None if they differ."""
    uses = [(enables.take(cells[name]), cells[name]["connections"]["CLK"]) for name in registers]
    return uses[0] if uses and uses[0][0] is not None and all(use == uses[0] for use in uses) else None


def _operand_registers(name, side, cells, drivers, readers, enables):
    """(registers, (enable, clock)) of an operand that nothing else reads, or None."""
    bits = [bit for bit in _bits(cells[name]["connections"], side, _OPERAND_BITS) if bit not in ("0", "x")]
    sources = {drivers.get(bit) for bit in bits}
    mine = all(reader == name and port[0] == side for bit in bits for reader, port in readers[bit])
    if not mine or any(cells.get(source, {}).get("type") != "TRELLIS_FF" for source in sources):
        return None
    use = _common(sources, cells, enables)
    return use and (sources, use)


def _product_registers(block, cells, readers, enables):
    """(registers, (enable, clock)) that alone take the product, or None."""
    takers = [readers[bit] for bit in _bits(block["connections"], "P", _PRODUCT_BITS) if readers[bit]]
    if any(len(reads) > 1 or reads[0][1] != "DI" for reads in takers):
        return None
    registers = {name for (name, _), in takers}
    if not registers <= cells.keys():  # Those before the operands of another block, which has them.
        return None
    use = _common(registers, cells, enables)
    return use and (registers, use)


def _absorb(block, cells, sides, enables):
    connections, names = block["connections"], {"A": "INPUTA", "B": "INPUTB", "P": "OUTPUT"}
    for side, (registers, (enable, clock)) in sides.items():
        near, far = ("Q", "DI") if side in "AB" else ("DI", "Q")
        ends = {cells[name]["connections"][near][0]: cells[name]["connections"][far] for name in registers}
        for n in range(_OPERAND_BITS if side in "AB" else _PRODUCT_BITS):
            port = f"{side}{n}"
            if port in connections:
                connections[port] = ends.get(connections[port][0], connections[port])
        for register in registers:
            del cells[register]
        block["parameters"] |= {f"REG_{names[side]}_CLK": "CLK0",
                                f"REG_{names[side]}_CE": enable, f"REG_{names[side]}_RST": "RST0"}
        connections |= {"CLK0": clock, "RST0": ["0"], enable: [enables.wires[int(enable[2:])]]}
    block["port_directions"] |= {port: "input" for port in connections if port not in block["port_directions"]}
    block["parameters"] |= {"GSR": "DISABLED", "RESETMODE": "SYNC"}
