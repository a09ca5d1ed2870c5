"""The AXI monitor at the port of a simulated accelerator, and what it saw."""

from pathlib import Path

from acceltran.sim import design

__all__ = ["monitor_plusargs", "monitor_sources", "monitored"]

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
    bind.write_text(f"bind accelerator acceltran_axi_monitor #({listed}) axi_monitor(.*);\n")
    return [_MONITOR, bind]


def monitor_plusargs(*, read, write, prot, cache):
    """What may be reached, as (first, last) bytes, and the attributes."""
    return [f"+read_first={read[0]:x}", f"+read_last={read[1]:x}", f"+write_first={write[0]:x}", f"+write_last={write[1]:x}",
            f"+prot={prot:x}", f"+cache={cache:x}"]


def monitored(folder):
    """(lines of violations, counts by name) of a simulation."""
    *violations, end = (folder / "axi.log").read_text().splitlines()
    counts = {name: int(value) for name, value in (pair.split("=") for pair in end.removeprefix("end ").split())}
    assert counts.pop("violations") == len(violations)
    return violations, counts
