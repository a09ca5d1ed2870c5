#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define SERIAL REGISTER(0x10000000u)
#define BUS_ERROR REGISTER(0x10000004u)
#define ACCELERATOR 0x20000000u

static uint32_t read32(void *context, uint32_t offset)
{
    (void)context;
    return REGISTER(ACCELERATOR + offset);
}

static void write32(void *context, uint32_t offset, uint32_t value)
{
    (void)context;
    REGISTER(ACCELERATOR + offset) = value;
}

/* The processor makes one access at a time and waits for its answer; the compiler must keep their order. */
static void barrier(void *context)
{
    (void)context;
    __asm__ volatile("" ::: "memory");
}

/* PicoRV32 sleeps until an interrupt is pending. All are masked, so that no handler is called, and the level is not latched. The
 * watchdog of the accelerator makes sure that one comes. */
static bool wait(void *context, uint32_t timeout)
{
    uint32_t pending;
    (void)context;
    (void)timeout;
    __asm__ volatile(".insn r 0x0b, 4, 4, %0, x0, x0" : "=r"(pending) :: "memory");
    return pending != 0;
}

const acceltran_port board_port = {.read32 = read32, .write32 = write32, .barrier = barrier, .wait = wait};

void board_put(char character)
{
    SERIAL = (uint8_t)character;
}

void board_print(const char *text)
{
    while (*text)
        board_put(*text++);
}

void board_print_unsigned(uint32_t value)
{
    char digits[10];
    uint32_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (count)
        board_put(digits[--count]);
}

void board_print_signed(int32_t value)
{
    if (value < 0)
        board_put('-');
    board_print_unsigned(value < 0 ? -(uint32_t)value : (uint32_t)value);
}

void board_print_hex(uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        board_put("0123456789abcdef"[value >> shift & 15]);
}

bool board_bus_error(void)
{
    bool seen = BUS_ERROR != 0;
    BUS_ERROR = 0;
    return seen;
}

/* What the compiler may call without being asked. */
void *memcpy(void *target, const void *source, __SIZE_TYPE__ size)
{
    unsigned char *to = target;
    const unsigned char *from = source;
    while (size--)
        *to++ = *from++;
    return target;
}

void *memset(void *target, int value, __SIZE_TYPE__ size)
{
    unsigned char *to = target;
    while (size--)
        *to++ = (unsigned char)value;
    return target;
}
