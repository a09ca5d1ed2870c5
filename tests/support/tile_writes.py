"""Writes into a tile buffer, as integers."""

from acceltran.hw.layout import tile_write
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.sw.golden.tiles import pack_bits, pack_tile, unpack_bits

__all__ = ["unpack_write", "write_words", "writes_of"]


def writes_of(tile, slot, lines_per_write):
    """({line number: values}, slot, mask or None) of each write, in order."""
    mask, lines = pack_tile(tile)
    bits = pack_bits(mask.reshape(-1), 1)
    writes = [[{n: lines[n].tolist() for n in range(first, min(first + lines_per_write, len(lines)))}, slot, None]
              for first in range(0, len(lines), lines_per_write)]
    full_before = mask[-1].sum() == 0 and len(lines) % lines_per_write == 0 and mask.sum() % len(tile) == 0
    if not mask.any() or full_before:
        writes.append([{}, slot, None])
    writes[-1][2] = bits
    return [tuple(w) for w in writes]


def unpack_write(word, size, width, lines_per_beat):
    fields = {}
    for name, field in tile_write(size, width, lines_per_beat):
        fields[name] = word >> field.offset & (1 << field.width) - 1
    lines = {
        fields["index"] * lines_per_beat + place: unpack_bits(fields["lines"] >> (place * size * width), width, size).tolist()
        for place in range(lines_per_beat) if fields["line_enable"] >> place & 1
    }
    return lines, fields["slot"], fields["mask"] if fields["last"] else None


def write_words(tile, slot, size, width, lines_per_beat, rng):
    """The payloads of `tile_write` for a tile, one or more lines at a time."""
    mask, lines = pack_tile(tile)
    words = []
    position = 0
    while position < len(lines) or not words:
        index, lane = divmod(position, lines_per_beat)
        count = min(rng.randint(1, lines_per_beat), lines_per_beat - lane, len(lines) - position)
        payload = 0
        for n in range(count):
            payload |= pack_bits(lines[position + n], width) << (lane + n) * size * width
        shift = lines_per_beat * size * width
        payload |= (((1 << count) - 1) << lane) << shift
        shift += lines_per_beat
        payload |= index << shift
        shift += max(1, (size // lines_per_beat - 1).bit_length())
        payload |= slot << shift
        shift += SLOT_BITS
        position += count
        if position >= len(lines):
            payload |= pack_bits(mask.reshape(-1), 1) << shift
            payload |= 1 << (shift + size * size)
        words.append(payload)
    return words
