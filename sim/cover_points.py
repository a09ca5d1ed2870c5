"""Functional cover points of a whole accelerator: checkers in SystemVerilog that are bound to modules of its Verilog.

Points are counted by Verilator together with lines, branches and toggles. Every name of a signal is one of the generated
Verilog; a name that is no longer there stops the build.
"""

import re
from dataclasses import dataclass, field

from ..hw.control.layouts import ERROR_REPORT, SEMAPHORE_BITS, engine_bits
from ..hw.instruction_layout import header_layout, layout
from ..hw.layout import tile_write
from ..hw.spec.error_codes import ErrorCode, ErrorSource
from ..hw.spec.isa import INSTRUCTION_BYTES, INSTRUCTIONS, Buffer, Engine, Function, LoopOrder, Opcode
from ..hw.spec.shifts import FUNCTION_SHIFTS, SHIFTS
from ..hw.spec.widths import NUMBER_BITS

__all__ = ["cover_points"]

_ENGINES = tuple(engine.name.lower() for engine in Engine)
_LARGEST_SEMAPHORE = (1 << SEMAPHORE_BITS) - 1
_STATES_OF_A_RUN = ("idle", "calculate", "flush", "run", "error", "reset", "scrub")
"""In the order of their numbers, which is that in which `RunController` first names them."""

_RUN = "system.dut.control.run"
_REMEMBERED = 8
"""Bits of the numbers by which instructions are kept; fewer are under way at once."""


@dataclass
class _Checker:
    """A module that is bound to every module of the Verilog whose name matches.

    Parameters
    ----------
    target : regular expression of a module's name
    name : of the checker
    clock : the signal of the target that is its clock
    ports : signals of the target that it looks at
    body : what its points are made of
    points : label and condition of each
    """

    target: str
    name: str
    clock: str
    ports: tuple[str, ...]
    body: list[str] = field(default_factory=list)
    points: list[tuple[str, str]] = field(default_factory=list)

    def add(self, label, condition):
        self.points.append((label, condition))

    def text(self, modules):
        found = [name for name in modules if re.fullmatch(self.target, name)]
        if not found:
            raise ValueError(f"{self.name}: no module of the Verilog is called {self.target}")
        bits = [_width(modules[found[0]], port) for port in self.ports]
        header = ",\n".join(["    input wire clk", *(f"    input wire [{n}-1:0] {port}" for n, port in zip(bits, self.ports,
                                                                                                     strict=True))])
        lines = [f"module {self.name}(\n{header}\n);", *(f"    {line}" for line in self.body)]
        lines += [f"    {label}: cover property (@(posedge clk) {condition});" for label, condition in self.points]
        given = ", ".join([f".clk({self.clock})", *(f".{port}({port})" for port in self.ports)])
        binds = [f"bind \\{name} {self.name} {self.name}_({given});" for name in found]
        return "\n".join([*lines, "endmodule", *binds])


def _width(body, signal):
    found = re.search(rf"^  (?:wire|reg) (?:signed )?(?:\[(\d+):0\] )?{re.escape(signal)} ?;", body, re.MULTILINE)
    if not found:
        raise ValueError(f"cover points: the Verilog has no signal {signal} any more")
    return int(found.group(1) or 0) + 1


def cover_points(config, verilog):
    """SystemVerilog to stand behind the accelerator's `verilog`."""
    modules = {name.strip("\\ "): body for name, body in
               re.findall(r"^module (\S+) ?\((.*?)^endmodule", verilog, re.MULTILINE | re.DOTALL)}
    checkers = [_issue(config), _semaphores(), _errors(config), _run(), _post(config), *_tiles(config), *_bursts(config),
                *_states(config)]
    return "\n\n// Functional cover points.\n" + "\n\n".join(checker.text(modules) for checker in checkers) + "\n"


def _place(structure, name, signal):
    """A field of a structure that lies in `signal`."""
    part = structure[name]
    return f"{signal}[{part.offset}+:{part.width}]"


def _field(opcode, name, signal):
    return _place(layout(opcode), name, signal)


