"""The module that others instantiate: its ports are those of the signature, under names that every language takes."""

import re

import pytest
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from acceltran.hw.accelerator import accelerator_signature
from acceltran.hw.packaging.ports import ports
from acceltran.hw.packaging.wrapper import to_wrapper
from acceltran.hw.spec.config import AcceleratorConfig

CONFIGS = {"narrow": AcceleratorConfig.load("nano"), "wide": AcceleratorConfig(bus_width=512, address_bits=64)}
by_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)

VHDL = """abs access after alias all and architecture array assert attribute begin block body buffer bus case component
configuration constant disconnect downto else elsif end entity exit file for function generate generic group guarded if impure
in inertial inout is label library linkage literal loop map mod nand new next nor not null of on open or others out package port
postponed procedure process pure range record register reject rem report return rol ror select severity signal shared sla sll
sra srl subtype then to transport type unaffected units until use variable wait when while with xnor xor""".split()
"""Words that VHDL keeps to itself."""


def declared(text):
    """{port: (direction, bits)} of the wrapper, in the order of the text."""
    found = re.findall(r"^    (input|output) +wire +(?:\[(\d+):0\])? +(\w+),?$", text, re.M)
    assert len(found) == text.split(");")[0].count(" wire ")
    return {name: (direction, int(high or 0) + 1) for direction, high, name in found}


def connected(text):
    """{port inside: what it is connected to}."""
    return dict(re.findall(r"^        \.(\w+)\((.*?)\),?$", text, re.M))


def members(config):
    """{name inside: (direction, bits)} of the signature."""
    members = accelerator_signature(config).create()
    return {"__".join(map(str, path)): ("input" if member.flow is In else "output", Shape.cast(member.shape).width)
            for path, member, _ in members.signature.flatten(members)}


@by_config
def test_every_member_of_the_signature_is_a_port(config):
    text = to_wrapper(config, observe=True)
    outside, inside, expected = declared(text), connected(text), members(config)
    assert outside.pop("aclk") == outside.pop("aresetn") == ("input", 1)
    assert inside.pop("clk") == "aclk" and inside.pop("rst") == "!aresetn"
    assert inside.keys() == expected.keys() and sorted(inside.values()) == sorted(outside)
    assert {name: outside[port] for name, port in inside.items()} == expected


@by_config
def test_what_only_watches_is_there_when_asked_for(config):
    text, watching = to_wrapper(config), to_wrapper(config, observe=True)
    assert declared(watching).keys() - declared(text).keys() == {"timeline", "activity"}
    assert {name for name, port in connected(text).items() if not port} == {"timeline", "activity"}
    assert all(connected(watching).values())


@by_config
def test_names_are_those_of_axi_and_legal_everywhere(config):
    names = list(declared(to_wrapper(config, observe=True)))
    assert {"m_axi_araddr", "m_axi_wdata", "s_axi_awaddr", "s_axi_rdata", "interrupt"} < set(names)
    for name in (*names, "acceltran"):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) and name not in VHDL, name
    assert len(set(names)) == len(names)
    assert all(port.name == f"{port.interface}_{port.signal}" for port in ports(config) if port.signal)
