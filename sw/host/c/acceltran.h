/* Driver of an AccelTran accelerator: C99, freestanding, without allocation and without calls to a library.
 *
 * What it needs from a board is in `acceltran_port`; what it needs from the compiler is the image.bin of
 * `acceltran compile`. A sentence takes five calls:
 *
 *     acceltran_probe(&device, &port);
 *     acceltran_attach(&device, image, room, bus_address);
 *     acceltran_infer(&device, tokens, count, timeout);
 *     acceltran_find_output(&device, "logits", &output);
 *     acceltran_read_output(&device, &output, values, capacity);
 *
 * Every function that can fail returns an `acceltran_error`, ACCELTRAN_OK where it did not; what it was to give is then not
 * given. A device is for one thread at a time.
 */
#ifndef ACCELTRAN_H
#define ACCELTRAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acceltran_descriptor.h"
#include "acceltran_registers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Why a function did not do what it was asked; `acceltran_error_text` has a sentence for each. */
typedef enum {
    ACCELTRAN_OK,
    ACCELTRAN_NOT_FOUND,
    ACCELTRAN_OTHER_VERSION,
    ACCELTRAN_OTHER_CONFIGURATION,
    ACCELTRAN_BAD_IMAGE,
    ACCELTRAN_IMAGE_TOO_LARGE,
    ACCELTRAN_BAD_BASE,
    ACCELTRAN_NO_IMAGE,
    ACCELTRAN_NO_BUCKET,
    ACCELTRAN_BAD_SENTENCE,
    ACCELTRAN_BAD_TOKEN,
    ACCELTRAN_FIXED_SENTENCE,
    ACCELTRAN_BAD_WINDOW,
    ACCELTRAN_LOCKED,
    ACCELTRAN_BUSY,
    ACCELTRAN_TIMEOUT,
    ACCELTRAN_FAULT,
    ACCELTRAN_NO_OUTPUT,
    ACCELTRAN_TOO_SMALL,
    ACCELTRAN_BAD_TILES,
    ACCELTRAN_BAD_VALUE,
    ACCELTRAN_NO_PORT,
    ACCELTRAN_ERRORS /* how many there are */
} acceltran_error;

/* What a board provides. All functions get `context`. Those that may be NULL say so. */
typedef struct {
    void *context;

    /* The register at byte `offset` of the accelerator's AXI4-Lite window, and a write of all four bytes of it. */
    uint32_t (*read32)(void *context, uint32_t offset);
    void (*write32)(void *context, uint32_t offset, uint32_t value);

    /* Returns when all earlier writes to main memory and to registers have arrived. NULL: they always have. */
    void (*barrier)(void *context);

    /* Write cached bytes back to main memory; forget cached bytes. NULL: the accelerator sees what the CPU sees. */
    void (*cache_clean)(void *context, const void *address, size_t size);
    void (*cache_invalidate)(void *context, const void *address, size_t size);

    /* Sleep until the accelerator's interrupt is high, at most for `timeout` in a measure of your own; whether it is.
     * NULL: the driver reads STATUS up to `timeout` times, and leaves the interrupt off. */
    bool (*wait)(void *context, uint32_t timeout);
} acceltran_port;

/* An accelerator. Its members are the driver's own, but may be read. */
typedef struct {
    const acceltran_port *port;
    uint32_t version;       /* register VERSION */
    uint32_t identity;      /* register CONFIG_IDENTITY */
    uint32_t address_bits;  /* 32 or 64 */
    uint32_t further_ports; /* memory ports beside the first, which only read weights */
    uint8_t *image;         /* as the CPU sees it; NULL: none is attached */
    uint64_t bus_address;   /* as the accelerator sees it */
    uint32_t tile, width;
    uint32_t bucket;        /* that is selected */
    uint32_t preloaded;     /* 1 + bucket whose preload has run; 0: none */
} acceltran_device;

/* A program of an image. */
typedef struct {
    uint32_t tokens;     /* most tokens of a sentence */
    uint32_t sentences;  /* that it runs at once */
    uint32_t words;      /* token numbers are below this */
    uint32_t outputs;    /* how many it has */
    bool fixed;          /* it runs only the sentences that it was compiled for */
} acceltran_bucket;

/* Where the weights of a memory port beside the first lie in the image. */
typedef struct {
    uint32_t offset;  /* of the first byte */
    uint32_t bytes;   /* of all */
} acceltran_stripe;

/* A result. Of its rows, `groups` equal parts lie one below the other: one for each sentence, or each tile row of masks.
 * The first `valid_rows` of each, and the first `valid_columns`, are no padding. Where every token has a row, those of a
 * shorter sentence are the first ones. An integer n stands for n / 2**frac. */
