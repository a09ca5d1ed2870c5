"""Hostile programs under locked windows: nothing outside is touched, and nothing of the user before shows."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from acceltran.hw.spec.error_codes import ErrorCode
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.design import build_system
from acceltran.sim.system import write_image
from support.axi_monitor import monitor_plusargs, monitor_sources, monitored
from support.configs import CONFIGS
from support.hostile_programs import MEMORY_BITS, READ, WRITE, Attack, secret_program

_ATTRIBUTES = {"prot": 2, "cache": 15}
_SMALL = {"activation_tiles": 64, "weight_tiles": 32, "vector_lines": 32}
CASES = {
    "one_pe": (replace(CONFIGS["one_pe"], **_SMALL, address_bits=64), 0x12_3456_7000),
    "four_pes": (replace(CONFIGS["four_pes"], **_SMALL), 0x8000_0000),
}
EVERY_DAY = ["one_pe", pytest.param("four_pes", marks=pytest.mark.slow)]
_SECRETS = (101, 202)


def simulate(case, attack, parts, folder, *, secret, scrub=True, plusargs=()):
    """All parts in one simulation; (what the registers showed, log of writes, violations, counts)."""
    config, base = case
    folder.mkdir()
    address, instructions = secret_program(config)
    write_image(attack.image(secret), config.bus_width, folder / "image.hex")
    (folder / "parts.json").write_text(json.dumps(parts))
    model = build_system(config, memory_bits=MEMORY_BITS, sources=monitor_sources(config, folder))
    end = 1 << MEMORY_BITS
    reached = monitor_plusargs(read=(base, base + end - 1), write=(base, base + end - 1), **_ATTRIBUTES)
    run_cocotb(model, "support.hostile_runs", folder, plusargs=["+image=image.hex", f"+base={base:x}", *reached, *plusargs],
               parameters={"config": config.to_dict(), "base": base, "secret": [address, len(instructions)], "scrub": scrub,
                           "read": READ, "write": WRITE, "limit": 20_000_000, **_ATTRIBUTES})
    return (json.loads((folder / "result.json").read_text()), (folder / "memory.log").read_text(), *monitored(folder))


def parts_of(runs, count):
    """Runs in equal parts, before each of which the secret is loaded again, and counters read in some."""
    for run in runs[::10]:
        run["counters"] = True
    return [runs[n::count] for n in range(count)]


def check(case, folder, count, seed, *, plusargs=()):
    """`count` programs with two secrets; returns the counts of the monitor."""
    _, base = case
    attack = Attack(case[0], count, seed)
    parts = parts_of(attack.runs, max(2, count // 500))
    first, second = (simulate(case, attack, parts, folder / str(secret), secret=secret, plusargs=plusargs)
                     for secret in _SECRETS)
    seen, log, violations, counts = first
    assert not violations, violations[:5]
    *results, end = seen
    runs = [run for part in results for run in part["runs"]]
    assert len(runs) == count and all(run["ended"] and run["reset"] for run in runs) and end["lock"] == 1
    for line in log.splitlines():
        address = int(line.split()[1])
        assert base + WRITE[0] <= address < base + WRITE[1], line
    # Whatever the secret was, the hostile user sees the same: registers, counters, memory and the times of its writes.
    assert seen == second[0] and log == second[1]
    codes = Counter(ErrorCode(run.get("error_code", 0)) for run in runs)
    assert min(codes[code] for code in (ErrorCode.NONE, ErrorCode.READ_WINDOW, ErrorCode.WRITE_WINDOW, ErrorCode.WATCHDOG)) > 0
    assert codes[ErrorCode.BUS_READ] == codes[ErrorCode.BUS_WRITE] == codes[ErrorCode.FETCH_BUS] == 0, codes
    assert len(log.splitlines()) > count
    return counts, codes


@pytest.mark.parametrize("name", EVERY_DAY)
def test_hostile_programs(name, tmp_path):
    check(CASES[name], tmp_path, 60, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_thousand_hostile_programs(name, tmp_path):
    _, codes = check(CASES[name], tmp_path, 2000, 2)
    assert codes[ErrorCode.FETCH_WINDOW] > 0


@pytest.mark.slow
def test_what_is_not_scrubbed_shows(tmp_path):
    """The check above can fail: without the scrub, the same programs write what the user before left."""
    case = CASES["one_pe"]
    attack = Attack(case[0], 60, 1)
    parts = parts_of(attack.runs, 2)
    logs = [simulate(case, attack, parts, tmp_path / str(secret), secret=secret, scrub=False)[1] for secret in _SECRETS]
    assert logs[0] != logs[1]


def traffic(name, folder, counts):
    """So many programs for each latency of a memory that mixes ids and holds handshakes back; what the monitor saw, in sum."""
    case, totals = CASES[name], Counter()
    for latency, count in counts.items():
        attack = Attack(case[0], count, latency, watchdog=4000 + 100 * latency, harmless=True)
        seen, _, violations, found = simulate(
            case, attack, [attack.runs], folder / str(latency), secret=1,
            plusargs=["+shuffle", f"+latency={latency}", "+stall=50", f"+stall_seed={latency}"])
        assert not violations, violations[:5]
        assert all(run.get("error_code", 0) in (ErrorCode.NONE, ErrorCode.LOAD_SHORT) for run in seen[0]["runs"])
        assert all(run["ended"] and run["reset"] for run in seen[0]["runs"]) and len(seen[0]["runs"]) == count
        totals += Counter(found)
    return totals


@pytest.mark.parametrize("name", EVERY_DAY)
def test_awkward_traffic(name, tmp_path):
    counts = traffic(name, tmp_path, {0: 20, 200: 8})
    assert counts["interleaved"] > 0 and counts["overtaking"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_million_cycles_of_awkward_traffic(name, tmp_path):
    counts = traffic(name, tmp_path, {0: 220, 30: 220, 700: 80, 5000: 12})
    assert counts["cycles"] >= 1_000_000, counts
    assert counts["interleaved"] > 100 and counts["overtaking"] > 100 and counts["writes"] > 1000, counts


@pytest.mark.parametrize("name", EVERY_DAY)
def test_a_scrub_zeroes_every_word(name, tmp_path):
    case = CASES[name]
    config, _ = case
    names = [f"{kind}_{part}_{n}" for kind, banks in (("activation", config.activation_banks), ("weight", config.weight_banks))
             for part in ("lines", "masks") for n in range(banks)] + ["vector_lines_0"]
    attack = Attack(config, 1, 1)
    seen, *_ = simulate(case, attack, [[]], tmp_path / "scrub", secret=1, plusargs=[f"+{name}" for name in names])
    words = {"activation_lines": config.activation_tiles // config.activation_banks * config.words_per_slot,
             "activation_masks": config.activation_tiles // config.activation_banks,
             "weight_lines": config.weight_tiles // config.weight_banks * config.words_per_slot,
             "weight_masks": config.weight_tiles // config.weight_banks, "vector_lines": config.vector_lines}
    for name in names:
        before, after = {}, {}
        kind = name.rsplit("_", 1)[0]
        lanes = config.lines_per_beat if kind in ("activation_lines", "weight_lines") else 1
        (path,) = (tmp_path / "scrub").glob(f"{name}.*.log")
        for line in path.read_text().splitlines():
            _, address, enable, word = line.split()
            before |= {int(address): after.get(int(address), 0)}
            after[int(address)] = int(word, 16)
            last_enable = int(enable, 16)
        assert sorted(after) == list(range(words[kind])), name
        assert not any(after.values()) and all(before.values()) and last_enable == (1 << lanes) - 1, name
    most = max(max(config.activation_tiles, config.weight_tiles) * config.words_per_slot, config.vector_lines)
    assert most < seen[0]["scrub"] < most + 120
