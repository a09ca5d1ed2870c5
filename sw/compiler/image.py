"""The main memory image: sections, packed tiles, tables, vectors."""

import numpy as np

from ..golden.tiles import lines_to_bytes, tiles_of

__all__ = ["PIECE", "SECTION", "Image", "bytes_of", "pack_matrix", "pack_shares", "pack_table", "pack_values",
           "pack_vectors", "stripe_section", "to_hex"]

SECTION = 4096
"""Alignment of a section."""

PIECE = 64
"""Alignment of a piece: whole beats of the widest bus."""


class Image:
    """Collects pieces and gives each an address, from the image's first byte on: it may lie anywhere.

    Parameters
    ----------
    ports : to main memory; pieces of weights have a share for each, and those beside the first lie in stripes
    """

    def __init__(self, ports=1):
        self.end = 0
        self.sections, self._pieces, self._shared = {}, [], {}
        self._stripes: dict[int, list] = {port: [] for port in range(1, ports)}

    def section(self, name):
        """Start a section; pieces go there until the next one starts."""
        self.end = _up(self.end, SECTION)
        self.sections[name] = [self.end, 0]
        self._open = name

    def add(self, raw):
        """Append a piece (bytes, or a number of empty bytes) and return its address."""
        self.end = address = _up(self.end, PIECE)
        size = raw if isinstance(raw, int) else len(raw)
        if size and not isinstance(raw, int):
            self._pieces.append((address, raw))
        self.end += size
        self.sections[self._open][1] = _up(self.end, PIECE) - self.sections[self._open][0]
        return address

    def share(self, raw):
        """The address of a piece (bytes) that nothing changes; equal ones, as of layers that share weights, lie there once."""
        if raw not in self._shared:
            self._shared[raw] = self.add(raw)
        return self._shared[raw]

    def share_striped(self, shares):
        """The same of a piece of weights with a share (bytes) for each port, all of one size: the address of all of them."""
        key = tuple(shares)
        if key not in self._shared:
            self._shared[key] = address = self.add(shares[0])
            for stripe, share in zip(self._stripes.values(), shares[1:], strict=True):
                stripe.append((address, share))
        return self._shared[key]

    def add_stripes(self, section):
        """Append a section for each port beside the first, with its shares where the first port's lie in `section`."""
        first, size = self.sections[section]
        for port, shares in self._stripes.items():
            self.section(stripe_section(port))
            start = self.add(size)
            self._pieces += [(start + address - first, share) for address, share in shares]

    def replace(self, address, raw):
        """Fill a piece that was added empty."""
        self._pieces.append((address, raw))

    @property
    def size(self):
        """Bytes of the whole image, in whole sections."""
        return _up(self.end, SECTION)

    def to_bytes(self):
        """The whole image."""
        memory = np.zeros(self.size, dtype=np.uint8)
        for address, raw in self._pieces:
            memory[address: address + len(raw)] = np.frombuffer(raw, np.uint8)
        return memory.tobytes()


def stripe_section(port):
    """The name of the section that a port beside the first reads weights from."""
    return f"stripe_{port}"


def _up(value, unit):
    return -(-value // unit) * unit


def bytes_of(bits, bus_width):
    """Bytes of this many bits in whole beats of the bus."""
    return -(-bits // bus_width) * bus_width // 8


def pack_values(rows, width):
    """Rows of integers [n, m], m * width whole bytes, to bytes [n, m * width / 8] of two's complement words.

    Words are joined in 64-bit groups where a few of them make whole bytes, and bit by bit elsewhere.
    """
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    group = 8 // np.gcd(width, 8)
    if group * width > 64 or rows.shape[1] % group:
        return np.frombuffer(lines_to_bytes(rows, width), np.uint8).reshape(len(rows), -1)
    words = np.zeros((len(rows), rows.shape[1] // group), dtype=np.uint64)
    for n in range(group):
        words |= (rows[:, n::group].astype(np.uint64) & np.uint64((1 << width) - 1)) << np.uint64(n * width)
    raw = words.astype("<u8").view(np.uint8).reshape(*words.shape, 8)
    return np.ascontiguousarray(raw[:, :, : group * width // 8]).reshape(len(rows), -1)


def pack_matrix(matrix, size, width):
    """What `to_stream` gives, for all tiles at once."""
    raw, used = _packed_tiles(matrix, size, width)
    return raw[used].tobytes()


def pack_shares(matrix, size, width, ports):
    """The share of each port as bytes: port p has tile p, and every `ports`-th after it. Zeros make all shares as long."""
    raw, used = _packed_tiles(matrix, size, width)
    shares = [raw[port::ports][used[port::ports]].tobytes() for port in range(ports)]
    longest = max(map(len, shares))
    return [share.ljust(longest, b"\0") for share in shares]


def _packed_tiles(matrix, size, width):
    """Bytes of each tile [tiles, most], and which of them are used."""
    tiles = tiles_of(matrix, size).reshape(-1, size * size)
    mask = tiles != 0
    order = np.argsort(~mask, axis=1, kind="stable")
    lines = pack_values(np.take_along_axis(tiles, order, axis=1).reshape(-1, size), width).reshape(len(tiles), -1)
    header = np.packbits(mask, axis=1, bitorder="little")
    line_bytes = size * width // 8
    used = header.shape[1] + -(-mask.sum(1) // size) * line_bytes
    raw = np.concatenate([header, lines], axis=1)
    return raw, np.arange(raw.shape[1]) < used[:, None]


def pack_vectors(values, scales, config):
    """Lines of the vector buffer as bytes, from their values and scales [lines, T]; `config` says how wide these are."""
    parts = [pack_values(values, config.width)]
    if config.scale_bits:
        parts.append(pack_values(scales, config.scale_bits))
    return np.concatenate(parts, axis=1).tobytes()


def pack_table(values, width, bus_bytes):
    """Raw rows of a gather table, each padded to the bus: (bytes, bytes from row to row)."""
    packed = pack_values(values, width)
    pitch = _up(packed.shape[1], bus_bytes)
    return np.pad(packed, ((0, 0), (0, pitch - packed.shape[1]))).tobytes(), pitch


def to_hex(raw, word_bytes):
    """Bytes as text for $readmemh, a little-endian word per line, the last one filled up with zeros."""
    padded = np.frombuffer(bytes(raw) + bytes(-len(raw) % word_bytes), dtype=np.uint8).reshape(-1, word_bytes)
    text = padded[:, ::-1].tobytes().hex()
    return "".join(f"{text[n: n + 2 * word_bytes]}\n" for n in range(0, len(text), 2 * word_bytes))