def _issue(config):
    """Opcodes, whether the engine let them wait and had others under way; orders, functions and operands of products."""
    ports = [f"{engine}_{name}" for engine in _ENGINES for name in ("instruction__valid", "instruction__ready",
                                                                    "instruction__payload", "done")]
    checker = _Checker("accelerator", "cover_issue", "clk", ("core_reset", *ports))
    for engine in _ENGINES:
        checker.body += [
            f"wire {engine}_taken = {engine}_instruction__valid && {engine}_instruction__ready;",
            f"reg {engine}_held = 0; reg [7:0] {engine}_in = 0;",
            f"always @(posedge clk) {engine}_held <= {engine}_instruction__valid && !{engine}_instruction__ready;",
            f"always @(posedge clk) {engine}_in <= core_reset ? 8'd0 : {engine}_in + 8'({engine}_taken) - 8'({engine}_done);",
        ]
        for opcode in (instruction.opcode for instruction in INSTRUCTIONS if instruction.engine is Engine[engine.upper()]):
            taken = f"{engine}_taken && {engine}_instruction__payload[7:0] == {int(opcode)}"
            for wait, condition in (("at_once", f"!{engine}_held"), ("held", f"{engine}_held")):
                for boundary, others in (("alone", f"{engine}_in == 0"), ("behind_others", f"{engine}_in != 0")):
                    checker.add(f"issue__{opcode.name}__{wait}__{boundary}", f"{taken} && {condition} && {others}")
    word, taken = "matrix_instruction__payload", "matrix_taken"

    def part(name):
        return _field(Opcode.MATMUL, name, word)

    several = " && ".join(f"{part(name)} > 1" for name in ("rows", "inner", "columns", "batch"))
    for order in LoopOrder:
        checker.add(f"order__{order.name}", f"{taken} && {part('order')} == {int(order)} && {several}")
    for function in (Function.NONE, *(Function[name.upper()] for name in config.functions)):
        checker.add(f"product__function_{function.name}", f"{taken} && {part('function')} == {int(function)}")
    for name, condition in (
        ("weights", f"{part('b_buffer')} == 0"), ("activations", f"{part('b_buffer')} == 1"),
        ("transposed", f"{part('transpose')} == 1"), ("bias", f"{part('bias')} == 1"), ("no_bias", f"{part('bias')} == 0"),
        ("pruned", f"{part('curve')} != 0"), ("one_tile", " && ".join(f"{part(n)} == 1" for n in ("rows", "inner", "columns",
                                                                                                  "batch"))),
        ("one_row", f"{part('rows')} == 1 && {part('columns')} > 1"),
        ("one_column", f"{part('rows')} > 1 && {part('columns')} == 1"),
    ):
        checker.add(f"product__{name}", f"{taken} && {condition}")
    if config.clusters > 1:
        clusters = _place(header_layout(), "clusters", "{}_instruction__payload")
        for engine in _ENGINES:
            named = clusters.format(engine)
            checker.add(f"clusters__{engine}_all", f"{engine}_taken && {named} == 0")
            for number in range(config.clusters):
                checker.add(f"clusters__{engine}_only_{number}", f"{engine}_taken && {named} == {1 << number}")
    return checker


def _semaphores():
    """Each pair of producer x and consumer y, at zero, at the maximum and beyond."""
    pairs = [(x, y) for x in range(len(Engine)) for y in range(len(Engine))]
    ports = (*(f"give__{x}" for x in range(3)), *(f"take__{x}" for x in range(3)),
             *(f"tokens__{y}__{x}" for x, y in pairs), *(f"wanted__{y}__{x}" for x, y in pairs))
    checker = _Checker(r"accelerator\.control\.dispatcher\.semaphores", "cover_semaphores", "held_clk", ports)
    for x, y in pairs:
        tokens, wanted, give = f"tokens__{y}__{x}", f"wanted__{y}__{x}", f"give__{x}[{y}]"
        takes = f"take__{y} && {wanted} != 0"
        name = f"semaphore__{_ENGINES[x]}_to_{_ENGINES[y]}"
        for label, condition in (
            ("given_at_0", f"{give} && {tokens} == 0"), ("taken_to_0", f"{takes} && {tokens} == {wanted}"),
            ("taken_some", f"{takes} && {tokens} > {wanted}"), ("taken_several", f"take__{y} && {wanted} > 1"),
            ("given_and_taken", f"{give} && {takes}"), ("missing", f"{wanted} > {tokens} && {wanted} != 0"),
            ("given_to_maximum", f"{give} && {tokens} == {_LARGEST_SEMAPHORE - 1}"),
            ("overflow", f"{give} && {tokens} == {_LARGEST_SEMAPHORE} && !take__{y}"),
        ):
            checker.add(f"{name}__{label}", condition)
    return checker