typedef struct {
    const char *name;
    uint32_t offset;  /* of the packed tiles in the image */
    uint32_t bytes;   /* of them, at most */
    uint32_t tile_rows, tile_columns;
    uint32_t groups, valid_rows, valid_columns;
    int32_t frac;
} acceltran_output;

/* Why a program stopped. */
typedef struct {
    uint32_t code;         /* ACCELTRAN_ERROR_CODE_... */
    uint32_t instruction;  /* its number in the program */
    uint32_t engine;       /* ACCELTRAN_ERROR_ENGINE_... */
} acceltran_fault;

/* --- The accelerator --- */

/* Look whether there is an accelerator behind `port`, which must live as long as `device`. Errors: NOT_FOUND; and
 * OTHER_VERSION where the first or second number of its version is not that of this driver. */
acceltran_error acceltran_probe(acceltran_device *device, const acceltran_port *port);

/* Abort what runs and come back to idle, looking at most `looks` times. The image stays attached; the buffers' contents
 * are lost, so the next `acceltran_select_bucket` runs the preload again. Errors: TIMEOUT, then only the reset pin helps. */
acceltran_error acceltran_soft_reset(acceltran_device *device, uint32_t looks);

/* The same, and zero the buffers, the threshold curves and the counters, so that nothing of a model or a sentence is left in the
 * accelerator. The image is detached: attach one before the next program. Errors: TIMEOUT. */
acceltran_error acceltran_scrub(acceltran_device *device, uint32_t looks);

/* Cycles without a completed instruction that stop a program with ACCELTRAN_ERROR_CODE_WATCHDOG; 0: none do. */
void acceltran_set_watchdog(acceltran_device *device, uint32_t cycles);

/* Confine what the accelerator reads (fetches included) and writes to `bytes` bytes from `first` on, absolute addresses in
 * whole pages. An access outside stops the program, and does not reach the bus. Errors: BAD_WINDOW, LOCKED. */
acceltran_error acceltran_set_read_window(acceltran_device *device, uint64_t first, uint64_t bytes);
acceltran_error acceltran_set_write_window(acceltran_device *device, uint64_t first, uint64_t bytes);

/* Both windows: the attached image and nothing else. Errors: NO_IMAGE, LOCKED. */
acceltran_error acceltran_confine(acceltran_device *device);

/* AxPROT (3 bits) and AxCACHE (4 bits) of every burst. Errors: BAD_VALUE for more bits, LOCKED. */
acceltran_error acceltran_set_attributes(acceltran_device *device, uint32_t prot, uint32_t cache);

/* Keep windows and attributes as they are, until the reset pin. */
void acceltran_lock(acceltran_device *device);

/* --- The image --- */

/* Use an image that lies at `memory` for the CPU and at `bus_address` for the accelerator, where there are `room` bytes. It
 * is written to when sentences change, so it must be in RAM. The first bucket is selected. Errors: BAD_IMAGE;
 * IMAGE_TOO_LARGE where it has more than `room` bytes; BAD_BASE where `bus_address` is not at a page, or beyond the
 * accelerator's addresses, or `memory` not at a multiple of 4 bytes; OTHER_VERSION; OTHER_CONFIGURATION. */
acceltran_error acceltran_attach(acceltran_device *device, void *memory, size_t room, uint64_t bus_address);

/* Copy an image of `source_bytes` bytes, from flash for instance, to `memory`, and attach it there. `memory` is changed only
 * where all is well with the image. Errors: those of `acceltran_attach`; BAD_IMAGE also for too few bytes, BAD_BASE for a source that
 * is not at a multiple of 4. */
acceltran_error acceltran_load(acceltran_device *device, const void *source, size_t source_bytes, void *memory, size_t room,
                               uint64_t bus_address);

/* The weights of memory port `port`, from 1 to `further_ports`: after `acceltran_attach` the port finds them in the image, as
 * all ports do. Errors: NO_IMAGE, NO_PORT. */
acceltran_error acceltran_get_stripe(const acceltran_device *device, uint32_t port, acceltran_stripe *stripe);

/* Tell memory port `port` that its weights lie at `bus_address` of the memory behind it, to which the caller has copied them.
 * Errors: NO_IMAGE, NO_PORT; BAD_BASE where that is not at a page, nearer to address 0 than the first port's weights are to the
 * image's first byte, or beyond the accelerator's addresses. */
acceltran_error acceltran_place_stripe(acceltran_device *device, uint32_t port, uint64_t bus_address);

/* --- Sentences --- */

/* How many programs the image has, from the shortest on; 0 without an image. */
uint32_t acceltran_bucket_count(const acceltran_device *device);

