/* See acceltran.h. Words of an image are little-endian, whatever the CPU is, and lie at multiples of four bytes. */

#include "acceltran.h"

#include "acceltran_error_codes.h"

#define EVENTS (ACCELTRAN_IRQ_STATUS_DONE_MASK | ACCELTRAN_IRQ_STATUS_ERROR_MASK)
#define PAGE_MASK (ACCELTRAN_PAGE_BYTES - 1u)

#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
typedef uint32_t __attribute__((may_alias)) little_endian;

static uint32_t get32(const uint8_t *at)
{
    return *(const little_endian *)(const void *)at;
}

static void put32(uint8_t *at, uint32_t value)
{
    *(little_endian *)(void *)at = value;
}
#else
static uint32_t get32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put32(uint8_t *at, uint32_t value)
{
    uint32_t n;
    for (n = 0; n < 4; n++, value >>= 8) at[n] = (uint8_t)value;
}
#endif

/* Bits of a stream, from bit `first` on; at most 25. */
static uint32_t get_bits(const uint8_t *stream, size_t first, uint32_t bits)
{
    uint32_t value = 0, n = 0, shift = (uint32_t)first & 7;
    for (stream += first >> 3; n < shift + bits; n += 8) value |= (uint32_t)*stream++ << n;
    return value >> shift & ((1u << bits) - 1);
}

static void put_bits(uint8_t *stream, size_t first, uint32_t bits, uint32_t value)
{
    for (; bits; bits--, first++, value >>= 1) {
        uint8_t mask = (uint8_t)(1u << (first & 7)), *byte = stream + (first >> 3);
        *byte = (uint8_t)(value & 1 ? *byte | mask : *byte & ~mask);
    }
}

static uint32_t read_register(const acceltran_device *device, uint32_t offset)
{
    return device->port->read32(device->port->context, offset);
}

static void write_register(const acceltran_device *device, uint32_t offset, uint32_t value)
{
    device->port->write32(device->port->context, offset, value);
}

/* A low register and, where it is built, the high one behind it. */
static void write_address(const acceltran_device *device, uint32_t offset, uint64_t value)
{
    write_register(device, offset, (uint32_t)value);
    if (device->address_bits > 32) write_register(device, offset + 4, (uint32_t)(value >> 32));
}

static void barrier(const acceltran_device *device)
{
    if (device->port->barrier) device->port->barrier(device->port->context);
}

static void clean(const acceltran_device *device, const void *address, size_t size)
{
    if (device->port->cache_clean) device->port->cache_clean(device->port->context, address, size);
}

/* Whether bytes from `first` to `last` have addresses that the accelerator can form. */
static bool reachable(const acceltran_device *device, uint64_t first, uint64_t last)
{
    return last >= first && (device->address_bits > 32 || last >> 32 == 0);
}

/* --- The accelerator --- */

acceltran_error acceltran_probe(acceltran_device *device, const acceltran_port *port)
{
    device->port = port;
    device->image = NULL;
    device->preloaded = device->bucket = 0;
    if (read_register(device, ACCELTRAN_ID) != ACCELTRAN_IDENTIFIER) return ACCELTRAN_NOT_FOUND;
    device->version = read_register(device, ACCELTRAN_VERSION);
    device->identity = read_register(device, ACCELTRAN_CONFIG_IDENTITY);
    if (device->version >> 8 != ACCELTRAN_DRIVER_VERSION >> 8) return ACCELTRAN_OTHER_VERSION;
    device->address_bits = read_register(device, ACCELTRAN_CONFIG_ADDRESS);
    device->further_ports = (read_register(device, ACCELTRAN_CONFIG_BUS) & ACCELTRAN_CONFIG_BUS_FURTHER_PORTS_MASK) >>
                            ACCELTRAN_CONFIG_BUS_FURTHER_PORTS_SHIFT;
    return ACCELTRAN_OK;
}

static acceltran_error reset(acceltran_device *device, uint32_t command, uint32_t looks)
{
    device->preloaded = 0;
    write_register(device, ACCELTRAN_CONTROL, command);
    for (; looks; looks--)
        if (read_register(device, ACCELTRAN_STATUS) == ACCELTRAN_STATUS_IDLE_MASK) return ACCELTRAN_OK;
    return ACCELTRAN_TIMEOUT;
}

