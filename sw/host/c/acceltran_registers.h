/* AccelTran register map, generated: do not edit. */
#ifndef ACCELTRAN_REGISTERS_H
#define ACCELTRAN_REGISTERS_H

#define ACCELTRAN_ID 0x000u /* ro: identifies an AccelTran */
#define ACCELTRAN_VERSION 0x004u /* ro: version of the generator */
#define ACCELTRAN_VERSION_PATCH_SHIFT 0u
#define ACCELTRAN_VERSION_PATCH_MASK 0x000000ffu /* third number */
#define ACCELTRAN_VERSION_MINOR_SHIFT 8u
#define ACCELTRAN_VERSION_MINOR_MASK 0x0000ff00u /* second number */
#define ACCELTRAN_VERSION_MAJOR_SHIFT 16u
#define ACCELTRAN_VERSION_MAJOR_MASK 0x00ff0000u /* first number */
#define ACCELTRAN_CONTROL 0x008u /* wo: commands; the bits clear themselves */
#define ACCELTRAN_CONTROL_START_SHIFT 0u
#define ACCELTRAN_CONTROL_START_MASK 0x00000001u /* start the program; ignored while running, resetting, or after an error */
#define ACCELTRAN_CONTROL_RESET_SHIFT 1u
#define ACCELTRAN_CONTROL_RESET_MASK 0x00000002u /* soft reset: abort, wait for the bus, return to idle; wins over start */
#define ACCELTRAN_CONTROL_SCRUB_SHIFT 2u
#define ACCELTRAN_CONTROL_SCRUB_MASK 0x00000004u /* soft reset, and then zeroes every word of the buffers, the threshold curves and the counters; wins over reset */
#define ACCELTRAN_STATUS 0x00cu /* ro: state of the run controller */
#define ACCELTRAN_STATUS_IDLE_SHIFT 0u
#define ACCELTRAN_STATUS_IDLE_MASK 0x00000001u /* a start is taken */
#define ACCELTRAN_STATUS_RUNNING_SHIFT 1u
#define ACCELTRAN_STATUS_RUNNING_MASK 0x00000002u /* a program is running */
#define ACCELTRAN_STATUS_DONE_SHIFT 2u
#define ACCELTRAN_STATUS_DONE_MASK 0x00000004u /* the last program reached HALT; cleared by start and reset */
#define ACCELTRAN_STATUS_ERROR_SHIFT 3u
#define ACCELTRAN_STATUS_ERROR_MASK 0x00000008u /* the last program stopped with an error; cleared by reset */
#define ACCELTRAN_STATUS_RESETTING_SHIFT 4u
#define ACCELTRAN_STATUS_RESETTING_MASK 0x00000010u /* a soft reset or a scrub is under way */
#define ACCELTRAN_IRQ_STATUS 0x010u /* w1c: pending interrupts; also cleared by reset */
#define ACCELTRAN_IRQ_STATUS_DONE_SHIFT 0u
#define ACCELTRAN_IRQ_STATUS_DONE_MASK 0x00000001u /* a run ended with HALT */
#define ACCELTRAN_IRQ_STATUS_ERROR_SHIFT 1u
#define ACCELTRAN_IRQ_STATUS_ERROR_MASK 0x00000002u /* a run ended with an error */
#define ACCELTRAN_IRQ_ENABLE 0x014u /* rw: interrupts that drive the irq pin */
#define ACCELTRAN_IRQ_ENABLE_DONE_SHIFT 0u
#define ACCELTRAN_IRQ_ENABLE_DONE_MASK 0x00000001u /* a run ended with HALT */
#define ACCELTRAN_IRQ_ENABLE_ERROR_SHIFT 1u
#define ACCELTRAN_IRQ_ENABLE_ERROR_MASK 0x00000002u /* a run ended with an error */
#define ACCELTRAN_ERROR_CODE 0x018u /* ro: the first error of the run, see the error codes; cleared by reset */
#define ACCELTRAN_ERROR_INSTRUCTION 0x01cu /* ro: number of the instruction of the error, from 0 */
#define ACCELTRAN_ERROR_ENGINE 0x020u /* ro: where it was found: 0 memory, 1 matrix, 2 vector, 3 control unit */
#define ACCELTRAN_PROGRAM_ADDRESS 0x024u /* rw: byte address of the program from MEMORY_BASE on; the low 6 bits are taken as zero */
#define ACCELTRAN_PROGRAM_LENGTH 0x028u /* rw: instructions in the program, HALT included */
#define ACCELTRAN_WATCHDOG 0x02cu /* rw: cycles without any completed instruction that stop a run; 0 turns it off */
#define ACCELTRAN_TARGET_SPARSITY 0x030u /* rw: wanted sparsity in 1/256; more than 256 counts as 256 */
#define ACCELTRAN_CONFIG_IDENTITY 0x040u /* ro: CRC-32 of the configuration's JSON */
#define ACCELTRAN_CONFIG_VALUE 0x044u /* ro: words */
#define ACCELTRAN_CONFIG_VALUE_TILE_SHIFT 0u
#define ACCELTRAN_CONFIG_VALUE_TILE_MASK 0x000000ffu /* rows and columns of a tile */
#define ACCELTRAN_CONFIG_VALUE_INTEGER_BITS_SHIFT 8u
#define ACCELTRAN_CONFIG_VALUE_INTEGER_BITS_MASK 0x0000ff00u /* integer bits of the default binary point */
#define ACCELTRAN_CONFIG_VALUE_FRACTION_BITS_SHIFT 16u
#define ACCELTRAN_CONFIG_VALUE_FRACTION_BITS_MASK 0x00ff0000u /* fraction bits */
#define ACCELTRAN_CONFIG_VALUE_LINES_PER_BEAT_SHIFT 24u
#define ACCELTRAN_CONFIG_VALUE_LINES_PER_BEAT_MASK 0xff000000u /* lines in a beat of a tile stream */
#define ACCELTRAN_CONFIG_GRID 0x048u /* ro: PEs */
#define ACCELTRAN_CONFIG_GRID_ROWS_SHIFT 0u
#define ACCELTRAN_CONFIG_GRID_ROWS_MASK 0x000000ffu /* rows of PEs in a cluster */
#define ACCELTRAN_CONFIG_GRID_COLUMNS_SHIFT 8u
#define ACCELTRAN_CONFIG_GRID_COLUMNS_MASK 0x0000ff00u /* columns of PEs */
#define ACCELTRAN_CONFIG_GRID_OPERAND_SLOTS_SHIFT 16u
#define ACCELTRAN_CONFIG_GRID_OPERAND_SLOTS_MASK 0x000f0000u /* tiles that a PE holds */
#define ACCELTRAN_CONFIG_GRID_WINDOW_SHIFT 20u
#define ACCELTRAN_CONFIG_GRID_WINDOW_MASK 0x00f00000u /* entries of a lane's window */
#define ACCELTRAN_CONFIG_GRID_SKIP_SHIFT 24u
#define ACCELTRAN_CONFIG_GRID_SKIP_MASK 0x03000000u /* 0 none, 1 activation, 2 both */
#define ACCELTRAN_CONFIG_GRID_PSUM_TILES_SHIFT 26u
#define ACCELTRAN_CONFIG_GRID_PSUM_TILES_MASK 0x1c000000u /* output tiles that a PE holds */
#define ACCELTRAN_CONFIG_ACTIVATION 0x04cu /* ro: activation buffer of a cluster */
#define ACCELTRAN_CONFIG_ACTIVATION_TILES_SHIFT 0u
#define ACCELTRAN_CONFIG_ACTIVATION_TILES_MASK 0x00ffffffu /* slots */
#define ACCELTRAN_CONFIG_ACTIVATION_BANKS_SHIFT 24u
#define ACCELTRAN_CONFIG_ACTIVATION_BANKS_MASK 0xff000000u /* banks */
#define ACCELTRAN_CONFIG_WEIGHT 0x050u /* ro: weight buffer */
#define ACCELTRAN_CONFIG_WEIGHT_TILES_SHIFT 0u
#define ACCELTRAN_CONFIG_WEIGHT_TILES_MASK 0x00ffffffu /* slots */
#define ACCELTRAN_CONFIG_WEIGHT_BANKS_SHIFT 24u
#define ACCELTRAN_CONFIG_WEIGHT_BANKS_MASK 0xff000000u /* banks */
#define ACCELTRAN_CONFIG_VECTOR 0x054u /* ro: lines of the vector buffer */
#define ACCELTRAN_CONFIG_BUS 0x058u /* ro: AXI4 manager */
#define ACCELTRAN_CONFIG_BUS_WIDTH_SHIFT 0u
#define ACCELTRAN_CONFIG_BUS_WIDTH_MASK 0x00000fffu /* data bits */
#define ACCELTRAN_CONFIG_BUS_FURTHER_PORTS_SHIFT 12u
#define ACCELTRAN_CONFIG_BUS_FURTHER_PORTS_MASK 0x0000f000u /* managers m_axi_1 and so on, which only read */
#define ACCELTRAN_CONFIG_BUS_BURST_BEATS_SHIFT 16u
#define ACCELTRAN_CONFIG_BUS_BURST_BEATS_MASK 0x00ff0000u /* longest burst */
#define ACCELTRAN_CONFIG_BUS_OUTSTANDING_READS_SHIFT 24u
#define ACCELTRAN_CONFIG_BUS_OUTSTANDING_READS_MASK 0xff000000u /* read bursts in flight */
#define ACCELTRAN_CONFIG_UNITS 0x05cu /* ro: vector engine of a cluster, and post-process */
#define ACCELTRAN_CONFIG_UNITS_SOFTMAX_UNITS_SHIFT 0u
#define ACCELTRAN_CONFIG_UNITS_SOFTMAX_UNITS_MASK 0x000000ffu /* softmax units */
#define ACCELTRAN_CONFIG_UNITS_LAYERNORM_UNITS_SHIFT 8u
#define ACCELTRAN_CONFIG_UNITS_LAYERNORM_UNITS_MASK 0x0000ff00u /* layer-norm units */
#define ACCELTRAN_CONFIG_UNITS_RELU_SHIFT 16u
#define ACCELTRAN_CONFIG_UNITS_RELU_MASK 0x00010000u /* ReLU is built */
#define ACCELTRAN_CONFIG_UNITS_GELU_SHIFT 17u
#define ACCELTRAN_CONFIG_UNITS_GELU_MASK 0x00020000u /* GeLU is built */
#define ACCELTRAN_CONFIG_UNITS_TANH_SHIFT 18u
#define ACCELTRAN_CONFIG_UNITS_TANH_MASK 0x00040000u /* tanh is built */
#define ACCELTRAN_CONFIG_UNITS_LAYERNORM_SLICES_SHIFT 19u
#define ACCELTRAN_CONFIG_UNITS_LAYERNORM_SLICES_MASK 0x00380000u /* tile columns that a layer-norm unit works on at once */
#define ACCELTRAN_CONFIG_UNITS_SILU_SHIFT 22u
#define ACCELTRAN_CONFIG_UNITS_SILU_MASK 0x00400000u /* SiLU is built */
#define ACCELTRAN_CONFIG_UNITS_GELU_TANH_SHIFT 23u
#define ACCELTRAN_CONFIG_UNITS_GELU_TANH_MASK 0x00800000u /* GeLU by tanh is built */
#define ACCELTRAN_CONFIG_UNITS_QUICK_GELU_SHIFT 24u
#define ACCELTRAN_CONFIG_UNITS_QUICK_GELU_MASK 0x01000000u /* quick GeLU is built */
#define ACCELTRAN_CONFIG_CONTROL 0x060u /* ro: control unit */
#define ACCELTRAN_CONFIG_CONTROL_PRUNE_CURVES_SHIFT 0u
#define ACCELTRAN_CONFIG_CONTROL_PRUNE_CURVES_MASK 0x000000ffu /* threshold curves */
#define ACCELTRAN_CONFIG_CONTROL_INSTRUCTION_QUEUE_SHIFT 8u
#define ACCELTRAN_CONFIG_CONTROL_INSTRUCTION_QUEUE_MASK 0x0000ff00u /* instructions queued per engine */
#define ACCELTRAN_CONFIG_CONTROL_MORE_CLUSTERS_SHIFT 16u
#define ACCELTRAN_CONFIG_CONTROL_MORE_CLUSTERS_MASK 0x000f0000u /* clusters beside the first */
#define ACCELTRAN_CONFIG_MAX_INNER 0x064u /* ro: largest inner dimension of a product, in elements */
#define ACCELTRAN_CONFIG_LOOP_ORDERS 0x068u /* ro: bit n: loop order n is built */
#define ACCELTRAN_CONFIG_ADDRESS 0x06cu /* ro: bits of an address of main memory: 32 or 64 */
#define ACCELTRAN_CONFIG_OPERAND_B 0x070u /* ro: weights, and what else is operand B */
#define ACCELTRAN_CONFIG_OPERAND_B_WEIGHT_BITS_SHIFT 0u
#define ACCELTRAN_CONFIG_OPERAND_B_WEIGHT_BITS_MASK 0x000000ffu /* bits of a value */
#define ACCELTRAN_CONFIG_OPERAND_B_SCALE_BITS_SHIFT 8u
#define ACCELTRAN_CONFIG_OPERAND_B_SCALE_BITS_MASK 0x0000ff00u /* bits of the scale of a column; 0: there are none */
#define ACCELTRAN_MEMORY_BASE 0x080u /* rw: added to every address of a program and of its instructions, bits 31 to 0; the low 12 bits are taken as zeros */
#define ACCELTRAN_MEMORY_BASE_HI 0x084u /* rw: added to every address of a program and of its instructions, bits 63 to 32 */
#define ACCELTRAN_READ_BASE 0x088u /* rw: first byte that may be read from main memory, bits 31 to 0; the low 12 bits are taken as zeros */
#define ACCELTRAN_READ_BASE_HI 0x08cu /* rw: first byte that may be read from main memory, bits 63 to 32 */
#define ACCELTRAN_READ_LIMIT 0x090u /* rw: last byte that may be read from main memory, bits 31 to 0; the low 12 bits are taken as ones */
#define ACCELTRAN_READ_LIMIT_HI 0x094u /* rw: last byte that may be read from main memory, bits 63 to 32 */
#define ACCELTRAN_WRITE_BASE 0x098u /* rw: first byte that may be written to main memory, bits 31 to 0; the low 12 bits are taken as zeros */
#define ACCELTRAN_WRITE_BASE_HI 0x09cu /* rw: first byte that may be written to main memory, bits 63 to 32 */
#define ACCELTRAN_WRITE_LIMIT 0x0a0u /* rw: last byte that may be written to main memory, bits 31 to 0; the low 12 bits are taken as ones */
#define ACCELTRAN_WRITE_LIMIT_HI 0x0a4u /* rw: last byte that may be written to main memory, bits 63 to 32 */
#define ACCELTRAN_BUS_ATTRIBUTES 0x0a8u /* rw: what goes with every burst */
#define ACCELTRAN_BUS_ATTRIBUTES_PROT_SHIFT 0u
#define ACCELTRAN_BUS_ATTRIBUTES_PROT_MASK 0x00000007u /* AxPROT */
#define ACCELTRAN_BUS_ATTRIBUTES_CACHE_SHIFT 4u
#define ACCELTRAN_BUS_ATTRIBUTES_CACHE_MASK 0x000000f0u /* AxCACHE */
#define ACCELTRAN_ACCESS_LOCK 0x0acu /* w1s: keeps windows and attributes as they are, until the reset pin */
#define ACCELTRAN_ACCESS_LOCK_LOCKED_SHIFT 0u
#define ACCELTRAN_ACCESS_LOCK_LOCKED_MASK 0x00000001u /* writes to the READ_, WRITE_ and BUS_ATTRIBUTES registers answer SLVERR */
#define ACCELTRAN_PORT_BASE_1 0x0b0u /* rw: added in place of MEMORY_BASE to addresses that m_axi_1 reads, bits 31 to 0; the low 12 bits are taken as zeros */
#define ACCELTRAN_PORT_BASE_1_HI 0x0b4u /* rw: added in place of MEMORY_BASE to addresses that m_axi_1 reads, bits 63 to 32 */
#define ACCELTRAN_PORT_BASE_2 0x0b8u /* rw: added in place of MEMORY_BASE to addresses that m_axi_2 reads, bits 31 to 0; the low 12 bits are taken as zeros */
#define ACCELTRAN_PORT_BASE_2_HI 0x0bcu /* rw: added in place of MEMORY_BASE to addresses that m_axi_2 reads, bits 63 to 32 */
#define ACCELTRAN_PORT_BASE_3 0x0c0u /* rw: added in place of MEMORY_BASE to addresses that m_axi_3 reads, bits 31 to 0; the low 12 bits are taken as zeros */
#define ACCELTRAN_PORT_BASE_3_HI 0x0c4u /* rw: added in place of MEMORY_BASE to addresses that m_axi_3 reads, bits 63 to 32 */
#define ACCELTRAN_PORT_BASE_4 0x0c8u /* rw: added in place of MEMORY_BASE to addresses that m_axi_4 reads, bits 31 to 0; the low 12 bits are taken as zeros */
#define ACCELTRAN_PORT_BASE_4_HI 0x0ccu /* rw: added in place of MEMORY_BASE to addresses that m_axi_4 reads, bits 63 to 32 */
#define ACCELTRAN_PORT_BASE_5 0x0d0u /* rw: added in place of MEMORY_BASE to addresses that m_axi_5 reads, bits 31 to 0; the low 12 bits are taken as zeros */
#define ACCELTRAN_PORT_BASE_5_HI 0x0d4u /* rw: added in place of MEMORY_BASE to addresses that m_axi_5 reads, bits 63 to 32 */
#define ACCELTRAN_PORT_BASE_6 0x0d8u /* rw: added in place of MEMORY_BASE to addresses that m_axi_6 reads, bits 31 to 0; the low 12 bits are taken as zeros */
#define ACCELTRAN_PORT_BASE_6_HI 0x0dcu /* rw: added in place of MEMORY_BASE to addresses that m_axi_6 reads, bits 63 to 32 */
#define ACCELTRAN_PORT_BASE_7 0x0e0u /* rw: added in place of MEMORY_BASE to addresses that m_axi_7 reads, bits 31 to 0; the low 12 bits are taken as zeros */
#define ACCELTRAN_PORT_BASE_7_HI 0x0e4u /* rw: added in place of MEMORY_BASE to addresses that m_axi_7 reads, bits 63 to 32 */
#define ACCELTRAN_CYCLES_LO 0x100u /* ro: cycles of the run, from the start to its end, bits 31 to 0 */
#define ACCELTRAN_CYCLES_HI 0x104u /* ro: cycles of the run, from the start to its end, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_MULTIPLICATIONS_LO 0x108u /* ro: multiplications done, bits 31 to 0 */
#define ACCELTRAN_MULTIPLICATIONS_HI 0x10cu /* ro: multiplications done, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_DENSE_MULTIPLICATIONS_LO 0x110u /* ro: multiplications that the same products take without skipping, bits 31 to 0 */
#define ACCELTRAN_DENSE_MULTIPLICATIONS_HI 0x114u /* ro: multiplications that the same products take without skipping, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_SKIPPED_MULTIPLICATIONS_LO 0x118u /* ro: dense_multiplications less multiplications; exact once the run is over, bits 31 to 0 */
#define ACCELTRAN_SKIPPED_MULTIPLICATIONS_HI 0x11cu /* ro: dense_multiplications less multiplications; exact once the run is over, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_MEMORY_BUSY_LO 0x120u /* ro: cycles in which the memory engine was busy, bits 31 to 0 */
#define ACCELTRAN_MEMORY_BUSY_HI 0x124u /* ro: cycles in which the memory engine was busy, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_MATRIX_BUSY_LO 0x128u /* ro: cycles in which the matrix engine was busy, bits 31 to 0 */
#define ACCELTRAN_MATRIX_BUSY_HI 0x12cu /* ro: cycles in which the matrix engine was busy, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_VECTOR_BUSY_LO 0x130u /* ro: cycles in which the vector engine was busy, bits 31 to 0 */
#define ACCELTRAN_VECTOR_BUSY_HI 0x134u /* ro: cycles in which the vector engine was busy, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_MEMORY_STALLED_LO 0x138u /* ro: cycles in which the memory engine was stalled, bits 31 to 0 */
#define ACCELTRAN_MEMORY_STALLED_HI 0x13cu /* ro: cycles in which the memory engine was stalled, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_MATRIX_STALLED_LO 0x140u /* ro: cycles in which the matrix engine was stalled, bits 31 to 0 */
#define ACCELTRAN_MATRIX_STALLED_HI 0x144u /* ro: cycles in which the matrix engine was stalled, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_VECTOR_STALLED_LO 0x148u /* ro: cycles in which the vector engine was stalled, bits 31 to 0 */
#define ACCELTRAN_VECTOR_STALLED_HI 0x14cu /* ro: cycles in which the vector engine was stalled, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_BYTES_READ_LO 0x150u /* ro: bytes read from main memory, bits 31 to 0 */
#define ACCELTRAN_BYTES_READ_HI 0x154u /* ro: bytes read from main memory, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_BYTES_WRITTEN_LO 0x158u /* ro: bytes written to main memory, bits 31 to 0 */
#define ACCELTRAN_BYTES_WRITTEN_HI 0x15cu /* ro: bytes written to main memory, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_WEIGHT_TILES_LO 0x160u /* ro: tiles loaded to the weight buffer, bits 31 to 0 */
#define ACCELTRAN_WEIGHT_TILES_HI 0x164u /* ro: tiles loaded to the weight buffer, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_ACTIVATION_TILES_LO 0x168u /* ro: tiles loaded to the activation buffer, bits 31 to 0 */
#define ACCELTRAN_ACTIVATION_TILES_HI 0x16cu /* ro: tiles loaded to the activation buffer, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_A_TILE_LOADS_LO 0x170u /* ro: A tiles read for the grid, before multicast, bits 31 to 0 */
#define ACCELTRAN_A_TILE_LOADS_HI 0x174u /* ro: A tiles read for the grid, before multicast, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_B_TILE_LOADS_LO 0x178u /* ro: B tiles read for the grid, before multicast, bits 31 to 0 */
#define ACCELTRAN_B_TILE_LOADS_HI 0x17cu /* ro: B tiles read for the grid, before multicast, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_INSTRUCTIONS_LO 0x180u /* ro: instructions completed by the engines, SYNC included, HALT not, bits 31 to 0 */
#define ACCELTRAN_INSTRUCTIONS_HI 0x184u /* ro: instructions completed by the engines, SYNC included, HALT not, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_WORD_READS_LO 0x188u /* ro: words of lines read from the tile buffers, bits 31 to 0 */
#define ACCELTRAN_WORD_READS_HI 0x18cu /* ro: words of lines read from the tile buffers, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_WORD_WRITES_LO 0x190u /* ro: words of lines written to the tile buffers, bits 31 to 0 */
#define ACCELTRAN_WORD_WRITES_HI 0x194u /* ro: words of lines written to the tile buffers, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_LOST_OPERANDS_LO 0x198u /* ro: multiplier cycles lost in lanes that had a step, but no operand, bits 31 to 0 */
#define ACCELTRAN_LOST_OPERANDS_HI 0x19cu /* ro: multiplier cycles lost in lanes that had a step, but no operand, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_LOST_OUTPUT_LO 0x1a0u /* ro: multiplier cycles lost in lanes of which a result waited to be read, bits 31 to 0 */
#define ACCELTRAN_LOST_OUTPUT_HI 0x1a4u /* ro: multiplier cycles lost in lanes of which a result waited to be read, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_LOST_IMBALANCE_LO 0x1a8u /* ro: multiplier cycles lost in other lanes with work, too little of it for all their multipliers, bits 31 to 0 */
#define ACCELTRAN_LOST_IMBALANCE_HI 0x1acu /* ro: multiplier cycles lost in other lanes with work, too little of it for all their multipliers, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_LOST_IDLE_LO 0x1b0u /* ro: multiplier cycles of lanes without work; with multiplications and the other lost ones, every multiplier in every cycle of the run, bits 31 to 0 */
#define ACCELTRAN_LOST_IDLE_HI 0x1b4u /* ro: multiplier cycles of lanes without work; with multiplications and the other lost ones, every multiplier in every cycle of the run, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_BYTES_READ_1_LO 0x1b8u /* ro: bytes read through m_axi_1, which bytes_read has in it too, bits 31 to 0 */
#define ACCELTRAN_BYTES_READ_1_HI 0x1bcu /* ro: bytes read through m_axi_1, which bytes_read has in it too, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_BYTES_READ_2_LO 0x1c0u /* ro: bytes read through m_axi_2, which bytes_read has in it too, bits 31 to 0 */
#define ACCELTRAN_BYTES_READ_2_HI 0x1c4u /* ro: bytes read through m_axi_2, which bytes_read has in it too, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_BYTES_READ_3_LO 0x1c8u /* ro: bytes read through m_axi_3, which bytes_read has in it too, bits 31 to 0 */
#define ACCELTRAN_BYTES_READ_3_HI 0x1ccu /* ro: bytes read through m_axi_3, which bytes_read has in it too, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_BYTES_READ_4_LO 0x1d0u /* ro: bytes read through m_axi_4, which bytes_read has in it too, bits 31 to 0 */
#define ACCELTRAN_BYTES_READ_4_HI 0x1d4u /* ro: bytes read through m_axi_4, which bytes_read has in it too, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_BYTES_READ_5_LO 0x1d8u /* ro: bytes read through m_axi_5, which bytes_read has in it too, bits 31 to 0 */
#define ACCELTRAN_BYTES_READ_5_HI 0x1dcu /* ro: bytes read through m_axi_5, which bytes_read has in it too, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_BYTES_READ_6_LO 0x1e0u /* ro: bytes read through m_axi_6, which bytes_read has in it too, bits 31 to 0 */
#define ACCELTRAN_BYTES_READ_6_HI 0x1e4u /* ro: bytes read through m_axi_6, which bytes_read has in it too, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_BYTES_READ_7_LO 0x1e8u /* ro: bytes read through m_axi_7, which bytes_read has in it too, bits 31 to 0 */
#define ACCELTRAN_BYTES_READ_7_HI 0x1ecu /* ro: bytes read through m_axi_7, which bytes_read has in it too, bits 63 to 32 at the last read of a LO register */
#define ACCELTRAN_TAU 0x400u /* ro: word c: threshold of curve c + 1 (instruction field `curve`) in the last run, W - 1 bits; the words beyond prune_curves are unmapped */
#define ACCELTRAN_TAU_COUNT 32u
#define ACCELTRAN_CURVE 0x800u /* rw: word 16 c + n: knot n (0 to 8) of curve c, the threshold for a sparsity of n/8, W - 1 bits in units of the pruned tensor; the other words are unmapped. Do not write while a run starts. No reset clears it */
#define ACCELTRAN_CURVE_COUNT 512u

