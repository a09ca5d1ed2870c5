"""DynaTran's threshold calculator: tau for every curve, from the wanted sparsity, at the start of a run."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..spec.registers import KNOTS

__all__ = ["ThresholdCalculator", "lookup_ports", "lookups"]

_ENGINES = ("matrix", "vector")


def lookup_ports(width, clusters):
    """Ports for looking thresholds up, ``curve`` and ``tau`` of each engine; of each cluster, if there are several."""
    return {f"{engine}_{name}": port if clusters == 1 else port.array(clusters) for engine in _ENGINES
            for name, port in (("curve", In(6)), ("tau", Out(width - 1)))}


def lookups(owner, clusters):
    """(curve, tau) of every look-up of a component with `lookup_ports`."""
    for engine in _ENGINES:
        curve, tau = getattr(owner, f"{engine}_curve"), getattr(owner, f"{engine}_tau")
        yield from [(curve, tau)] if clusters == 1 else zip(curve, tau, strict=True)


class ThresholdCalculator(wiring.Component):
    """Linear interpolation between the knots of each curve; the golden function is `sw.golden.threshold.threshold`.

    After `start`, curve c's ``tau[c] = k[n] + ((k[n+1] - k[n]) * (target & 31) >> 5)`` (rounded down) with
    ``n = target >> 5``; from 256 on, ``k[8]``. Two cycles per curve; `done` pulses ``2 * curves + latency`` cycles
    after `start`. A `start` before that begins again. The knots are a memory that no reset clears; `erase` zeroes them in
    ``9 * curves`` cycles, and the thresholds with them, and drops what is written meanwhile.

    Parameters
    ----------
    curves : 4, 8, 16 or 32
    width : bits of a value, W; knots and thresholds are unsigned and have W - 1
    clusters : look-ups of each engine

    Members
    -------
    target : In(9), wanted sparsity in 1/256, stable while calculating
    start : In(1), done : Out(1), pulses
    erase : In(1), erased : Out(1), pulses
    curve, knot : In, address of the register window; write, write_data : In; read_data : Out(W - 1) a cycle later
    tau : Out(W - 1).array(curves)
    matrix_curve, vector_curve : In(6); matrix_tau, vector_tau : Out(W - 1), combinational: 0 for curve 0, else
        ``tau[curve - 1]``; with several clusters they are arrays
    """

    latency = 5

    def __init__(self, *, curves, width, clusters=1):
        if curves not in (4, 8, 16, 32):
            raise ValueError(f"curves = {curves}: choose 4, 8, 16 or 32")
        self._curves, self._bits, self._clusters = curves, width - 1, clusters
        super().__init__({
            "target": In(9),
            "start": In(1),
            "done": Out(1),
            "erase": In(1),
            "erased": Out(1),
            "curve": In(range(curves)),
            "knot": In(range(KNOTS)),
            "write": In(1),
            "write_data": In(self._bits),
            "read_data": Out(self._bits),
            "tau": Out(self._bits).array(curves),
            **lookup_ports(width, clusters),
        })

    def elaborate(self, platform):
        m = Module()
        bits, curves = self._bits, self._curves
        m.submodules.knots = knots = Memory(shape=bits, depth=KNOTS * curves, init=[])
        write, window, fetch = knots.write_port(), knots.read_port(), knots.read_port()
        erasing, erased = Signal(), Signal.like(write.addr)
        m.d.comb += [
            write.addr.eq(Mux(erasing, erased, Cat(self.curve, self.knot))),
            write.data.eq(Mux(erasing, 0, self.write_data)),
            write.en.eq(self.write | erasing),
            window.addr.eq(Cat(self.curve, self.knot)), self.read_data.eq(window.data),
        ]

        m.d.sync += self.erased.eq(0)
        with m.If(erasing):
            m.d.sync += erased.eq(erased + 1)
            with m.If(erased == KNOTS * curves - 1):
                m.d.sync += [erasing.eq(0), self.erased.eq(1)]
        with m.If(self.erase):
            m.d.sync += [erasing.eq(1), erased.eq(0)]

        # Fetch the knot below the target, then the one above, of curve after curve.
        segment, step, fetching = Signal(range(KNOTS)), Signal(range(2 * curves)), Signal()
        m.d.comb += [
            segment.eq(Mux(self.target[8], KNOTS - 1, self.target[5:8])),
            fetch.addr.eq(Cat(step[1:], Mux(step[0] & (segment != KNOTS - 1), segment + 1, segment))),
        ]
        m.d.sync += step.eq(step + 1)
        with m.If(step == 2 * curves - 1):
            m.d.sync += fetching.eq(0)
        with m.If(self.start):
            m.d.sync += [step.eq(0), fetching.eq(1)]

        # Data of step s arrives at stage 1; the difference is complete at stage 2, tau at stage 4.
        stages = [(fetching, step)]
        for n in range(1, 5):
            valid, index = Signal(name=f"valid_{n}"), Signal.like(step, name=f"step_{n}", reset_less=True)
            m.d.sync += [valid.eq(stages[-1][0] & ~self.start), index.eq(stages[-1][1])]
            stages.append((valid, index))
        low, low_2, low_3 = (Signal(bits, name=f"low_{n}", reset_less=True) for n in (1, 2, 3))
        difference = Signal(signed(bits + 1), reset_less=True)
        product = Signal(signed(bits + 6), reset_less=True)
        with m.If(~stages[1][1][0]):
            m.d.sync += low.eq(fetch.data)
        m.d.sync += [
            difference.eq(fetch.data - low), low_2.eq(low),
            product.eq(difference * Mux(self.target[8], 0, self.target[:5])), low_3.eq(low_2),
        ]
        valid, index = stages[3]
        for c in range(curves):
            with m.If(valid & (index == 2 * c + 1)):
                m.d.sync += self.tau[c].eq(low_3 + (product >> 5))
            with m.If(erasing):  # Longer than what is still being calculated takes.
                m.d.sync += self.tau[c].eq(0)
        m.d.sync += self.done.eq(stages[4][0] & (stages[4][1] == 2 * curves - 1) & ~self.start)

        for asked, answer in lookups(self, self._clusters):
            with m.Switch(asked):
                for c in range(curves):
                    with m.Case(c + 1):
                        m.d.comb += answer.eq(self.tau[c])
        return m
