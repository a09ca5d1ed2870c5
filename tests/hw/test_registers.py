"""The register map and its three exports."""

import json
import re
import shutil
import subprocess
import zlib

import pytest

from acceltran.hw.config import PRESETS, AcceleratorConfig
from acceltran.hw.control.errors import ErrorCode
from acceltran.hw.registers import (
    ADDRESS_BITS,
    COUNTERS,
    REGISTERS,
    by_name,
    config_values,
    pack,
    to_c_header,
    to_json,
    to_markdown,
)


def test_no_overlap():
    taken = {}
    for r in REGISTERS:
        assert r.offset % 4 == 0
        assert r.offset + 4 * r.count <= 1 << ADDRESS_BITS
        for word in range(r.offset, r.offset + 4 * r.count, 4):
            assert word not in taken, f"{r.name} and {taken[word]}"
            taken[word] = r.name
        used = 0
        for f in r.parts:
            bits = ((1 << f.bits) - 1) << f.offset
            assert not used & bits and bits < 1 << r.width <= 1 << 32
            used |= bits
    assert len({r.name for r in REGISTERS}) == len(REGISTERS)
    assert [r.offset for r in REGISTERS] == sorted(r.offset for r in REGISTERS)


def test_exports_agree():
    exported = json.loads(to_json())
    header, document = to_c_header(), to_markdown()
    defines = {name: int(value.rstrip("u"), 0) for name, value in
               re.findall(r"^#define ACCELTRAN_(\w+) (0x[0-9a-f]+u|\d+u)", header, re.M)}
    rows = dict(re.findall(r"^\| (0x[0-9a-f]{3})[^|]*\| `(\w+)` \|", document, re.M))
    assert {int(offset, 16): name for offset, name in rows.items()} == {
        r["offset"]: r["name"] for r in exported["registers"]}
    for r in exported["registers"]:
        assert defines[r["name"]] == r["offset"]
        for f in r["fields"]:
            name = f"{r['name']}_{f['name'].upper()}"
            assert defines[f"{name}_SHIFT"] == f["offset"]
            assert defines[f"{name}_MASK"] == ((1 << f["bits"]) - 1) << f["offset"]
            assert f"| `{r['name']}` | {f['offset'] + f['bits'] - 1}:{f['offset']} | `{f['name']}` |" in document
    assert exported["error_codes"] == {c.name: int(c) for c in ErrorCode}
    assert all(defines[f"ERROR_CODE_{c.name}"] == c and c.doc for c in ErrorCode)


def test_c_header_compiles():
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    subprocess.run([compiler, "-Wall", "-Werror", "-fsyntax-only", "-x", "c", "-"], input=to_c_header().encode(),
                   check=True)


def test_counters_are_pairs():
    for name, _ in COUNTERS:
        assert by_name(f"{name.upper()}_HI").offset == by_name(f"{name.upper()}_LO").offset + 4


@pytest.mark.parametrize("preset", PRESETS)
def test_config_values(preset):
    config = AcceleratorConfig.load(preset)
    values = config_values(config, (0, 3))
    assert set(values) == {r.name for r in REGISTERS if r.constant}
    assert values["CONFIG_LOOP_ORDERS"] == 0b1001
    assert values["CONFIG_VALUE"] & 0xFF == config.tile
    assert values["CONFIG_ACTIVATION"] == config.activation_tiles | config.activation_banks << 24
    assert values["CONFIG_IDENTITY"] == zlib.crc32(config.to_json().encode())
    assert all(0 <= v < 1 << 32 for v in values.values())


def test_pack_refuses():
    with pytest.raises(ValueError, match="tile = 256"):
        pack(by_name("CONFIG_VALUE"), tile=256)
