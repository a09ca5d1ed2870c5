"""A small hierarchy with equal modules."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Pair", "Step", "Top"]


class Step(wiring.Component):
    """Adds `amount`; `label` names its register."""

    def __init__(self, *, amount, label):
        self._amount, self._label = amount, label
        super().__init__({"i": In(8), "o": Out(8)})

    def elaborate(self, platform):
        m = Module()
        register = Signal(8, name=self._label)
        m.d.sync += register.eq(self.i + self._amount)
        m.d.comb += self.o.eq(register)
        return m


class Pair(wiring.Component):
    """Two steps, one after the other."""

    def __init__(self, *, amounts, label):
        self._amounts, self._label = amounts, label
        super().__init__({"i": In(8), "o": Out(8)})

    def elaborate(self, platform):
        m = Module()
        value = self.i
        for number, amount in enumerate(self._amounts):
            m.submodules[f"step_{number}"] = step = Step(amount=amount, label=f"{self._label}_{number}")
            m.d.comb += step.i.eq(value)
            value = step.o
        m.d.comb += self.o.eq(value)
        return m


class Top(wiring.Component):
    """Three pairs, of which the first two differ in names only."""

    def __init__(self):
        super().__init__({"i": In(8), "o": Out(8)})

    def elaborate(self, platform):
        m = Module()
        pairs = {"left": Pair(amounts=(3, 3), label="x"), "right": Pair(amounts=(3, 3), label="y"),
                 "other": Pair(amounts=(3, 5), label="z")}
        for name, pair in pairs.items():
            m.submodules[name] = pair
            m.d.comb += pair.i.eq(self.i)
        m.d.comb += self.o.eq(pairs["left"].o ^ pairs["right"].o ^ pairs["other"].o)
        return m
