/* What the system on chip of hw/verilog/soc has, and how the driver reaches it. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "acceltran.h"

#define BOARD_MEMORY 0x80000000u

extern const acceltran_port board_port;

void board_put(char character);
void board_print(const char *text);
void board_print_unsigned(uint32_t value);
void board_print_signed(int32_t value);
void board_print_hex(uint32_t value);

/* Whether an access of the processor was answered with an error since the last call. */
bool board_bus_error(void);

#endif
