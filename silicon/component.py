"""Area of one component on its own."""

from amaranth.back import rtlil

from .area import measure
from .liberty import GATE_EQUIVALENTS, read_library
from .mapper import map_modules
from .modules import merge_modules

__all__ = ["component_gate_equivalents"]


def component_gate_equivalents(component, name):
    """NAND2 equivalents of an Amaranth component without instances of modules from elsewhere.

    Raises
    ------
    SynthesisError : Yosys failed
    """
    library = read_library([GATE_EQUIVALENTS])
    modules = merge_modules(rtlil.convert(component, name=name, emit_src=False), name, None)
    measured = measure(modules, map_modules(modules, library), library)
    return measured[next(reversed(measured))].area / library.nand2
