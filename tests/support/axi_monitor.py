"""The AXI monitor at every port of a simulated accelerator, and what it saw."""

from pathlib import Path

from acceltran.sim import design

__all__ = ["check_monitored", "monitor_plusargs", "monitor_sources", "monitored"]

_READ = ("arid", "araddr", "arlen", "arsize", "arburst", "arcache", "arprot", "arvalid", "arready", "rid", "rlast", "rvalid",
         "rready")
_UNUSED = ("awid", "awaddr", "awlen", "awsize", "awburst", "awcache", "awprot", "awvalid", "awready", "wdata", "wstrb", "wlast",
           "wvalid", "wready", "bid", "bvalid")
_FURTHER = """bind accelerator acceltran_axi_monitor #({listed}, .LOG("axi_{number}.log")) axi_monitor_{number}(
    .clk(clk), .rst(rst), {read}, {unused}, .m_axi__bready(1'b1));
"""
"""A memory port beside the first, which only reads."""

_MONITOR = Path(design.__file__).parent / "verilog" / "acceltran_axi_monitor.v"


def monitor_sources(config, folder):
    """Verilog files for `build_system`, with the bounds that docs/integration.md promises."""
    parameters = {
        "DATA": config.bus_width, "ADDRESS": config.address_bits, "BEATS": config.burst_beats,
        "READS": config.outstanding_reads, "WRITES": config.outstanding_reads,
        "FETCHES": 4 * max(1, 512 // config.bus_width // config.burst_beats),
    }
    bind = folder / "bind_monitor.v"
    listed = ", ".join(f".{name}({value})" for name, value in parameters.items())
    further = [_FURTHER.format(listed=listed, number=number, read=_connections(number, _READ, "m_axi_{number}__{name}"),
                               unused=_connections(number, _UNUSED, "'0")) for number in range(1, config.memory_ports)]
    bind.write_text(f"bind accelerator acceltran_axi_monitor #({listed}) axi_monitor(.*);\n" + "".join(further))
    return [_MONITOR, bind]


def _connections(number, names, value):
    return ", ".join(f".m_axi__{name}({value.format(number=number, name=name)})" for name in names)


def monitor_plusargs(*, read, write, prot, cache):
    """What may be reached, as (first, last) bytes, and the attributes."""
    return [f"+read_first={read[0]:x}", f"+read_last={read[1]:x}", f"+write_first={write[0]:x}", f"+write_last={write[1]:x}",
            f"+prot={prot:x}", f"+cache={cache:x}"]


def monitored(folder):
    """(lines of violations at all ports, counts by name at the first) of a simulation."""
    violations, counts = _log(folder / "axi.log")
    for path in sorted(folder.glob("axi_*.log")):
        violations += [f"{path.stem}: {line}" for line in _log(path)[0]]
    return violations, counts


def check_monitored(folder, ports):
    """That no rule was broken at any of so many ports; returns the bursts that were read through each."""
    reads = []
    for path in (folder / "axi.log", *(folder / f"axi_{number}.log" for number in range(1, ports))):
        violations, counts = _log(path)
        assert not violations, (path.name, violations[:5])
        assert counts["cycles"] > 0, path.name
        reads.append(counts["reads"])
    return reads


def _log(path):
    *violations, end = path.read_text().splitlines()
    counts = {name: int(value) for name, value in (pair.split("=") for pair in end.removeprefix("end ").split())}
    assert counts.pop("violations") == len(violations)
    return violations, counts