def _errors(config):
    """Errors by code, engine and cause, which the instruction that is blamed tells."""
    checker = _Checker(r"accelerator\.control\.decoder", "cover_errors", "held_clk", ("i__payload", "i__valid"))
    bits = engine_bits()
    number = f"i__payload[{bits}+:{_REMEMBERED}]"
    checker.body += [
        f"reg [{bits}-1:0] known [0:{(1 << _REMEMBERED) - 1}];",
        f"always @(posedge clk) if (i__valid) known[{number}] <= i__payload[{bits}-1:0];",
        f"wire [{ERROR_REPORT.size}-1:0] report = {_RUN}.error;",
        "reg seen = 0;",
        f"always @(posedge clk) seen <= {_place(ERROR_REPORT, 'valid', 'report')};",
        f"wire raised = {_place(ERROR_REPORT, 'valid', 'report')} && !seen;",
        f"wire [{NUMBER_BITS}-1:0] number = {_place(ERROR_REPORT, 'number', 'report')};",
        f"wire [511:0] word = 512'(known[number[{_REMEMBERED - 1}:0]]);",
    ]
    for code, source, cause, condition in _causes(config):
        checker.add(f"error__{code.name}__{source.name}__{cause}",
                    f"raised && {_place(ERROR_REPORT, 'code', 'report')} == {int(code)} && "
                    f"{_place(ERROR_REPORT, 'engine', 'report')} == {int(source)} && {condition}")
    return checker


