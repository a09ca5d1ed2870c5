"""The register map as CMSIS-SVD, for debuggers and for generators of drivers."""

from xml.etree.ElementTree import Element, SubElement

from ..spec.registers import ADDRESS_BITS
from ..spec.version import version_text
from .register_view import INNER, register_views
from .xml_text import to_text

__all__ = ["to_svd"]

_ACCESS = {"ro": "read-only", "rw": "read-write", "wo": "write-only", "w1c": "read-write", "w1s": "read-write"}
_WRITES = {"w1c": "oneToClear", "w1s": "oneToSet"}
_SCHEMA = {"schemaVersion": "1.3", "xmlns:xs": "http://www.w3.org/2001/XMLSchema-instance",
           "xs:noNamespaceSchemaLocation": "CMSIS-SVD.xsd"}


def to_svd(config):
    """The text of a device with one peripheral, at address 0: the base is the choice of the system.

    Parameters
    ----------
    config : AcceleratorConfig
    """
    device = Element("device", _SCHEMA)
    _add(device, vendor="AccelTran", name=f"acceltran_{config.name}", version=version_text(),
         description=f"AccelTran, configuration {config.name}, as a device of its own", addressUnitBits=8, width=32)
    peripheral = SubElement(SubElement(device, "peripherals"), "peripheral")
    _add(peripheral, name="ACCELTRAN", version=version_text(),
         description="Accelerator for transformer encoders. Add the base address of the system to all offsets",
         baseAddress="0x0")
    _add(SubElement(peripheral, "addressBlock"), offset="0x0", size=hex(1 << ADDRESS_BITS), usage="registers")
    registers = SubElement(peripheral, "registers")
    for view in register_views(config):
        _register(registers, view)
    return to_text(device, f"Registers of the AccelTran configuration {config.name}, generated: do not edit.")


def _register(parent, view):
    register, name, offset = view.register, view.register.name, view.register.offset
    *outer, inner = view.dimensions or (None,)
    for dimension in outer:
        parent = SubElement(parent, "cluster")
        _dimension(parent, dimension)
        _add(parent, name=f"{name}[%s]", description=register.doc, addressOffset=f"0x{offset:03x}")
        name, offset = INNER[register.name], 0
    element = SubElement(parent, "register")
    if inner is not None:
        _dimension(element, inner)
        name += "[%s]"
    _add(element, name=name, description=register.doc, addressOffset=f"0x{offset:03x}", size=32,
         access=_ACCESS[register.access], resetValue=f"0x{view.reset or 0:x}",
         resetMask="0x0" if view.reset is None else "0xffffffff")
    if register.access in _WRITES:
        _add(element, modifiedWriteValues=_WRITES[register.access])
    fields = SubElement(element, "fields")
    for field in view.fields:
        entry = SubElement(fields, "field")
        _add(entry, name=field.name, description=field.doc, bitOffset=field.offset, bitWidth=field.bits,
             access=_ACCESS[register.access])
        if field.values:
            values = SubElement(entry, "enumeratedValues")
            for value, number, doc in field.values:
                _add(SubElement(values, "enumeratedValue"), name=value, description=doc or value.lower(), value=number)


def _dimension(element, dimension):
    _add(element, dim=dimension.count, dimIncrement=f"0x{dimension.stride:x}")


def _add(parent, **values):
    for name, value in values.items():
        SubElement(parent, name).text = str(value)