acceltran_error acceltran_soft_reset(acceltran_device *device, uint32_t looks)
{
    return reset(device, ACCELTRAN_CONTROL_RESET_MASK, looks);
}

acceltran_error acceltran_scrub(acceltran_device *device, uint32_t looks)
{
    device->image = NULL;
    return reset(device, ACCELTRAN_CONTROL_SCRUB_MASK, looks);
}

void acceltran_set_watchdog(acceltran_device *device, uint32_t cycles)
{
    write_register(device, ACCELTRAN_WATCHDOG, cycles);
}

static bool locked(const acceltran_device *device)
{
    return read_register(device, ACCELTRAN_ACCESS_LOCK) & ACCELTRAN_ACCESS_LOCK_LOCKED_MASK;
}

/* `offset` is that of the window's base; its limit lies behind that. */
static acceltran_error set_window(acceltran_device *device, uint32_t offset, uint64_t first, uint64_t bytes)
{
    uint64_t last = first + bytes - 1;
    if ((uint32_t)first & PAGE_MASK || (uint32_t)bytes & PAGE_MASK || !bytes || !reachable(device, first, last))
        return ACCELTRAN_BAD_WINDOW;
    if (locked(device)) return ACCELTRAN_LOCKED;
    write_address(device, offset, first);
    write_address(device, offset + (ACCELTRAN_READ_LIMIT - ACCELTRAN_READ_BASE), last);
    return ACCELTRAN_OK;
}

acceltran_error acceltran_set_read_window(acceltran_device *device, uint64_t first, uint64_t bytes)
{
    return set_window(device, ACCELTRAN_READ_BASE, first, bytes);
}

acceltran_error acceltran_set_write_window(acceltran_device *device, uint64_t first, uint64_t bytes)
{
    return set_window(device, ACCELTRAN_WRITE_BASE, first, bytes);
}

acceltran_error acceltran_confine(acceltran_device *device)
{
    acceltran_error error;
    uint32_t bytes;
    if (!device->image) return ACCELTRAN_NO_IMAGE;
    bytes = get32(device->image + ACCELTRAN_DESCRIPTOR_IMAGE_BYTES);
    error = acceltran_set_read_window(device, device->bus_address, bytes);
    return error ? error : acceltran_set_write_window(device, device->bus_address, bytes);
}

acceltran_error acceltran_set_attributes(acceltran_device *device, uint32_t prot, uint32_t cache)
{
    if (prot >> 3 || cache >> 4) return ACCELTRAN_BAD_VALUE;
    if (locked(device)) return ACCELTRAN_LOCKED;
    write_register(device, ACCELTRAN_BUS_ATTRIBUTES,
                   (prot << ACCELTRAN_BUS_ATTRIBUTES_PROT_SHIFT & ACCELTRAN_BUS_ATTRIBUTES_PROT_MASK) |
                       (cache << ACCELTRAN_BUS_ATTRIBUTES_CACHE_SHIFT & ACCELTRAN_BUS_ATTRIBUTES_CACHE_MASK));
    return ACCELTRAN_OK;
}

void acceltran_lock(acceltran_device *device)
{
    write_register(device, ACCELTRAN_ACCESS_LOCK, ACCELTRAN_ACCESS_LOCK_LOCKED_MASK);
}

/* --- The image --- */

