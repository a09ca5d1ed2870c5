"""What works on the activations of some sequences: both engines, the buffers of activations and vectors, and their wires."""

from types import SimpleNamespace

from amaranth.lib.wiring import connect

from .buffer.tile_buffer import TileBuffer
from .buffer.tile_reader import TileReader
from .buffer.vector_buffer import VectorBuffer
from .matrix.matrix_engine import MatrixEngine
from .vector.vector_engine import VectorEngine

__all__ = ["ClusterParts"]


class ClusterParts:
    """The parts of one cluster, for a module that adds them and connects what is left open.

    Parameters
    ----------
    config : AcceleratorConfig of one cluster
    shared_weights : as for `MatrixEngine`

    Members
    -------
    matrix : MatrixEngine, without instructions, thresholds and weights
    vector : VectorEngine, without instructions and thresholds
    activation : TileBuffer; activation_writes, its last writers, are free: one for each memory port that may bring activations
    vectors : VectorBuffer; its writer is free
    store_reader : TileReader, without requests; nobody takes its tiles
    counts : what is done in a cycle, by the names of `counts_layout`
    """

    def __init__(self, *, config, shared_weights=False):
        c, self._softmax_units = config, config.softmax_units
        # Of the further memory ports, one at most brings embeddings to a cluster.
        self._ports = 2 if shared_weights and config.memory_ports > 1 else 1
        size = {"tile": c.tile, "width": c.width, "lines_per_beat": c.lines_per_beat}
        self.matrix = matrix = MatrixEngine(config=c, shared_weights=shared_weights)
        self.vector = vector = VectorEngine(config=c)
        self.activation = TileBuffer(
            **size, banks=c.activation_banks, tiles=c.activation_tiles, name="activation", registered=c.buffer_registers,
            readers=[c.grid_rows, c.grid_columns, 1, *[1] * vector.readers],
            writers=matrix.ports + vector.writers + self._ports,
        )
        self.vectors = VectorBuffer(tile=c.tile, width=c.width, scale_bits=c.scale_bits, lines=c.vector_lines,
                                    readers=1 + len(vector.line))
        self.store_reader = TileReader(**size, lanes=1, latency=c.buffer_latency)

    @property
    def activation_writes(self):
        """The free writers of the activation buffer."""
        count = len(self.activation.write)
        return [self.activation.write[n] for n in range(count - self._ports, count)]

    @property
    def counts(self):
        """See `counts_layout`."""
        matrix, activation, units = self.matrix, self.activation, self.vector.unit_busy
        return SimpleNamespace(
            fired=matrix.fired, dense=matrix.dense, lost=matrix.lost, a_tiles=matrix.a_tiles, b_tiles=matrix.b_tiles,
            words_read=activation.words_read, words_written=activation.words_written,
            pe_busy=matrix.pe_busy, softmax_busy=units[: self._softmax_units], layernorm_busy=units[self._softmax_units:])

    def add(self, m, renamed=lambda component: component):
        """Add the parts to `m`, each as `renamed` gives it, and connect them with each other."""
        matrix, vector, activation, vectors, reader = (
            self.matrix, self.vector, self.activation, self.vectors, self.store_reader)
        m.submodules.matrix = renamed(matrix)
        m.submodules.vector = renamed(vector)
        m.submodules.activation_buffer = renamed(activation)
        m.submodules.vector_buffer = renamed(vectors)
        m.submodules.store_reader = renamed(reader)
        for port, source in enumerate((matrix.a_read, matrix.b_activation_read, reader.port,
                                       *(getattr(vector, f"read_{n}") for n in range(vector.readers)))):
            connect(m, source, getattr(activation, f"read_{port}"))
        for n, (request, line) in enumerate(((matrix.line_request, matrix.line),
                                             *zip(vector.line_request, vector.line, strict=True))):
            connect(m, request, vectors.request[n])
            connect(m, vectors.o[n], line)
        for n, source in enumerate((*matrix.write, *vector.write)):
            connect(m, source, activation.write[n])

    def connect_store(self, m, request):
        """Take the slots of a STORE, one after the other."""
        reader = self.store_reader
        m.d.comb += [
            reader.request.valid.eq(request.valid),
            reader.request.payload.slots[0].eq(request.payload),
            reader.request.payload.active.eq(1),
            request.ready.eq(reader.request.ready),
        ]