def _causes(config):
    """(code, source, cause, condition on the instruction) of every way to an error."""
    opcode = "word[7:0]"
    control, memory, matrix, vector = (ErrorSource[name] for name in ("CONTROL", "MEMORY", "MATRIX", "VECTOR"))

    def its(name):
        return f"{opcode} == {int(name)}"

    yield ErrorCode.ILLEGAL_OPCODE, control, "zero", f"{opcode} == 0"
    yield ErrorCode.ILLEGAL_OPCODE, control, "unknown", f"{opcode} > {max(Opcode)}"
    for code in (ErrorCode.FETCH_BUS, ErrorCode.FETCH_WINDOW):
        yield code, control, "first", "number == 0"
        yield code, control, "later", "number != 0"
    yield ErrorCode.PROGRAM_END, control, "no_instruction", "number == 0"
    yield ErrorCode.PROGRAM_END, control, "no_halt", "number != 0"
    for name in (Opcode.LOAD, Opcode.STORE, Opcode.GATHER, Opcode.MATMUL, Opcode.SOFTMAX, Opcode.LAYERNORM, Opcode.SYNC):
        yield ErrorCode.WATCHDOG, control, name.name, its(name)
    for source in (memory, matrix, vector):
        yield ErrorCode.SEMAPHORE_OVERFLOW, source, "given", "1"
    for name, condition in _bad_fields(config):
        yield ErrorCode.BAD_FIELD, control, name, condition

    load = {buffer: f"{its(Opcode.LOAD)} && {_field(Opcode.LOAD, 'buffer', 'word')} == {int(buffer)}" for buffer in Buffer}
    for buffer, condition in load.items():
        for code in (ErrorCode.BUS_READ, ErrorCode.READ_WINDOW, ErrorCode.SLOT_RANGE, ErrorCode.LOAD_SHORT):
            yield code, memory, f"load_{buffer.name}", condition
    for code in (ErrorCode.BUS_READ, ErrorCode.READ_WINDOW, ErrorCode.SLOT_RANGE):
        yield code, memory, "gather", its(Opcode.GATHER)
    for code in (ErrorCode.BUS_WRITE, ErrorCode.WRITE_WINDOW, ErrorCode.SLOT_RANGE):
        yield code, memory, "store", its(Opcode.STORE)

    def part(opcode, name):
        return _field(opcode, name, "word")

    tiles, lines, weights = config.cluster.activation_tiles, config.vector_lines, config.weight_tiles
    product = Opcode.MATMUL
    for name, limit, where in (("a", tiles, "1"), ("c", tiles, "1"), ("b", weights, f"{part(product, 'b_buffer')} == 0"),
                               ("b", tiles, f"{part(product, 'b_buffer')} == 1")):
        label = name if where == "1" else f"b_{'weights' if limit == weights and where.endswith('0') else 'activations'}"
        slot = part(product, f"{name}_slot")
        yield ErrorCode.SLOT_RANGE, matrix, f"{label}_at_once", f"{where} && {slot} >= {limit}"
        yield ErrorCode.SLOT_RANGE, matrix, f"{label}_later", f"{where} && {slot} < {limit}"
    yield ErrorCode.LINE_RANGE, matrix, "bias_line", "1"
    for name in ("rows", "inner", "columns", "batch"):
        yield ErrorCode.ENGINE_FIELD, matrix, f"no_{name}", f"{part(product, name)} == 0"
    shift, function_shift = (f"$signed({part(product, name)})" for name in ("shift", "function_shift"))
    yield ErrorCode.ENGINE_FIELD, matrix, "shift_low", f"{shift} < {SHIFTS.start}"
    yield ErrorCode.ENGINE_FIELD, matrix, "function_shift_low", f"{function_shift} < {FUNCTION_SHIFTS.start}"
    yield ErrorCode.ENGINE_FIELD, matrix, "function_shift_high", f"{function_shift} >= {FUNCTION_SHIFTS.stop}"
    yield (ErrorCode.ENGINE_FIELD, matrix, "bias_shift_high",
           f"{part(product, 'bias_shift')} > {config.accumulator_width - config.width}")
    if config.cluster.grid_rows > 1:
        yield (ErrorCode.ENGINE_FIELD, matrix, "a_pitch_even",
               f"{part(product, 'rows')} > 1 && {part(product, 'a_pitch')} % 2 == 0")
    if config.grid_columns > 1:
        yield (ErrorCode.ENGINE_FIELD, matrix, "b_pitch_even",
               f"{part(product, 'transpose')} == 1 && {part(product, 'b_pitch')} % 2 == 0")
    for opcode_, names in ((Opcode.SOFTMAX, "xo"), (Opcode.LAYERNORM, "xro")):
        for name in names:
            yield (ErrorCode.SLOT_RANGE, vector, f"{opcode_.name}_{name}_at_once",
                   f"{its(opcode_)} && {part(opcode_, f'{name}_slot')} >= {tiles}")
        yield ErrorCode.SLOT_RANGE, vector, f"{opcode_.name}_later", " && ".join(
            [its(opcode_), *(f"{part(opcode_, f'{name}_slot')} < {tiles}" for name in names)])
        for name in ("rows", "columns"):
            yield (ErrorCode.ENGINE_FIELD, vector, f"{opcode_.name}_no_{name}",
                   f"{its(opcode_)} && {part(opcode_, name)} == 0")
    valid, columns = part(Opcode.SOFTMAX, "valid_columns"), part(Opcode.SOFTMAX, "columns")
    yield ErrorCode.ENGINE_FIELD, vector, "SOFTMAX_no_valid_columns", f"{its(Opcode.SOFTMAX)} && {valid} == 0"
    yield (ErrorCode.ENGINE_FIELD, vector, "SOFTMAX_valid_columns_high",
           f"{its(Opcode.SOFTMAX)} && 32'({valid}) > 32'({columns}) * {config.tile}")
    for name in ("gamma", "beta"):
        yield (ErrorCode.LINE_RANGE, vector, f"{name}_line",
               f"32'({part(Opcode.LAYERNORM, f'{name}_line')}) + 32'({part(Opcode.LAYERNORM, 'columns')}) > {lines}")


