"""Buffer trees in front of children."""

from collections import Counter

import pytest
from pyosys import libyosys as ys

from acceltran.silicon.fan_out import FAN_OUT, spread


def design(path, copies):
    """A module `top` with that many children, of which each reads net x twice and net y once."""
    instances = "".join(f"child c{n}(.a({{x, y, x}}), .o(o[{n}]));\n" for n in range(copies))
    text = f"""(* blackbox *) module child(input [2:0] a, output o); endmodule
    (* blackbox *) module BUF(input A, output Y); endmodule
    module top(input x, input y, output [{copies - 1}:0] o); {instances} endmodule"""
    path.write_text(text)
    found = ys.Design()
    ys.run_pass(f"read_verilog {path}", found)
    ys.run_pass("hierarchy -top top", found)
    return found


@pytest.mark.parametrize(("copies", "buffers"), [(5, 0), (6, 2), (10, 2), (11, 3 + 2), (60, 12 + 2 + 6)])
def test_many_readers_get_a_tree(tmp_path, copies, buffers):
    found = design(tmp_path / "top.v", copies)
    spread(ys, found, {"BUF"}, ("BUF", "A", "Y"))
    cells = list(found.top_module().cells_.values())
    above, loads, leaves = {}, Counter(), []

    def net(cell, port, place=0):
        bit = cell.getPort(ys.IdString(f"\\{port}")).to_sigbit_vector()[place]
        return bit.wire.name.str(), bit.offset

    for cell in cells:
        if cell.type.str() == "\\BUF":
            above[net(cell, "Y")] = net(cell, "A")
            loads[net(cell, "A")] += 1
        else:
            leaves += [(wanted, net(cell, "a", place)) for place, wanted in enumerate(("\\x", "\\y", "\\x"))]
    for wanted, at in leaves:
        loads[at] += 1
        while at in above:
            at = above[at]
        assert at == (wanted, 0)
    assert len(above) == buffers
    assert max(loads.values()) <= FAN_OUT
