"""The matrix engine: sequencers, operand readers' requests, PE grid, completion."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic import saturate
from ..buffer.tile_reader import TileReader, read_port, read_request
from ..layout import tile_beat, tile_write, vector_line
from ..shared_module import instantiate
from ..spec.error_codes import ENGINE_CODE, ErrorCode
from ..spec.shifts import FUNCTION_SHIFTS, SHIFTS
from ..spec.widths import LINE_ADDRESS_BITS
from ..streams.stream_fork import StreamFork
from ..streams.stream_queue import StreamQueue
from .command_sequencer import CommandSequencer
from .completion_tracker import CompletionTracker
from .operand_sequencer import OperandSequencer
from .pe_grid import PEGrid, lost_multipliers
from .product import PRODUCT
from .step_sequencer import StepSequencer

__all__ = ["MatrixEngine"]


class MatrixEngine(wiring.Component):
    """Runs MATMUL instructions in order, the next one's operands being fetched while the last one's tiles still drain.

    Parameters
    ----------
    config : AcceleratorConfig
    shared_weights : weights come from a `WeightBroadcast`; two requests, and two beats of each column, wait here

    Members
    -------
    instruction : In(stream(512)); done : Out(1) pulse per finished instruction, in order
    error : Out({valid, code})
    a_read, b_activation_read, b_weight_read : Out(read_port), to the buffers; with `shared_weights` there are in place of the
        last one b_weight_request : Out(stream(read_request)), b_weight : In(stream(tile_beat)).array(columns), and
        b_weight_idle : In(1), no weight is under way
    line_request, line : streams to the vector buffer
    write : Out(stream(tile_write)).array(ports), output tiles
    curve, tau : threshold look-up
    busy, stalled : Out(1)
    fired, dense : Out, multiplications done (four cycles after they were picked), and those of the step issued now
    lost : Out(lost_multipliers(multipliers)), the other multipliers in the cycle of `fired`
    a_tiles, b_tiles : Out, operand tiles asked for
    pe_busy : Out(rows * columns)
    """

    def __init__(self, *, config, shared_weights=False):
        self._config = c = config
        self._shared_weights = shared_weights
        size = {"tile": c.tile, "width": c.width, "lines_per_beat": c.lines_per_beat}
        self._size, self._b_size = size, size | {"width": c.b_width}
        weights = {
            "b_weight_request": Out(stream.Signature(read_request(c.grid_columns))),
            "b_weight": In(stream.Signature(tile_beat(**self._b_size))).array(c.grid_columns),
            "b_weight_idle": In(1),
        } if shared_weights else {"b_weight_read": Out(read_port(**self._b_size, lanes=c.grid_columns))}
        self.ports = c.grid_rows + c.grid_columns - 1
        super().__init__({
            "instruction": In(stream.Signature(512)), "done": Out(1),
            "error": Out(data.StructLayout({"valid": 1, "code": 4})),
            "a_read": Out(read_port(**size, lanes=c.grid_rows)),
            "b_activation_read": Out(read_port(**size, lanes=c.grid_columns)),
            **weights,
            "line_request": Out(stream.Signature(LINE_ADDRESS_BITS)),
            "line": In(stream.Signature(vector_line(c.tile, c.width, c.scale_bits))),
            "write": Out(stream.Signature(tile_write(**size))).array(self.ports),
            "curve": Out(6), "tau": In(c.width - 1),
            "busy": Out(1), "stalled": Out(1),
            "fired": Out(range(c.multipliers + 1)),
            "lost": Out(lost_multipliers(c.multipliers)),
            "dense": Out(range(c.multipliers * c.tile + 1)),
            "a_tiles": Out(range(c.grid_rows + 1)), "b_tiles": Out(range(c.grid_columns + 1)),
            "pe_busy": Out(c.pes),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        grid_size = {"rows": c.grid_rows, "columns": c.grid_columns}
        walk = {**grid_size, "psum_tiles": c.psum_tiles}
        capacity = {"activation_tiles": c.activation_tiles, "weight_tiles": c.weight_tiles}

        # The instruction goes to four sequencers, each of which walks the loops at its own pace.
        m.submodules.fork = fork = StreamFork(shape=PRODUCT, branches=4)
        m.submodules.a_sequencer = a = OperandSequencer(operand="a", **walk, **capacity)
        m.submodules.b_sequencer = b = OperandSequencer(operand="b", **walk, **capacity)
        m.submodules.step_sequencer = steps = StepSequencer(**walk)
        m.submodules.command_sequencer = commands = CommandSequencer(
            tile=c.tile, width=c.width, scale_bits=c.scale_bits, **grid_size,
            activation_tiles=c.activation_tiles, vector_lines=c.vector_lines
        )
        refused = self._accept(m, fork)
        for branch, sequencer in zip(fork.o, (a, b, steps, commands), strict=True):
            connect(m, branch, sequencer.product)

        # Operands: A from the activation buffer, B from either buffer.
        m.submodules.grid = grid = PEGrid(config=c)
        a_reader = instantiate(m, platform, "a_reader", TileReader, **self._size, lanes=c.grid_rows,
                               latency=c.buffer_latency)
        connect(m, a.activation, a_reader.request)
        connect(m, a_reader.port, flipped(self.a_read))
        for lane in range(c.grid_rows):
            connect(m, a_reader.o[lane], grid.a[lane])
        self._connect_b(m, platform, b, grid)
        connect(m, steps.o, grid.step)

        # Commands, results, completion.
        m.submodules.tracker = tracker = CompletionTracker(grid=c.pes, ports=self.ports)
        for n in range(c.pes):
            connect(m, commands.o[n], grid.command[n])
        connect(m, commands.line_request, flipped(self.line_request))
        connect(m, flipped(self.line), commands.line)
        m.d.comb += [
            self.curve.eq(commands.curve), commands.tau.eq(self.tau),
            tracker.open.eq(commands.open), commands.free.eq(tracker.free), commands.tag.eq(tracker.tag),
            tracker.issued.eq(commands.issued), tracker.close.eq(commands.close),
            self.done.eq(tracker.done),
        ]
        for n, port in enumerate(self.write):
            m.d.comb += [
                port.valid.eq(grid.o[n].valid),
                port.payload.eq(grid.o[n].payload.write),
                grid.o[n].ready.eq(port.ready),
                tracker.written[n].eq(port.valid & port.ready & port.payload.last),
                tracker.written_tag[n].eq(grid.o[n].payload.tag),
            ]

        self._report_errors(m, a, b, commands, refused)
        self._count(m, a, b, grid, steps)
        return m

    def _accept(self, m, fork):
        """Take an instruction. One without any tile, with a shift beyond the post-process, or with an even pitch that would
        bring tiles of one request into the same bank goes nowhere: an error.
        """
        c = self._config
        product = data.View(PRODUCT, self.instruction.payload)
        refused = Signal()
        m.d.comb += [
            refused.eq(
                (product.rows == 0) | (product.columns == 0) | (product.inner == 0) | (product.batch == 0)
                | (product.shift < SHIFTS.start)
                | (product.function_shift < FUNCTION_SHIFTS.start) | (product.function_shift >= FUNCTION_SHIFTS.stop)
                | (product.bias_shift > c.accumulator_width - c.width)
                | ((c.grid_rows > 1) & (product.rows > 1) & ~product.a_pitch[0])
                | ((c.grid_columns > 1) & (product.columns > 1) & product.transpose & ~product.b_pitch[0])
            ),
            fork.i.payload.eq(product),
            fork.i.valid.eq(self.instruction.valid & ~refused),
            self.instruction.ready.eq(fork.i.ready | refused),
        ]
        return self.instruction.valid & refused

    def _connect_b(self, m, platform, b, grid):
        """From both buffers to the grid; values of the activation buffer saturate to the bits of B."""
        c = self._config
        weights, drained = self._shared(m, b) if self._shared_weights else self._reader(
            m, platform, "weight", self._b_size, b.weight, self.b_weight_read)
        activations, idle = self._reader(m, platform, "activation", self._size, b.activation, self.b_activation_read)
        m.d.comb += b.drained.eq(drained & idle)
        for lane in range(c.grid_columns):
            weight, activation, target = weights[lane], activations[lane], grid.b[lane]
            m.d.comb += [
                target.valid.eq(Mux(b.source, activation.valid, weight.valid)),
                target.payload.eq(Mux(b.source, self._narrowed(activation.payload), weight.payload.as_value())),
                weight.ready.eq(target.ready & ~b.source),
                activation.ready.eq(target.ready & b.source),
            ]

    def _reader(self, m, platform, kind, size, request, port):
        """A reader at a buffer: the streams of its lanes, and whether it is idle."""
        c = self._config
        reader = instantiate(m, platform, f"b_{kind}_reader", TileReader, **size, lanes=c.grid_columns,
                             latency=c.buffer_latency)
        connect(m, request, reader.request)
        connect(m, reader.port, flipped(port))
        return reader.o, reader.idle

    def _shared(self, m, b):
        """The same of the weights that all clusters get: registers, so that no wire crosses the chip twice in a cycle."""
        m.submodules.b_weight_requests = requests = StreamQueue(shape=read_request(self._config.grid_columns), depth=2)
        connect(m, b.weight, requests.i)
        connect(m, requests.o, flipped(self.b_weight_request))
        queues = [StreamQueue(shape=tile_beat(**self._b_size), depth=2) for _ in self.b_weight]
        for n, (source, queue) in enumerate(zip(self.b_weight, queues, strict=True)):
            m.submodules[f"b_weight_queue_{n}"] = queue
            connect(m, flipped(source), queue.i)
        waiting = Cat(queue.o.valid for queue in (requests, *queues)).any()
        return [queue.o for queue in queues], self.b_weight_idle & ~waiting

    def _narrowed(self, beat):
        """The bits of a beat of B that hold what one of the activation buffer does, as near as they can."""
        c = self._config
        if c.b_width == c.width:
            return beat.as_value()
        lines = [saturate(value, c.b_width) for line in beat.lines for value in line]
        return Cat(*lines, *(beat[name] for name, _ in beat.shape() if name != "lines"))

    def _report_errors(self, m, a, b, commands, refused):
        """Raise a fault once every product before it is done: the oldest in flight is then the one to blame."""
        finished = Signal(4)
        m.d.sync += finished.eq(finished + self.done)
        refusal = Signal()
        with m.If(refused):
            m.d.sync += refusal.eq(1)
        faults = [
            ("a", a.fault, a.product, ErrorCode.SLOT_RANGE),
            ("b", b.fault, b.product, ErrorCode.SLOT_RANGE),
            ("slot", commands.slot_fault, commands.product, ErrorCode.SLOT_RANGE),
            ("line", commands.line_fault, commands.product, ErrorCode.LINE_RANGE),
            ("refusal", refusal, self.instruction, ErrorCode.ENGINE_FIELD),
        ]
        for name, fault, taken, code in faults:
            number, blamed = Signal(4, name=f"{name}_number"), Signal(4, name=f"{name}_blamed")
            seen = Signal(name=f"{name}_seen")
            m.d.sync += [number.eq(number + (taken.valid & taken.ready)), seen.eq(fault)]
            with m.If(~seen):
                m.d.sync += blamed.eq(number)
            with m.If(seen & ((blamed - finished)[:4] == 1)):
                m.d.comb += [self.error.valid.eq(1), self.error.code.eq(code - ENGINE_CODE)]

    def _count(self, m, a, b, grid, steps):
        c = self._config
        in_flight = Signal(4)
        accepted = self.instruction.valid & self.instruction.ready
        m.d.sync += in_flight.eq(in_flight + accepted - self.done)
        m.d.comb += [
            self.busy.eq(in_flight != 0),
            self.stalled.eq(self.busy & ~grid.busy.any()),
            self.fired.eq(grid.fired), self.lost.eq(grid.lost),
            self.dense.eq(Mux(steps.o.valid & steps.o.ready, c.multipliers * c.tile, 0)),
            self.a_tiles.eq(a.tiles), self.b_tiles.eq(b.tiles),
            self.pe_busy.eq(grid.busy),
        ]
