"""The kind `moments`: resets and bus errors at random moments of a valid program, each followed by an exact run."""

import json

from acceltran.hw.spec.error_codes import ErrorCode
from acceltran.hw.spec.errors import InputError
from acceltran.hw.spec.isa import Opcode
from acceltran.hw.spec.registers import by_name, pack
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.design import FAULT_WRITES
from acceltran.sim.expectation import stored
from acceltran.sim.system import write_image
from acceltran.sw.compiler import CapacityError
from acceltran.sw.ir.execute import golden_run
from support.changed_programs import monitored_system

from .attack import fewer_cases
from .configurations import configurations
from .encoder_spec import compiled, draw_spec, smaller_specs
from .kind import Tally, config_of, draws, make_batch, with_cases
from .system import CALM, draw_memory, plusargs_of, tally_bus, told

__all__ = ["Moments"]

_CASES = 60
_SLVERR, _DECERR = 2, 3
_READING = (Opcode.LOAD, Opcode.GATHER)
_CODES = {"read": ErrorCode.BUS_READ, "fetch": ErrorCode.FETCH_BUS, "write": ErrorCode.BUS_WRITE}
_PLAIN = {"layers": 1, "words": [3], "options": {"weight_sparsity": 0.0, "resident": False, "overlap": True}}
"""Of the program, which is run again and again."""


class Moments:
    """See `Kind`. A case is what happens, and when, as a share of the cycles of a whole run."""

    name = "moments"

    def batches(self, seed, count):
        """See `Kind`."""
        configs = [config for _, config in configurations()[0] if config.functions]
        for rng, config in draws(self.name, seed, count, configs):
            spec = draw_spec(config, rng) | {"layers": 1, "words": [rng.randrange(1, 10) for _ in range(config.clusters)],
                                             "length": None}
            yield make_batch(self.name, seed, config, draw_memory(rng) | {"encoder": spec},
                             [_case(config, rng) for _ in range(_CASES)])

    def run(self, batch, folder):
        """See `Kind`."""
        tally, config = Tally(), config_of(batch)
        try:
            program, ids, lengths = compiled(batch["settings"]["encoder"], config, resident=False)
        except InputError as error:
            tally.counts["no room" if isinstance(error, CapacityError) else "refused"] += 1
            return tally
        write_image(program.image, config.bus_width, folder / "image.hex")
        run_cocotb(monitored_system(config), "campaign.moment_runs", folder,
                   plusargs=["+image=image.hex", *plusargs_of(batch["settings"])],
                   parameters={"config": config.to_dict(), "port_bases": list(program.port_bases()), "cases": batch["cases"],
                               "curves": [list(map(int, knots)) for knots in program.curves], "target": program.target,
                               "run": {"address": program.entry, "length": len(program.instructions), "watchdog": 400_000}})
        tally_bus(tally, folder)
        seen = json.loads((folder / "result.json").read_text())
        _judge(program, golden_run(program, ids, lengths), batch["cases"], seen, folder, tally)
        return tally

    def smaller(self, batch):
        """See `Kind`."""
        settings = batch["settings"]
        for cases in fewer_cases(batch["cases"]):
            yield with_cases(batch, cases)
        if any(settings[name] != value for name, value in CALM.items()):
            yield batch | {"settings": settings | CALM}
        for spec in (settings["encoder"] | _PLAIN, *smaller_specs(settings["encoder"])):
            if spec != settings["encoder"]:
                yield batch | {"settings": settings | {"encoder": spec}}


def _case(config, rng):
    """What happens at a moment: a reset by the register or by the pin, or an answer that is an error."""
    case = {"at": round(rng.random() * 1.05, 5), "what": rng.choice(("reset", "pin", "read", "read", "fetch", "write"))}
    if case["what"] in _CODES:
        port = rng.randrange(config.memory_ports) if case["what"] == "read" else 0
        case |= {"response": rng.choice((_SLVERR, _DECERR)),
                 "channel": {"read": 2 * port, "fetch": 1, "write": FAULT_WRITES}[case["what"]]}
    return case


def _judge(program, golden, cases, seen, folder, tally):
    """Whether each run came to the end that it must come to, and gave what it must give."""
    log = _Writes(folder / "memory.log")
    first, *others = seen
    if wrong := _wrong(program, golden, first, log, tally):
        tally.failures.append((None, f"the first run: {wrong}"))
    for number, one in enumerate(others):
        case = cases[number]
        tally.counts["moments"] += one["struck"] or case["what"] in ("reset", "pin")
        tally.counts[f"{case['what']} {case.get('response', '')}".strip()] += one["struck"]
        if one["struck"] and case["what"] in _CODES:
            wrong = _wrong_error(program, case, one["broken"])
        elif case["what"] in _CODES:
            wrong = _wrong(program, golden, one["broken"], log, tally)
        else:
            wrong = None if one["reset"] else "the reset did not end"
        wrong = wrong or ((not one["reset"]) and "the reset after it did not end") or _wrong(
            program, golden, one["good"], log, tally)
        if wrong:
            tally.failures.append((number, f"{case}: {wrong}"))
    if len(others) < len(cases):
        tally.counts["hangs"] += 1
        tally.failures.append((len(others), f"{len(cases) - len(others)} cases did not run"))


def _wrong_error(program, case, shown):
    """What is wrong with the end of a run that was told of a bus error; None if nothing is."""
    if not shown["ended"] or shown["error_code"] != _CODES[case["what"]]:
        return f"{_CODES[case['what']].name} is wanted, and it shows {told(shown)}"
    number = shown["error_instruction"]
    if number >= len(program.instructions):
        return f"there is no such instruction: {told(shown)}"
    opcode = program.instructions[number][0]
    if case["what"] == "read" and opcode not in _READING or case["what"] == "write" and opcode is not Opcode.STORE:
        return f"a {opcode.name} has nothing to do with it: {told(shown)}"
    return None


def _wrong(program, golden, shown, log, tally):
    """What is wrong with a whole run; None if nothing is."""
    if not shown["ended"]:
        tally.counts["hangs"] += 1
        return "no interrupt"
    if shown["status"] != pack(by_name("STATUS"), idle=1, done=1):
        return f"it shows {told(shown)}, status {shown['status']:#x}"
    memory = log.between(shown["from"], shown["to"])
    for name, output in program.outputs.items():
        raw = bytes(memory.get(program.base + output["address"] + n, 0xA5) for n in range(output["bytes"]))
        integers, _ = program.output(name, raw)
        wanted = stored(program, golden, output)
        tally.counts["values"] += wanted.numel()
        if different := int((integers != wanted).sum()):
            return f"{different} values of {name} are not those of the golden model"
    tally.counts["runs"] += 1
    return None


class _Writes:
    """The log of main memory's writes, in time; asked for one run after the other."""

    def __init__(self, path):
        self._lines = [(int(when), int(address), int(strobe, 16), word) for when, address, strobe, word in
                       (line.split() for line in path.read_text().splitlines())]
        self._place = 0

    def between(self, first, last):
        """Bytes by address of what was written from one time to another."""
        written = {}
        while self._place < len(self._lines) and self._lines[self._place][0] <= last:
            when, address, strobe, word = self._lines[self._place]
            self._place += 1
            if when >= first:
                for n, value in enumerate(bytes.fromhex(word)[::-1]):
                    if strobe >> n & 1:
                        written[address + n] = value
        return written