def _bad_fields(config):
    """(cause, condition) of what the decoder refuses."""
    def its(name):
        return f"word[7:0] == {int(name)}"

    def part(opcode, name):
        return _field(opcode, name, "word")

    yield "sync_engine", f"{its(Opcode.SYNC)} && {_place(header_layout(), 'engine', 'word')} == {len(Engine)}"
    yield "load_buffer", f"{its(Opcode.LOAD)} && {part(Opcode.LOAD, 'buffer')} == {len(Buffer)}"
    built = [0, *(int(Function[name.upper()]) for name in config.functions)]
    unknown = " && ".join(f"{part(Opcode.MATMUL, 'function')} != {code}" for code in built)
    if len(built) < 8:
        yield "function", f"{its(Opcode.MATMUL)} && {unknown}"
    yield "order", f"{its(Opcode.MATMUL)} && {part(Opcode.MATMUL, 'order')} >= {len(LoopOrder)}"
    for opcode in (Opcode.MATMUL, Opcode.SOFTMAX, Opcode.LAYERNORM):
        yield f"{opcode.name}_curve", f"{its(opcode)} && {part(opcode, 'curve')} > {config.prune_curves}"
    if config.memory_ports > 1:
        yield "load_rows", (f"{its(Opcode.LOAD)} && {part(Opcode.LOAD, 'buffer')} == {int(Buffer.WEIGHT)} && "
                            f"{part(Opcode.LOAD, 'rows')} > 1")
    if config.clusters > 1:
        clusters = _place(header_layout(), "clusters", "word")
        yield "store_no_cluster", f"{its(Opcode.STORE)} && {clusters} == 0"
        yield "store_two_clusters", f"{its(Opcode.STORE)} && {clusters} == 3"
        yield "store_absent_cluster", f"{its(Opcode.STORE)} && {clusters} >= {1 << config.clusters}"
        yield "load_clusters", (f"{its(Opcode.LOAD)} && {part(Opcode.LOAD, 'buffer')} != {int(Buffer.ACTIVATION)} && "
                                f"{clusters} != 0")
        yield "product_clusters", f"{its(Opcode.MATMUL)} && {part(Opcode.MATMUL, 'b_buffer')} == 0 && {clusters} != 0"


def _run():
    """Starts, resets and scrubs in each state of the run controller."""
    checker = _Checker(r"accelerator\.control\.run", "cover_run", "held_clk",
                       ("fsm_state", "start", "reset", "scrub", "held_rst"))
    for number, state in enumerate(_STATES_OF_A_RUN):
        for event in ("start", "reset", "scrub", "held_rst"):
            checker.add(f"run__{event}_in_{state}", f"fsm_state == {number} && {event}")
    return checker


def _post(config):
    """Rounding and saturation of the sums of a PE's first column."""
    bits = config.accumulator_width + 1
    left = -SHIFTS.start
    name = r"pe_[0-9a-f]{6}\.logic\.post\.scale_0"
    checker = _Checker(name, "cover_rounding", "system.clk", ("x", "amount", "o", "beyond"))
    checker.body += [
        f"wire [{bits}-1:0] half = amount > {left} && amount - {left} < {bits} ? {bits}'d1 << (amount - {left} - 1) : 0;",
        f"wire [{bits}-1:0] below = x & ((half << 1) - 1);",
    ]
    for label, condition in (
        ("saturates_high", f"beyond && !x[{bits - 1}]"), ("saturates_low", f"beyond && x[{bits - 1}]"),
        ("tie", f"half != 0 && below == half && !x[{bits - 1}] && !beyond"),
        ("negative_tie", f"half != 0 && below == half && x[{bits - 1}] && !beyond"),
        ("rounds_up", "half != 0 && below > half && !beyond"),
        ("rounds_down", "half != 0 && below != 0 && below < half && !beyond"),
        ("exact", "below == 0 && half != 0 && x != 0 && !beyond"), ("shifts_left", f"amount < {left} && x != 0"),
        ("largest", "!beyond && o == {1'b0, {($bits(o) - 1){1'b1}}}"),
        ("smallest", "!beyond && o == {1'b1, {($bits(o) - 1){1'b0}}}"),
    ):
        checker.add(f"rounding__{label}", condition)
    return checker