/* CRC-32 of the descriptor, with zero in place of its own checksum. */
static uint32_t checksum(const uint8_t *image, uint32_t bytes)
{
    uint32_t crc = 0xffffffffu, n, bit;
    for (n = 0; n < bytes; n++) {
        crc ^= n - ACCELTRAN_DESCRIPTOR_CHECKSUM < 4 ? 0 : image[n];
        for (bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* Whether an image, of which `bytes` bytes are at hand, may lie in `room` bytes at `bus_address` and run on the device. */
static acceltran_error check(const acceltran_device *device, const uint8_t *image, size_t bytes, size_t room,
                             uint64_t bus_address)
{
    uint32_t size, described;
    if ((uintptr_t)image & 3) return ACCELTRAN_BAD_BASE;
    if (bytes < ACCELTRAN_DESCRIPTOR_BYTES ||
        get32(image + ACCELTRAN_DESCRIPTOR_MAGIC) != ACCELTRAN_DESCRIPTOR_MAGIC_VALUE ||
        get32(image + ACCELTRAN_DESCRIPTOR_FORMAT) != ACCELTRAN_DESCRIPTOR_FORMAT_VALUE)
        return ACCELTRAN_BAD_IMAGE;
    size = get32(image + ACCELTRAN_DESCRIPTOR_IMAGE_BYTES);
    described = get32(image + ACCELTRAN_DESCRIPTOR_DESCRIPTOR_BYTES);
    if (described > size || described > bytes || described < ACCELTRAN_DESCRIPTOR_BYTES ||
        checksum(image, described) != get32(image + ACCELTRAN_DESCRIPTOR_CHECKSUM))
        return ACCELTRAN_BAD_IMAGE;
    if (size > room) return ACCELTRAN_IMAGE_TOO_LARGE;
    if (size > bytes) return ACCELTRAN_BAD_IMAGE;
    if ((uint32_t)bus_address & PAGE_MASK || !reachable(device, bus_address, bus_address + size - 1)) return ACCELTRAN_BAD_BASE;
    if (get32(image + ACCELTRAN_DESCRIPTOR_VERSION) >> 8 != device->version >> 8) return ACCELTRAN_OTHER_VERSION;
    if (get32(image + ACCELTRAN_DESCRIPTOR_IDENTITY) != device->identity) return ACCELTRAN_OTHER_CONFIGURATION;
    return described < ACCELTRAN_DESCRIPTOR_BYTES + device->further_ports * ACCELTRAN_STRIPE_BYTES ? ACCELTRAN_BAD_IMAGE
                                                                                                  : ACCELTRAN_OK;
}

/* The record of a memory port beside the first: the last ones of the descriptor. */
static const uint8_t *stripe_record(const acceltran_device *device, uint32_t port)
{
    return device->image + get32(device->image + ACCELTRAN_DESCRIPTOR_DESCRIPTOR_BYTES) -
           (device->further_ports + 1 - port) * ACCELTRAN_STRIPE_BYTES;
}

acceltran_error acceltran_get_stripe(const acceltran_device *device, uint32_t port, acceltran_stripe *stripe)
{
    const uint8_t *record;
    if (!device->image) return ACCELTRAN_NO_IMAGE;
    if (!port || port > device->further_ports) return ACCELTRAN_NO_PORT;
    record = stripe_record(device, port);
    stripe->offset = get32(record + ACCELTRAN_STRIPE_OFFSET);
    stripe->bytes = get32(record + ACCELTRAN_STRIPE_BYTES_WORD);
    return ACCELTRAN_OK;
}

acceltran_error acceltran_place_stripe(acceltran_device *device, uint32_t port, uint64_t bus_address)
{
    acceltran_stripe stripe;
    uint32_t first;
    acceltran_error error = acceltran_get_stripe(device, port, &stripe);
    if (error) return error;
    first = get32(stripe_record(device, port) + ACCELTRAN_STRIPE_FIRST);
    if ((uint32_t)bus_address & PAGE_MASK || bus_address < first ||
        !reachable(device, bus_address, bus_address + stripe.bytes - 1))
        return ACCELTRAN_BAD_BASE;
    write_address(device, ACCELTRAN_PORT_BASE_1 + (port - 1) * (ACCELTRAN_PORT_BASE_2 - ACCELTRAN_PORT_BASE_1),
                  bus_address - first);
    return ACCELTRAN_OK;
}

acceltran_error acceltran_attach(acceltran_device *device, void *memory, size_t room, uint64_t bus_address)
{
    uint8_t *image = memory;
    const uint8_t *knot;
    uint32_t curve, n;
    acceltran_stripe stripe;
    acceltran_error error = check(device, image, room, room, bus_address);
    if (error) return error;
    device->image = image;
    device->bus_address = bus_address;
    device->tile = get32(image + ACCELTRAN_DESCRIPTOR_TILE);
    device->width = get32(image + ACCELTRAN_DESCRIPTOR_WIDTH);
    device->preloaded = device->bucket = 0;
    clean(device, image, get32(image + ACCELTRAN_DESCRIPTOR_IMAGE_BYTES));
    write_address(device, ACCELTRAN_MEMORY_BASE, bus_address);
    for (n = 1; !acceltran_get_stripe(device, n, &stripe); n++) acceltran_place_stripe(device, n, bus_address + stripe.offset);
    knot = image + get32(image + ACCELTRAN_DESCRIPTOR_CURVES_OFFSET);
    for (curve = 0; curve < get32(image + ACCELTRAN_DESCRIPTOR_CURVE_COUNT); curve++)
        for (n = 0; n < ACCELTRAN_KNOTS; n++, knot += 4)
            write_register(device, ACCELTRAN_CURVE + 4 * (ACCELTRAN_CURVE_STRIDE * curve + n), get32(knot));
    write_register(device, ACCELTRAN_TARGET_SPARSITY, get32(image + ACCELTRAN_DESCRIPTOR_TARGET_SPARSITY));
    write_register(device, ACCELTRAN_IRQ_ENABLE, device->port->wait ? EVENTS : 0);
    return ACCELTRAN_OK;
}

acceltran_error acceltran_load(acceltran_device *device, const void *source, size_t source_bytes, void *memory, size_t room,
                               uint64_t bus_address)
{
    const uint8_t *from = source;
    uint8_t *to = memory;
    uint32_t n, size;
    acceltran_error error = check(device, from, source_bytes, room, bus_address);
    if (error) return error;
    size = get32(from + ACCELTRAN_DESCRIPTOR_IMAGE_BYTES);
    for (n = 0; n < size; n++) to[n] = from[n];
    return acceltran_attach(device, memory, room, bus_address);
}

/* --- Sentences --- */

static uint8_t *bucket_record(const acceltran_device *device, uint32_t index)
{
    return device->image + get32(device->image + ACCELTRAN_DESCRIPTOR_BUCKETS_OFFSET) + ACCELTRAN_BUCKET_BYTES * index;
}

uint32_t acceltran_bucket_count(const acceltran_device *device)
{
    return device->image ? get32(device->image + ACCELTRAN_DESCRIPTOR_BUCKET_COUNT) : 0;
}

/* NO_IMAGE, NO_BUCKET or OK. */
static acceltran_error known(const acceltran_device *device, uint32_t index)
{
    if (!device->image) return ACCELTRAN_NO_IMAGE;
    return index < acceltran_bucket_count(device) ? ACCELTRAN_OK : ACCELTRAN_NO_BUCKET;
}

acceltran_error acceltran_get_bucket(const acceltran_device *device, uint32_t index, acceltran_bucket *bucket)
{
    const uint8_t *record;
    acceltran_error error = known(device, index);
    if (error) return error;
    record = bucket_record(device, index);
    bucket->tokens = get32(record + ACCELTRAN_BUCKET_TOKENS);
    bucket->sentences = get32(record + ACCELTRAN_BUCKET_SENTENCES);
    bucket->words = get32(record + ACCELTRAN_BUCKET_WORDS);
    bucket->outputs = get32(record + ACCELTRAN_BUCKET_OUTPUT_COUNT);
    bucket->fixed = get32(record + ACCELTRAN_BUCKET_FIXED) != 0;
    return ACCELTRAN_OK;
}

acceltran_error acceltran_choose_bucket(const acceltran_device *device, uint32_t tokens, uint32_t *index)
{
    uint32_t n;
    acceltran_error error;
    for (n = 0; !(error = known(device, n)); n++)
        if (tokens <= get32(bucket_record(device, n) + ACCELTRAN_BUCKET_TOKENS)) {
            *index = n;
            break;
        }
    return error;
}

/* Start a program whose entry and length stand at `offset` of a bucket's record. */
static acceltran_error start(acceltran_device *device, const uint8_t *record, uint32_t entry, uint32_t instructions)
{
    if (!(read_register(device, ACCELTRAN_STATUS) & ACCELTRAN_STATUS_IDLE_MASK)) return ACCELTRAN_BUSY;
    write_register(device, ACCELTRAN_PROGRAM_ADDRESS, get32(record + entry));
    write_register(device, ACCELTRAN_PROGRAM_LENGTH, get32(record + instructions));
    write_register(device, ACCELTRAN_IRQ_STATUS, EVENTS);
    barrier(device);
    write_register(device, ACCELTRAN_CONTROL, ACCELTRAN_CONTROL_START_MASK);
    return ACCELTRAN_OK;
}

acceltran_error acceltran_select_bucket(acceltran_device *device, uint32_t index, uint32_t timeout)
{
    const uint8_t *record;
    acceltran_error error = known(device, index);
    if (error) return error;
    record = bucket_record(device, index);
    if (get32(record + ACCELTRAN_BUCKET_PRELOAD_INSTRUCTIONS) && device->preloaded != index + 1) {
        device->preloaded = 0;
        error = start(device, record, ACCELTRAN_BUCKET_PRELOAD_ENTRY, ACCELTRAN_BUCKET_PRELOAD_INSTRUCTIONS);
        if (!error) error = acceltran_finish(device, timeout);
        if (error) return error;
        device->preloaded = index + 1;
    }
    device->bucket = index;
    return ACCELTRAN_OK;
}

acceltran_error acceltran_set_sentence(acceltran_device *device, uint32_t sentence, const uint32_t *tokens, uint32_t count)
{
    const uint8_t *record, *one;
    uint8_t *at;
    uint32_t n, token, first, length, room = 0;
    acceltran_bucket bucket;
    acceltran_error error = acceltran_get_bucket(device, device->bucket, &bucket);
    if (error) return error;
    if (bucket.fixed) return ACCELTRAN_FIXED_SENTENCE;
    record = bucket_record(device, device->bucket);
    one = device->image + get32(record + ACCELTRAN_BUCKET_RUNS_OFFSET);
    for (n = get32(record + ACCELTRAN_BUCKET_RUN_COUNT); n; n--, one += ACCELTRAN_RUN_BYTES)
        if (get32(one + ACCELTRAN_RUN_SENTENCE) == sentence) room += get32(one + ACCELTRAN_RUN_COUNT);
    if (!count || count > room || count > bucket.tokens) return ACCELTRAN_BAD_SENTENCE;
    for (n = 0; n < count; n++)
        if (tokens[n] >= bucket.words) return ACCELTRAN_BAD_TOKEN;

    one = device->image + get32(record + ACCELTRAN_BUCKET_RUNS_OFFSET);
    for (n = get32(record + ACCELTRAN_BUCKET_RUN_COUNT); n; n--, one += ACCELTRAN_RUN_BYTES) {
        if (get32(one + ACCELTRAN_RUN_SENTENCE) != sentence) continue;
        first = get32(one + ACCELTRAN_RUN_FIRST);
        length = get32(one + ACCELTRAN_RUN_COUNT);
        at = device->image + get32(one + ACCELTRAN_RUN_OFFSET);
        for (token = 0; token < length; token++)
            put32(at + 4 * token, first + token < count ? tokens[first + token] : 0);
        clean(device, at, 4 * length);
    }
    one = device->image + get32(record + ACCELTRAN_BUCKET_PATCHES_OFFSET);
    for (n = get32(record + ACCELTRAN_BUCKET_PATCH_COUNT); n; n--, one += ACCELTRAN_PATCH_BYTES) {
        if (get32(one + ACCELTRAN_PATCH_SENTENCE) != sentence) continue;
        at = device->image + get32(record + ACCELTRAN_BUCKET_ENTRY) +
             ACCELTRAN_INSTRUCTION_BYTES * get32(one + ACCELTRAN_PATCH_INSTRUCTION);
        put_bits(at, get32(device->image + ACCELTRAN_DESCRIPTOR_VALID_COLUMNS_BIT),
                 get32(device->image + ACCELTRAN_DESCRIPTOR_VALID_COLUMNS_BITS), count);
        clean(device, at, ACCELTRAN_INSTRUCTION_BYTES);
    }
    return ACCELTRAN_OK;
}

/* --- Runs --- */

acceltran_error acceltran_start(acceltran_device *device)
{
    if (!device->image) return ACCELTRAN_NO_IMAGE;
    return start(device, bucket_record(device, device->bucket), ACCELTRAN_BUCKET_ENTRY, ACCELTRAN_BUCKET_INSTRUCTIONS);
}

acceltran_error acceltran_finish(acceltran_device *device, uint32_t timeout)
{
    const uint32_t ended = ACCELTRAN_STATUS_DONE_MASK | ACCELTRAN_STATUS_ERROR_MASK;
    uint32_t status;
    if (device->port->wait) {
        device->port->wait(device->port->context, timeout);
        status = read_register(device, ACCELTRAN_STATUS);
    } else {
        do status = read_register(device, ACCELTRAN_STATUS);
        while (!(status & ended) && timeout--);
    }
    if (!(status & ended)) return ACCELTRAN_TIMEOUT;
    acceltran_acknowledge(device);
    barrier(device);
    return status & ACCELTRAN_STATUS_ERROR_MASK ? ACCELTRAN_FAULT : ACCELTRAN_OK;
}

acceltran_error acceltran_run(acceltran_device *device, uint32_t timeout)
{
    acceltran_error error = acceltran_start(device);
    return error ? error : acceltran_finish(device, timeout);
}

acceltran_error acceltran_infer(acceltran_device *device, const uint32_t *tokens, uint32_t count, uint32_t timeout)
{
    uint32_t index;
    acceltran_error error = acceltran_choose_bucket(device, count, &index);
    if (!error) error = acceltran_select_bucket(device, index, timeout);
    if (!error) error = acceltran_set_sentence(device, 0, tokens, count);
    return error ? error : acceltran_run(device, timeout);
}

void acceltran_acknowledge(acceltran_device *device)
{
    write_register(device, ACCELTRAN_IRQ_STATUS, EVENTS);
}

void acceltran_get_fault(acceltran_device *device, acceltran_fault *fault)
{
    fault->code = read_register(device, ACCELTRAN_ERROR_CODE);
    fault->instruction = read_register(device, ACCELTRAN_ERROR_INSTRUCTION);
    fault->engine = read_register(device, ACCELTRAN_ERROR_ENGINE);
}

uint64_t acceltran_read_counter(acceltran_device *device, uint32_t offset)
{
    uint32_t low = read_register(device, offset); /* It keeps the high word that belongs to it. */
    return (uint64_t)read_register(device, offset + 4) << 32 | low;
}

/* --- Results --- */

acceltran_error acceltran_get_output(const acceltran_device *device, uint32_t index, acceltran_output *output)
{
    const uint8_t *record;
    if (!device->image) return ACCELTRAN_NO_IMAGE;
    record = bucket_record(device, device->bucket);
    if (index >= get32(record + ACCELTRAN_BUCKET_OUTPUT_COUNT)) return ACCELTRAN_NO_OUTPUT;
    record = device->image + get32(record + ACCELTRAN_BUCKET_OUTPUTS_OFFSET) + ACCELTRAN_OUTPUT_BYTES * index;
    output->name = (const char *)record + ACCELTRAN_OUTPUT_NAME;
    output->offset = get32(record + ACCELTRAN_OUTPUT_OFFSET);
    output->bytes = get32(record + ACCELTRAN_OUTPUT_BYTES_WORD);
    output->tile_rows = get32(record + ACCELTRAN_OUTPUT_TILE_ROWS);
    output->tile_columns = get32(record + ACCELTRAN_OUTPUT_TILE_COLUMNS);
    output->groups = get32(record + ACCELTRAN_OUTPUT_GROUPS);
    output->valid_rows = get32(record + ACCELTRAN_OUTPUT_VALID_ROWS);
    output->valid_columns = get32(record + ACCELTRAN_OUTPUT_VALID_COLUMNS);
    output->frac = (int32_t)get32(record + ACCELTRAN_OUTPUT_FRAC);
    return ACCELTRAN_OK;
}

acceltran_error acceltran_find_output(const acceltran_device *device, const char *name, acceltran_output *output)
{
    acceltran_output one;
    uint32_t n, at;
    acceltran_error error;
    for (n = 0; !(error = acceltran_get_output(device, n, &one)); n++) {
        for (at = 0; name[at] && name[at] == one.name[at]; at++) {}
        if (name[at] == one.name[at]) return acceltran_get_output(device, n, output);
    }
    return error;
}

/* --- Packed tiles: of each a mask, a bit per element, and lines of `tile` values with those that are not zero --- */

static acceltran_error unpack(uint32_t tile, uint32_t width, const uint8_t *stream, size_t bytes, const acceltran_output *shape,
                              int32_t *values, size_t capacity)
{
    const uint32_t elements = tile * tile, line_bytes = tile * width / 8, mask_bytes = elements / 8;
    const uint32_t group_rows = shape->tile_rows * tile / shape->groups;
    const size_t count = (size_t)shape->groups * shape->valid_rows * shape->valid_columns;
    uint32_t tile_row, tile_column, n, row, column, group, in_group;
    size_t used, taken;
    if (count > capacity) return ACCELTRAN_TOO_SMALL;
    for (used = 0; used < count; used++) values[used] = 0;
    for (tile_row = 0; tile_row < shape->tile_rows; tile_row++)
        for (tile_column = 0; tile_column < shape->tile_columns; tile_column++) {
            const uint8_t *mask = stream, *lines = stream + mask_bytes;
            if (bytes < mask_bytes) return ACCELTRAN_BAD_TILES;
            used = 0;
            for (n = 0; n < elements; n++) used += mask[n >> 3] >> (n & 7) & 1;
            used = (used + tile - 1) / tile * line_bytes + mask_bytes;
            if (bytes < used) return ACCELTRAN_BAD_TILES;
            taken = 0;
            row = tile_row * tile;
            group = row / group_rows;
            in_group = row - group * group_rows;
            column = tile_column * tile;
            for (n = 0; n < elements; n++) {
                if (mask[n >> 3] >> (n & 7) & 1) {
                    if (in_group < shape->valid_rows && column < shape->valid_columns) {
                        uint32_t sign = 1u << (width - 1), value = get_bits(lines, taken, width);
                        values[((size_t)group * shape->valid_rows + in_group) * shape->valid_columns + column] =
                            (int32_t)(value ^ sign) - (int32_t)sign;
                    }
                    taken += width;
                }
                if (++column == (tile_column + 1) * tile) {
                    column -= tile;
                    if (++in_group == group_rows) {
                        in_group = 0;
                        group++;
                    }
                }
            }
            stream += used;
            bytes -= used;
        }
    return ACCELTRAN_OK;
}

acceltran_error acceltran_read_output(acceltran_device *device, const acceltran_output *output, int32_t *values,
                                      size_t capacity)
{
    const uint8_t *stream;
    if (!device->image) return ACCELTRAN_NO_IMAGE;
    stream = device->image + output->offset;
    if (device->port->cache_invalidate) device->port->cache_invalidate(device->port->context, stream, output->bytes);
    return unpack(device->tile, device->width, stream, output->bytes, output, values, capacity);
}

acceltran_error acceltran_unpack(uint32_t tile, uint32_t width, const void *stream, size_t bytes, uint32_t tile_rows,
                                 uint32_t tile_columns, int32_t *values, size_t capacity)
{
    acceltran_output all;
    all.tile_rows = tile_rows;
    all.tile_columns = tile_columns;
    all.groups = 1;
    all.valid_rows = tile_rows * tile;
    all.valid_columns = tile_columns * tile;
    return unpack(tile, width, stream, bytes, &all, values, capacity);
}

acceltran_error acceltran_pack(uint32_t tile, uint32_t width, const int32_t *values, uint32_t tile_rows, uint32_t tile_columns,
                               void *stream, size_t capacity, size_t *bytes)
{
    const uint32_t columns = tile_columns * tile, mask_bytes = tile * tile / 8, line_bytes = tile * width / 8;
    const int32_t most = (int32_t)((1u << (width - 1)) - 1);
    uint32_t tile_row, tile_column, row, column;
    size_t used = 0;
    for (tile_row = 0; tile_row < tile_rows; tile_row++)
        for (tile_column = 0; tile_column < tile_columns; tile_column++) {
            uint8_t *mask = (uint8_t *)stream + used;
            uint32_t element = 0, count = 0, end = mask_bytes;
            if (capacity - used < mask_bytes) return ACCELTRAN_TOO_SMALL;
            for (row = 0; row < tile; row++)
                for (column = 0; column < tile; column++, element++) {
                    int32_t value = values[((size_t)tile_row * tile + row) * columns + tile_column * tile + column];
                    put_bits(mask, element, 1, value != 0);
                    if (!value) continue;
                    if (value > most || value < -most - 1) return ACCELTRAN_BAD_VALUE;
                    if (count % tile == 0) {
                        if (capacity - used < end + line_bytes) return ACCELTRAN_TOO_SMALL;
                        put_bits(mask + end, 0, 8 * line_bytes, 0);
                        end += line_bytes;
                    }
                    put_bits(mask + mask_bytes, (size_t)count++ * width, width, (uint32_t)value);
                }
            used += end;
        }
    *bytes = used;
    return ACCELTRAN_OK;
}

/* --- Words --- */

const char *acceltran_error_text(acceltran_error error)
{
    switch (error) {
    case ACCELTRAN_OK: return "all is well";
    case ACCELTRAN_NOT_FOUND: return "no accelerator answers: check the registers' address";
    case ACCELTRAN_OTHER_VERSION: return "accelerator, driver or image of another version: make all with one";
    case ACCELTRAN_OTHER_CONFIGURATION: return "image for another configuration: compile it again";
    case ACCELTRAN_BAD_IMAGE: return "no image, or damaged: compile it again";
    case ACCELTRAN_IMAGE_TOO_LARGE: return "image too large: give it more memory";
    case ACCELTRAN_BAD_BASE: return "image not at a 4 KiB page, or out of reach: move it";
    case ACCELTRAN_NO_IMAGE: return "no image attached: attach one";
    case ACCELTRAN_NO_BUCKET: return "no program takes so many tokens: shorten the sentence";
    case ACCELTRAN_BAD_SENTENCE: return "no such sentence, no tokens or too many: choose another bucket";
    case ACCELTRAN_BAD_TOKEN: return "token beyond the vocabulary: use the model's tokenizer";
    case ACCELTRAN_FIXED_SENTENCE: return "program of one sentence: compile the other one";
    case ACCELTRAN_BAD_WINDOW: return "window not of 4 KiB pages, or out of reach: move it";
    case ACCELTRAN_LOCKED: return "locked: reset by the pin";
    case ACCELTRAN_BUSY: return "not idle: wait, or reset softly";
    case ACCELTRAN_TIMEOUT: return "not done in time: allow more, or reset";
    case ACCELTRAN_FAULT: return "program stopped: ask for the fault";
    case ACCELTRAN_NO_OUTPUT: return "no such output: see the manifest";
    case ACCELTRAN_TOO_SMALL: return "no room for the result: give more";
    case ACCELTRAN_BAD_TILES: return "packed tiles without end: run the program first";
    case ACCELTRAN_BAD_VALUE: return "value with too many bits: scale it down";
    case ACCELTRAN_NO_PORT: return "no such memory port: see further_ports";
    case ACCELTRAN_ERRORS: break;
    }
    return "unknown error";
}

const char *acceltran_fault_text(uint32_t code)
{
    switch (code) {
#define TEXT(number, text) case number: return text;
        ACCELTRAN_ERROR_CODE_LIST(TEXT)
    }
    return "unknown code";
}

const char *acceltran_engine_text(uint32_t engine)
{
    switch (engine) {
        ACCELTRAN_ERROR_ENGINE_LIST(TEXT)
#undef TEXT
    }
    return "unknown engine";
}
