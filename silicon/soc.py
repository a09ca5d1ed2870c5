"""What the system on chip of `sim.soc` takes of an ECP5, by Yosys."""

import json
import re
from collections import Counter

from ..hw.buffer.sram import SRAM_VERILOG
from ..hw.streams.crossbar import CROSSBAR_VERILOG
from ..sim.soc import soc_sources, soc_verilog
from ..sw.compiler.image import to_hex
from .fpga import synthesise

__all__ = ["soc_utilisation"]

_AVAILABLE = {"TRELLIS_COMB": 83640, "TRELLIS_FF": 83640, "DP16KD": 208, "MULT18X18D": 156}
"""What an LFE5U-85F has, as nextpnr counts: a LUT of logic, of an adder or of memory is one TRELLIS_COMB."""


def soc_utilisation(config, folder, firmware, *, stage=lambda name: None):
    """Synthesise the system on chip of `sim.soc` with the accelerator of `config`; what it takes of an LFE5U-85F.

    Parameters
    ----------
    config : AcceleratorConfig
    folder : for everything that is written
    firmware : bytes, the contents of the boot memory
    stage : called with the name of each stage

    Returns
    -------
    dict : {resource: {used, available}}, before placement

    Raises
    ------
    SynthesisError : Yosys failed
    """
    folder.mkdir(parents=True, exist_ok=True)
    stage("generating")
    (folder / "soc_design.v").write_text(soc_verilog(config))
    (folder / "firmware.hex").write_text(to_hex(firmware, 4))
    source = next(path for path in soc_sources() if path.name == "soc.v").read_text()
    for name, value in (("DATA", config.bus_width), ("ADDRESS", config.address_bits)):
        source = re.sub(rf"(parameter {name} = )\d+", rf"\g<1>{value}", source)
    top = folder / "soc_top.v"
    top.write_text(source)
    sources = [top, folder / "soc_design.v", SRAM_VERILOG, CROSSBAR_VERILOG,
               *(path for path in soc_sources() if path.name != "soc.v")]
    stage("synthesis")
    synthesise(sources, "soc", folder / "soc.json")
    module = json.loads((folder / "soc.json").read_text())["modules"]["soc"]
    cells = Counter(cell["type"] for cell in module["cells"].values())
    used = {"TRELLIS_COMB": cells["LUT4"] + 2 * cells["CCU2C"] + 4 * cells["TRELLIS_DPR16X4"]}
    used |= {name: cells[name] for name in _AVAILABLE if name not in used}
    return {name: {"used": count, "available": _AVAILABLE[name]} for name, count in used.items()}