def _tiles(config):
    """Empty, dense and one-row tiles, by who writes or reads them."""
    tile = config.tile
    places = [("accelerator", "clk", "loaded_weights", "weight_write", config.b_width),
              ("accelerator", "clk", "loaded_activations", "activation_write", config.width)]
    cluster = r"accelerator\." if config.clusters == 1 else r"cluster_[0-9a-f]{6}\."
    clock = "core_clk" if config.clusters == 1 else "clk"
    places += [(f"{cluster}matrix", clock, "products", "write__0", config.width)]
    for target, clock, label, port, width in places:
        write = tile_write(tile, width, config.lines_per_beat)
        checker = _Checker(target, f"cover_{label}", clock, tuple(f"{port}__{name}" for name in ("payload", "valid", "ready")))
        mask = _place(write, "mask", f"{port}__payload")
        rows = ", ".join(f"|mask[{row * tile}+:{tile}]" for row in range(tile))
        checker.body += [f"wire [{tile * tile}-1:0] mask = {mask};", f"wire [{tile}-1:0] rows = {{{rows}}};",
                         f"wire taken = {port}__valid && {port}__ready && {_place(write, 'last', f'{port}__payload')};"]
        for kind, condition in (("empty", "mask == 0"), ("dense", "&mask"), ("one_row", "$onehot(rows)"),
                                ("other", "mask != 0 && !(&mask) && !$onehot(rows)")):
            checker.add(f"tile__{label}__{kind}", f"taken && {condition}")
        yield checker


def _bursts(config):
    """Lengths, alignment and pages of bursts, by channel."""
    size = config.bus_width // 8
    channels = [("ar", "m_axi", "read", "m_axi__arid == 0"), ("ar", "m_axi", "fetch", "m_axi__arid == 1"),
                ("aw", "m_axi", "write", "1")]
    channels += [("ar", f"m_axi_{port}", f"read_{port}", "1") for port in range(1, config.memory_ports)]
    for way, port, label, which in channels:
        names = [f"{port}__{way}{name}" for name in ("addr", "len", "valid", "ready")]
        ports = dict.fromkeys([*names, *(["m_axi__arid"] if "arid" in which else [])])
        checker = _Checker("accelerator", f"cover_bursts_{label}", "clk", tuple(ports))
        address, length, valid, ready = names
        checker.body += [
            f"wire taken = {valid} && {ready} && {which};",
            f"wire [12:0] ends = 13'({address}[11:0]) + (13'({length}) + 13'd1) * 13'd{size};",
            "wire at_start = " + f"{address}[11:0] == 0;", "wire at_end = ends == 13'd4096;",
        ]
        beats = 8 * INSTRUCTION_BYTES // config.bus_width if label == "fetch" else config.burst_beats
        sizes = [("longest", f"{length} == {beats - 1}")]
        if label != "fetch":
            sizes += [("one_beat", f"{length} == 0"), ("some", f"{length} != 0 && {length} != {beats - 1}")]
        for name, condition in sizes:
            for page, where in (("at_start", "at_start"), ("at_end", "at_end"), ("inside", "!at_start && !at_end")):
                checker.add(f"burst__{label}__{name}__{page}_of_page", f"taken && {condition} && {where}")
        checker.add(f"burst__{label}__waits", f"{valid} && !{ready} && {which}")
        if label != "fetch":
            whole = beats * size
            checker.add(f"burst__{label}__aligned", f"taken && {address}[{(whole - 1).bit_length() - 1}:0] == 0")
            checker.add(f"burst__{label}__unaligned", f"taken && {address}[{(whole - 1).bit_length() - 1}:0] != 0")
        yield checker


def _states(config):
    """A flush, or an error, in each state of the parts of the memory engine."""
    for part, states in (("loader", 5), ("gatherer", 5)):
        checker = _Checker(rf"accelerator\.memory\.{part}", f"cover_{part}", "held_clk", ("fsm_state",))
        for state in range(states):
            checker.add(f"state__{part}_{state}__flushed", f"fsm_state == {state} && {_RUN}.flush")
            checker.add(f"state__{part}_{state}__error",
                        f"fsm_state == {state} && {_RUN}.fsm_state == {_STATES_OF_A_RUN.index('error')}")
        yield checker
