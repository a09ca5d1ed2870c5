"""One reader of the weight buffer for the matrix engines of all clusters."""

from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..buffer.tile_reader import TileReader, read_port, read_request
from ..layout import tile_beat
from ..streams.stream_fork import StreamFork

__all__ = ["WeightBroadcast"]


class WeightBroadcast(wiring.Component):
    """Reads the tiles that all clusters ask for, once, and hands every beat to each of them.

    All clusters run the same products with weights, so their requests are the same, one after the other: a request is read
    when the last cluster asks for it. A cluster takes each beat at its own time, and the next one of that column comes when
    all have taken it. Latency and throughput are those of `TileReader`.

    Parameters
    ----------
    tile, width, lines_per_beat : format of weight tiles
    columns : tiles of a request
    clusters : who asks
    latency : of the weight buffer, in cycles

    Members
    -------
    request : In(stream(read_request(columns))).array(clusters)
    port : Out(read_port), to the weight buffer
    o : Out(stream(tile_beat)).array(clusters, columns)
    idle : Out(1), nothing is in work, and every cluster has taken everything
    """

    def __init__(self, *, tile, width, lines_per_beat, columns, clusters, latency=1):
        self._size = {"tile": tile, "width": width, "lines_per_beat": lines_per_beat}
        self._columns, self._clusters, self._latency = columns, clusters, latency
        super().__init__({
            "request": In(stream.Signature(read_request(columns))).array(clusters),
            "port": Out(read_port(**self._size, lanes=columns)),
            "o": Out(stream.Signature(tile_beat(**self._size))).array(clusters, columns),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = TileReader(**self._size, lanes=self._columns, latency=self._latency)
        asked = Cat(request.valid for request in self.request).all()
        m.d.comb += [
            reader.request.payload.eq(self.request[0].payload),
            reader.request.valid.eq(asked),
            *(request.ready.eq(asked & reader.request.ready) for request in self.request),
            self.idle.eq(reader.idle),
        ]
        connect(m, reader.port, flipped(self.port))
        for column, beats in enumerate(reader.o):
            m.submodules[f"fork_{column}"] = fork = StreamFork(shape=beats.p.shape(), branches=self._clusters)
            connect(m, beats, fork.i)
            for branch, cluster in zip(fork.o, self.o, strict=True):
                connect(m, branch, flipped(cluster[column]))
        return m
