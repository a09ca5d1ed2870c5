"""The component in IP-XACT (IEEE 1685-2014), for tools that put systems together: interfaces, registers, ports, files."""

from xml.etree.ElementTree import Element, SubElement, register_namespace

from ..spec.registers import ADDRESS_BITS
from ..spec.version import version_text
from .ports import CLOCK, INTERRUPT, MANAGER, RESET, SUBORDINATE, ports, readers
from .register_view import INNER, register_views
from .wrapper import TOP
from .xml_text import to_text

__all__ = ["to_ip_xact"]

_NAMESPACE = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"
_VENDOR, _LIBRARY = "acceltran", "accelerators"
_AMBA = {"vendor": "amba.com", "library": "AMBA4", "version": "r0p0_0"}
_SIGNAL = {"vendor": "xilinx.com", "library": "signal", "version": "1.0"}
_MEMORY, _REGISTERS = "main_memory", "registers"
_BYTE = 8
_LARGEST = 2**64 - 1
"""A range is a number of 64 bits: of 64-bit addresses the last byte cannot be counted."""

_ACCESS = {"ro": "read-only", "rw": "read-write", "wo": "write-only", "w1c": "read-write", "w1s": "read-write"}
_WRITES = {"w1c": "oneToClear", "w1s": "oneToSet"}


def to_ip_xact(config, file_sets, *, observe=False):
    """The text of the component description.

    Parameters
    ----------
    config : AcceleratorConfig
    file_sets : {name: names of files}, of which ``rtl`` is what implements it
    observe : with the ports for observation
    """
    register_namespace("ipxact", _NAMESPACE)
    all_ports = [port for port in ports(config) if observe or not port.observation]
    component = Element(_tag("component"))
    _add(component, vendor=_VENDOR, library=_LIBRARY, name=f"{TOP}_{config.name}", version=version_text())
    _interfaces(_child(component, "busInterfaces"), all_ports, readers(config))
    space = _child(_child(component, "addressSpaces"), "addressSpace")
    _add(space, name=_MEMORY, description="Main memory: programs, weights, tables and results",
         range=min(1 << config.address_bits, _LARGEST), width=config.bus_width, addressUnitBits=_BYTE)
    _memory_map(_child(_child(component, "memoryMaps"), "memoryMap"), config)
    _model(_child(component, "model"), all_ports)
    sets = _child(component, "fileSets")
    for name, files in file_sets.items():
        entry = _child(sets, "fileSet")
        _add(entry, name=name)
        for file in files:
            _add(_child(entry, "file"), name=file, fileType="verilogSource" if file.endswith(".v") else "user")
    _add(component, description=f"AccelTran, an accelerator for transformer encoders, configuration {config.name}")
    return to_text(component, "Component description of an AccelTran, generated: do not edit.")


def _interfaces(parent, all_ports, readers):
    def interface(name, kind, maps, mode, reference=None, description=""):
        element = _child(parent, "busInterface")
        _add(element, name=name, description=description)
        library, bus = kind
        _child(element, "busType", **library, name=bus)
        abstraction = _child(_child(element, "abstractionTypes"), "abstractionType")
        _child(abstraction, "abstractionRef", **library, name=f"{bus}_rtl")
        port_maps = _child(abstraction, "portMaps")
        for logical, physical in maps:
            entry = _child(port_maps, "portMap")
            _add(_child(entry, "logicalPort"), name=logical)
            _add(_child(entry, "physicalPort"), name=physical)
        role = _child(element, mode)
        if reference:
            _child(role, f"{reference[0]}Ref", **{f"{reference[0]}Ref": reference[1]})

    def signals(name):
        return [(port.signal.upper(), port.name) for port in all_ports if port.interface == name]

    interface(MANAGER, (_AMBA, "AXI4"), signals(MANAGER), "master", ("addressSpace", _MEMORY),
              "AXI4 manager to main memory")
    for reader in readers:
        interface(reader, (_AMBA, "AXI4"), signals(reader), "master", ("addressSpace", _MEMORY),
                  "AXI4 manager to main memory without write channels, weights")
    interface(SUBORDINATE, (_AMBA, "AXI4-Lite"), signals(SUBORDINATE), "slave", ("memoryMap", _REGISTERS),
              "AXI4-Lite subordinate, registers")
    interface(INTERRUPT, (_SIGNAL, "interrupt"), [("INTERRUPT", INTERRUPT)], "master", description="Level, active high")
    interface(CLOCK, (_SIGNAL, "clock"), [("CLK", CLOCK)], "slave", description="Clock of all ports")
    interface(RESET, (_SIGNAL, "reset"), [("RST", RESET)], "slave", description=f"Active low, synchronous to {CLOCK}")


def _memory_map(element, config):
    _add(element, name=_REGISTERS, description="Words that are not listed are answered SLVERR")
    block = _child(element, "addressBlock")
    _add(block, name=TOP, baseAddress=0, range=1 << ADDRESS_BITS, width=32, usage="register")
    for view in register_views(config):
        _register(block, view)
    _add(element, addressUnitBits=_BYTE)


def _register(parent, view):
    register, name, offset = view.register, view.register.name, view.register.offset
    *outer, inner = view.dimensions or (None,)
    for dimension in outer:
        parent = _child(parent, "registerFile")
        _add(parent, name=name, description=register.doc, dim=dimension.count, addressOffset=_hex(offset),
             range=_hex(dimension.stride))
        name, offset = INNER[register.name], 0
    element = _child(parent, "register")
    _add(element, name=name, description=register.doc)
    if inner is not None:
        _add(element, dim=inner.count)
    _add(element, addressOffset=_hex(offset), size=32, volatile=_boolean(view.volatile), access=_ACCESS[register.access])
    for field in view.fields:
        _field(_child(element, "field"), view, field)


def _field(element, view, field):
    _add(element, name=field.name, description=field.doc, bitOffset=field.offset)
    if field.reset is not None:
        _add(_child(_child(element, "resets"), "reset"), value=_hex(field.reset))
    _add(element, bitWidth=field.bits, volatile=_boolean(view.volatile), access=_ACCESS[view.register.access])
    if field.values:
        values = _child(element, "enumeratedValues")
        for name, number, doc in field.values:
            entry = _child(values, "enumeratedValue")
            _add(entry, name=name, **{"description": doc} if doc else {}, value=number)
    if view.register.access in _WRITES:
        _add(element, modifiedWriteValue=_WRITES[view.register.access])


def _model(element, all_ports):
    _add(_child(_child(element, "views"), "view"), name="rtl", componentInstantiationRef="rtl")
    instantiation = _child(_child(element, "instantiations"), "componentInstantiation")
    _add(instantiation, name="rtl", language="verilog", moduleName=TOP)
    _add(_child(instantiation, "fileSetRef"), localName="rtl")
    listed = _child(element, "ports")
    for name, direction, bits in (*((name, "in", 1) for name in (CLOCK, RESET)),
                                  *((port.name, "in" if port.driven else "out", port.bits) for port in all_ports)):
        port = _child(listed, "port")
        _add(port, name=name)
        wire = _child(port, "wire")
        _add(wire, direction=direction)
        if bits > 1:
            _add(_child(_child(wire, "vectors"), "vector"), left=bits - 1, right=0)


def _tag(name):
    return f"{{{_NAMESPACE}}}{name}"


def _child(parent, tag, /, **attributes):
    return SubElement(parent, _tag(tag), attributes)


def _add(parent, **values):
    for name, value in values.items():
        _child(parent, name).text = str(value)


def _hex(value):
    return f"'h{value:x}"


def _boolean(value):
    return "true" if value else "false"
