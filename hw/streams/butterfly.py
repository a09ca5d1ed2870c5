"""An inverse butterfly network: values that lie together spread over marked positions, in order."""

from amaranth.hdl import Cat, Const, Mux, Signal

__all__ = ["prefix_counts", "crossings", "spread"]


def prefix_counts(bits, width):
    """Ones below each position, modulo ``2**width``, by halves; also the total."""
    if len(bits) == 1:
        return [Const(0, 1)], bits[0]
    low, below = prefix_counts(bits[: len(bits) // 2], width)
    high, above = prefix_counts(bits[len(bits) // 2:], width)
    return low + [(n + below)[:width] for n in high], (above + below)[:width]


def crossings(m, wanted, present):
    """Whether each pair of each stage is exchanged, ``[{lower position: signal}, ...]`` by bit of the position.

    Position n takes the value at address ``wanted[n]`` where ``present[n]``. The network is set backwards from the
    positions: routing addresses that are consecutive (in cyclic order), least significant bit first, never collides (Lee
    et al., parallel deposit).
    """
    claims = [Cat(address, valid) for address, valid in zip(wanted, present, strict=True)]
    stages = []
    for level in range(len(wanted[0])):
        stages.append({})
        for low in range(len(claims)):
            high = low | 1 << level
            if low == high:
                continue
            cross = Signal(name=f"cross_{level}_{low}")
            m.d.comb += cross.eq(claims[low][-1] & claims[low][0] | claims[high][-1] & ~claims[high][0])
            stages[level][low] = cross
            claims[low], claims[high] = _exchange(m, cross, claims[low][1:], claims[high][1:], f"claim_{level}_{low}")
    return stages


def spread(m, values, stages):
    """The values at the positions that want them; others are undefined."""
    values = list(values)
    for level in reversed(range(len(stages))):
        for low, cross in stages[level].items():
            high = low | 1 << level
            values[low], values[high] = _exchange(m, cross, values[low], values[high], f"at_{level}_{low}")
    return values


def _exchange(m, cross, low, high, name):
    lower, upper = Signal(len(low), name=f"{name}_l"), Signal(len(low), name=f"{name}_h")
    m.d.comb += [lower.eq(Mux(cross, high, low)), upper.eq(Mux(cross, low, high))]
    return lower, upper