#define ACCELTRAN_ERROR_CODE_NONE 0x00u /* no error */
#define ACCELTRAN_ERROR_CODE_ILLEGAL_OPCODE 0x01u /* the opcode is unknown */
#define ACCELTRAN_ERROR_CODE_BAD_FIELD 0x02u /* a field has a value that this accelerator was not built for */
#define ACCELTRAN_ERROR_CODE_FETCH_BUS 0x03u /* the bus answered an instruction fetch with an error */
#define ACCELTRAN_ERROR_CODE_PROGRAM_END 0x04u /* PROGRAM_LENGTH instructions were decoded without a HALT */
#define ACCELTRAN_ERROR_CODE_WATCHDOG 0x05u /* no instruction completed within WATCHDOG cycles */
#define ACCELTRAN_ERROR_CODE_SEMAPHORE_OVERFLOW 0x06u /* a semaphore exceeded its 12 bits */
#define ACCELTRAN_ERROR_CODE_FETCH_WINDOW 0x07u /* an instruction fetch lies outside READ_BASE to READ_LIMIT; the bus was not asked */
#define ACCELTRAN_ERROR_CODE_BUS_READ 0x11u /* the bus answered a data read with an error */
#define ACCELTRAN_ERROR_CODE_BUS_WRITE 0x12u /* the bus answered a data write with an error */
#define ACCELTRAN_ERROR_CODE_SLOT_RANGE 0x13u /* a tile slot, or the destination of a LOAD, is outside its buffer */
#define ACCELTRAN_ERROR_CODE_LOAD_SHORT 0x14u /* a LOAD fetched fewer bytes than its tiles take */
#define ACCELTRAN_ERROR_CODE_LINE_RANGE 0x15u /* a line is outside the vector buffer */
#define ACCELTRAN_ERROR_CODE_ENGINE_FIELD 0x16u /* an engine refused a field */
#define ACCELTRAN_ERROR_CODE_READ_WINDOW 0x17u /* a data read lies outside READ_BASE to READ_LIMIT; the bus was not asked */
#define ACCELTRAN_ERROR_CODE_WRITE_WINDOW 0x18u /* a data write lies outside WRITE_BASE to WRITE_LIMIT; the bus was not asked */
#define ACCELTRAN_ERROR_ENGINE_MEMORY 0u
#define ACCELTRAN_ERROR_ENGINE_MATRIX 1u
#define ACCELTRAN_ERROR_ENGINE_VECTOR 2u
#define ACCELTRAN_ERROR_ENGINE_CONTROL 3u

#endif
