"""A device-tree binding in the form of dt-schema, with a node as example."""

from ..spec.registers import ADDRESS_BITS
from .wrapper import TOP

__all__ = ["COMPATIBLE", "to_binding"]

COMPATIBLE = "acceltran,accelerator"
"""Registers say which one it is: ID, VERSION and CONFIG_IDENTITY."""


def to_binding():
    """The text of the binding, the same for every configuration."""
    size = 1 << ADDRESS_BITS
    return f"""\
# SPDX-License-Identifier: Apache-2.0
# Generated with the accelerator: do not edit.
%YAML 1.2
---
$id: http://devicetree.org/schemas/misc/{TOP}.yaml#
$schema: http://devicetree.org/meta-schemas/core.yaml#

title: AccelTran accelerator for transformer encoders

maintainers:
  - AccelTran maintainers <maintainers@acceltran.invalid>

description: |
  An accelerator that runs programs from main memory. It is controlled through
  {size} bytes of registers, reads and writes main memory as an AXI4 manager,
  and ends every program with an interrupt. Registers tell its version and
  its configuration, so that no property has to.

properties:
  compatible:
    const: {COMPATIBLE}

  reg:
    maxItems: 1

  interrupts:
    maxItems: 1

  clocks:
    maxItems: 1

  resets:
    maxItems: 1

  iommus:
    maxItems: 1

  memory-region:
    maxItems: 1
    description:
      Memory for programs, weights and results, where not all of main memory
      is meant for it.

  dma-coherent: true

required:
  - compatible
  - reg
  - interrupts
  - clocks

additionalProperties: false

examples:
  - |
    accelerator@40000000 {{
        compatible = "{COMPATIBLE}";
        reg = <0x40000000 0x{size:x}>;
        interrupts = <5>;
        clocks = <&bus_clock>;
        resets = <&bus_reset 3>;
    }};
"""
