/* Sentences of different lengths on the accelerator, one after the other, through the driver: no compiler is needed between
 * them. Every result is compared with that of the golden model. In between, a bus error is provoked, and at the end an access
 * outside the windows; after either, the next sentence runs as if nothing had been. */
#include "board.h"
#include "model.h"
#include "sentences.h"

#define TIMEOUT 1u
#define LOOKS 100000u
#define WATCHDOG 1000000u
#define NOWHERE 0x40000000u /* no memory answers here */
#define END_OF_TEXT 4

static acceltran_device device;
static uint32_t failures;

static bool well(const char *what, acceltran_error error)
{
    if (error == ACCELTRAN_OK)
        return true;
    failures++;
    board_print(what);
    board_print(": ");
    board_print(acceltran_error_text(error));
    if (error == ACCELTRAN_FAULT) {
        acceltran_fault fault;
        acceltran_get_fault(&device, &fault);
        board_print(": ");
        board_print(acceltran_fault_text(fault.code));
    }
    board_put('\n');
    return false;
}

static void run_sentence(const struct sentence *sentence)
{
    acceltran_output output;
    int32_t logits[LARGEST_RESULT];
    uint32_t best = 0, equal = 1;

    board_print("> ");
    board_print(sentence->text);
    board_put('\n');
    if (!well("run", acceltran_infer(&device, sentence->tokens, sentence->count, TIMEOUT)) ||
        !well("find", acceltran_find_output(&device, "logits", &output)) ||
        !well("read", acceltran_read_output(&device, &output, logits, LARGEST_RESULT)))
        return;
    for (uint32_t n = 0; n < sentence->classes; n++) {
        if (logits[n] > logits[best])
            best = n;
        equal &= logits[n] == sentence->logits[n];
    }
    board_print("  ");
    board_print(acceltran_model_labels[best]);
    board_print(", logits");
    for (uint32_t n = 0; n < sentence->classes; n++) {
        board_put(' ');
        board_print_signed(logits[n]);
    }
    board_print(" / 2**");
    board_print_signed(output.frac);
    board_print(equal ? ", equal to the golden model; " : ", DIFFERENT from the golden model; ");
    board_print_unsigned(sentence->count);
    board_print(" tokens, program for ");
    acceltran_bucket bucket;
    if (well("bucket", acceltran_get_bucket(&device, device.bucket, &bucket)))
        board_print_unsigned(bucket.tokens);
    board_print(", ");
    board_print_unsigned((uint32_t)acceltran_read_counter(&device, ACCELTRAN_INSTRUCTIONS_LO));
    board_print(" instructions\n");
    failures += !equal;
}

/* Run where there is no memory: what comes of it must be this fault. */
static void provoke(const char *what, uint32_t code)
{
    acceltran_fault fault = {0};
    board_print(what);
    board_print(": ");
    if (!well("attach", acceltran_attach(&device, (void *)(uintptr_t)BOARD_MEMORY, MEMORY_BYTES, NOWHERE)))
        return;
    acceltran_error error = acceltran_run(&device, TIMEOUT);
    acceltran_get_fault(&device, &fault);
    board_print(acceltran_fault_text(fault.code));
    board_put('\n');
    failures += error != ACCELTRAN_FAULT || fault.code != code;
    well("reset", acceltran_soft_reset(&device, LOOKS));
}

static bool attach(void)
{
    return well("attach", acceltran_attach(&device, (void *)(uintptr_t)BOARD_MEMORY, MEMORY_BYTES, BOARD_MEMORY));
}

int main(void)
{
    if (well("probe", acceltran_probe(&device, &board_port))) {
        board_print("AccelTran ");
        board_print_unsigned(device.version >> 16 & 255);
        board_put('.');
        board_print_unsigned(device.version >> 8 & 255);
        board_put('.');
        board_print_unsigned(device.version & 255);
        board_print(", configuration ");
        board_print_hex(device.identity);
        board_put('\n');
        acceltran_set_watchdog(&device, WATCHDOG);
        for (uint32_t n = 0; n < SENTENCES; n++) {
            if (n == SENTENCES - 1)
                provoke("no memory", ACCELTRAN_ERROR_CODE_FETCH_BUS);
            if (attach())
                run_sentence(&sentences[n]);
        }
        if (attach() && well("confine", acceltran_confine(&device))) {
            acceltran_lock(&device);
            provoke("outside the window", ACCELTRAN_ERROR_CODE_FETCH_WINDOW);
            if (attach())
                run_sentence(&sentences[0]);
        }
        well("scrub", acceltran_scrub(&device, LOOKS));
    }
    if (board_bus_error()) {
        failures++;
        board_print("an access of the processor was answered with an error\n");
    }
    board_print(failures ? "FAIL\n" : "PASS\n");
    board_put(END_OF_TEXT);
    return 0;
}
