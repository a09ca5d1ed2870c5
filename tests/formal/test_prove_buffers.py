"""Buffers and their readers: what was written is read, by who asked for it, in order, and nobody waits beyond a bound."""

import pytest
from amaranth.hdl import Array, Cat, Mux, Signal

from acceltran.hw import layout
from acceltran.hw.buffer import vector_buffer
from acceltran.hw.streams import round_robin
from support.contracts import Contract, prove, refute
from support.mutation import mutated, with_names

ADDRESS_BITS = 2
"""Of a line of the vector buffer."""


def moved(stream):
    return stream.valid & stream.ready


def vectors(module, readers, *, less=0):
    """Each reader gets the lines that it asks for, in order, each within a bound once it is first in its queue.

    One line of two values is followed, at any address; it is not written any more once a reader has asked for it.
    """
    short = with_names(module, LINE_ADDRESS_BITS=ADDRESS_BITS,
                       vector_write=with_names(layout, LINE_ADDRESS_BITS=ADDRESS_BITS).vector_write)
    component = short.VectorBuffer(tile=1, width=2, lines=1 << ADDRESS_BITS, readers=readers)
    c, write = Contract(component), component.write
    address, line = c.fixed(ADDRESS_BITS, "address"), Signal(2, reset_less=True)
    chosen, reader = c.free(1, "chosen"), c.fixed(range(readers), "reader")
    asked, known = Signal(), Signal(reset_less=True)
    writes = write.valid & (write.p.address == address)
    c.assume((reader < readers) & ~(writes & asked) & (known | ~chosen))
    with c.m.If(writes):
        c.m.d.sync += [line.eq(write.p.line), known.eq(1)]
    c.promise("write", write.ready)
    for n, (request, o) in enumerate(zip(component.request, component.o, strict=True)):
        held, ahead, followed = Signal(3, name=f"held_{n}"), Signal(3, name=f"ahead_{n}"), Signal(name=f"followed_{n}")
        begins = moved(request) & chosen & ~asked & (request.p == address) & (reader == n)
        leaves = followed & moved(o) & (ahead == 0)
        c.m.d.sync += held.eq(held + moved(request) - moved(o))
        with c.m.If(begins):
            c.m.d.sync += [asked.eq(1), followed.eq(1), ahead.eq(held - moved(o))]
        with c.m.Elif(followed):
            c.m.d.sync += [ahead.eq(ahead - moved(o)), followed.eq(~leaves)]
        c.still(o, "still")
        c.promise("held", (held <= 5) & (~o.valid | (held != 0)))
        c.promise("order", ~leaves | (o.p.as_value() == line))
        c.promise("room", request.ready | (held >= 2))
        c.at_most((held != 0) & ~o.valid, readers + 1 - less, "soon")
    return c


@pytest.mark.parametrize("readers", [1, 2, 3])
def test_vector_buffer(readers):
    prove(vectors(vector_buffer, readers))