/* What the program number `index` takes. Errors: NO_IMAGE, NO_BUCKET. */
acceltran_error acceltran_get_bucket(const acceltran_device *device, uint32_t index, acceltran_bucket *bucket);

/* The number of the shortest program that takes `tokens` tokens. Errors: NO_IMAGE, NO_BUCKET. */
acceltran_error acceltran_choose_bucket(const acceltran_device *device, uint32_t tokens, uint32_t *index);

/* Make the program number `index` the one that the functions below mean. If it has a preload that did not run last, that
 * runs now, for `timeout` at most. Errors: NO_IMAGE, NO_BUCKET, and those of `acceltran_run`. */
acceltran_error acceltran_select_bucket(acceltran_device *device, uint32_t index, uint32_t timeout);

/* Let the selected program run these tokens (those that the model adds included) as its sentence number `sentence`. The
 * accelerator must not be running. Until then it runs what the image holds: the sentence before, or that of the compiler.
 * Errors: NO_IMAGE; FIXED_SENTENCE; BAD_SENTENCE where there is no such sentence, or no or too many tokens; BAD_TOKEN. */
acceltran_error acceltran_set_sentence(acceltran_device *device, uint32_t sentence, const uint32_t *tokens, uint32_t count);

/* --- Runs --- */

/* Start the selected program. Errors: NO_IMAGE; BUSY where the accelerator is not idle: it runs, or an error was not reset. */
acceltran_error acceltran_start(acceltran_device *device);

/* Wait for the end of what was started, see `wait` of the port. Errors: TIMEOUT, when it still runs; FAULT, see
 * `acceltran_get_fault`. After either, `acceltran_soft_reset` makes the accelerator idle. */
acceltran_error acceltran_finish(acceltran_device *device, uint32_t timeout);

/* Both. */
acceltran_error acceltran_run(acceltran_device *device, uint32_t timeout);

/* Choose the bucket, select it, set the sentence and run: for programs of one sentence. `timeout` is for each run. */
acceltran_error acceltran_infer(acceltran_device *device, const uint32_t *tokens, uint32_t count, uint32_t timeout);

/* For an interrupt handler: lower the interrupt. The state of the program stays as it is, for `acceltran_finish`. */
void acceltran_acknowledge(acceltran_device *device);

/* Why the last program stopped; a code of ACCELTRAN_ERROR_CODE_NONE where it did not. */
void acceltran_get_fault(acceltran_device *device, acceltran_fault *fault);

/* A counter by the offset of its low register, ACCELTRAN_CYCLES_LO for instance: all 64 bits, as they were at one time. */
uint64_t acceltran_read_counter(acceltran_device *device, uint32_t offset);

/* --- Results --- */

/* A result of the selected program by its number, or by its name. Errors: NO_IMAGE, NO_OUTPUT. */
acceltran_error acceltran_get_output(const acceltran_device *device, uint32_t index, acceltran_output *output);
acceltran_error acceltran_find_output(const acceltran_device *device, const char *name, acceltran_output *output);

/* The integers of a result that are no padding, group by group and row by row: `groups` * `valid_rows` * `valid_columns` of
 * them. Errors: TOO_SMALL where `values` has room for fewer; BAD_TILES where the program did not run to its end, and `values`
 * then holds anything. */
acceltran_error acceltran_read_output(acceltran_device *device, const acceltran_output *output, int32_t *values,
                                      size_t capacity);

/* --- Packed tiles --- */

/* A matrix of `tile_rows` x `tile_columns` tiles from packed tiles, row by row with all padding. Errors: TOO_SMALL where
 * `values` has room for fewer; BAD_TILES where the tiles go on beyond `bytes`, and `values` then holds anything. */
acceltran_error acceltran_unpack(uint32_t tile, uint32_t width, const void *stream, size_t bytes, uint32_t tile_rows,
                                 uint32_t tile_columns, int32_t *values, size_t capacity);

/* The inverse; `*bytes` becomes how many it takes. Errors: TOO_SMALL where `stream` has not so many as are needed, and
 * BAD_VALUE where a value has more than `width` bits; `stream` then holds anything. */
acceltran_error acceltran_pack(uint32_t tile, uint32_t width, const int32_t *values, uint32_t tile_rows, uint32_t tile_columns,
                               void *stream, size_t capacity, size_t *bytes);

/* --- Words --- */

/* A sentence for an error of this driver, for the code of a fault, and a name for its engine. */
const char *acceltran_error_text(acceltran_error error);
const char *acceltran_fault_text(uint32_t code);
const char *acceltran_engine_text(uint32_t engine);

#ifdef __cplusplus
}
#endif

#endif
