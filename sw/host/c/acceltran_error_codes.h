/* Texts of error codes and engines, generated: do not edit. */
#ifndef ACCELTRAN_ERROR_CODES_H
#define ACCELTRAN_ERROR_CODES_H

#define ACCELTRAN_ERROR_CODE_LIST(X) \
    X(ACCELTRAN_ERROR_CODE_NONE, "no error") \
    X(ACCELTRAN_ERROR_CODE_ILLEGAL_OPCODE, "the opcode is unknown") \
    X(ACCELTRAN_ERROR_CODE_BAD_FIELD, "a field has a value that this accelerator was not built for") \
    X(ACCELTRAN_ERROR_CODE_FETCH_BUS, "the bus answered an instruction fetch with an error") \
    X(ACCELTRAN_ERROR_CODE_PROGRAM_END, "PROGRAM_LENGTH instructions were decoded without a HALT") \
    X(ACCELTRAN_ERROR_CODE_WATCHDOG, "no instruction completed within WATCHDOG cycles") \
    X(ACCELTRAN_ERROR_CODE_SEMAPHORE_OVERFLOW, "a semaphore exceeded its 12 bits") \
    X(ACCELTRAN_ERROR_CODE_FETCH_WINDOW, "an instruction fetch lies outside READ_BASE to READ_LIMIT; the bus was not asked") \
    X(ACCELTRAN_ERROR_CODE_BUS_READ, "the bus answered a data read with an error") \
    X(ACCELTRAN_ERROR_CODE_BUS_WRITE, "the bus answered a data write with an error") \
    X(ACCELTRAN_ERROR_CODE_SLOT_RANGE, "a tile slot, or the destination of a LOAD, is outside its buffer") \
    X(ACCELTRAN_ERROR_CODE_LOAD_SHORT, "a LOAD fetched fewer bytes than its tiles take") \
    X(ACCELTRAN_ERROR_CODE_LINE_RANGE, "a line is outside the vector buffer") \
    X(ACCELTRAN_ERROR_CODE_ENGINE_FIELD, "an engine refused a field") \
    X(ACCELTRAN_ERROR_CODE_READ_WINDOW, "a data read lies outside READ_BASE to READ_LIMIT; the bus was not asked") \
    X(ACCELTRAN_ERROR_CODE_WRITE_WINDOW, "a data write lies outside WRITE_BASE to WRITE_LIMIT; the bus was not asked")

#define ACCELTRAN_ERROR_ENGINE_LIST(X) \
    X(ACCELTRAN_ERROR_ENGINE_MEMORY, "memory") \
    X(ACCELTRAN_ERROR_ENGINE_MATRIX, "matrix") \
    X(ACCELTRAN_ERROR_ENGINE_VECTOR, "vector") \
    X(ACCELTRAN_ERROR_ENGINE_CONTROL, "control")

#endif
