/* Layout of the descriptor at the start of an image, generated: do not edit. */
#ifndef ACCELTRAN_DESCRIPTOR_H
#define ACCELTRAN_DESCRIPTOR_H

#define ACCELTRAN_IDENTIFIER 0xacce17a2u /* what the ID register reads */
#define ACCELTRAN_DRIVER_VERSION 0x00000100u /* as in the VERSION register */
#define ACCELTRAN_PAGE_BYTES 4096u /* an image begins at a multiple of this */
#define ACCELTRAN_INSTRUCTION_BYTES 64u /* of each instruction */
#define ACCELTRAN_KNOTS 9u /* of a threshold curve */
#define ACCELTRAN_CURVE_STRIDE 16u /* words from one curve to the next in the CURVE registers */
#define ACCELTRAN_DESCRIPTOR_MAGIC_VALUE 0xacce1de5u /* the first word of an image */
#define ACCELTRAN_DESCRIPTOR_FORMAT_VALUE 1u /* the second */
#define ACCELTRAN_NAME_BYTES 32u /* of an output's name, the zero at its end included */

/* the first bytes of an image */
#define ACCELTRAN_DESCRIPTOR_BYTES 68u
#define ACCELTRAN_DESCRIPTOR_MAGIC 0u /* marks an image */
#define ACCELTRAN_DESCRIPTOR_FORMAT 4u /* of the descriptor */
#define ACCELTRAN_DESCRIPTOR_CHECKSUM 8u /* CRC-32 of descriptor_bytes bytes from the image's start, with zero in place of this word */
#define ACCELTRAN_DESCRIPTOR_DESCRIPTOR_BYTES 12u /* of all records and curves */
#define ACCELTRAN_DESCRIPTOR_IMAGE_BYTES 16u /* of the whole image, in pages */
#define ACCELTRAN_DESCRIPTOR_IDENTITY 20u /* CONFIG_IDENTITY of the accelerator that the image is for */
#define ACCELTRAN_DESCRIPTOR_VERSION 24u /* VERSION of the generator that it is for */
#define ACCELTRAN_DESCRIPTOR_TILE 28u /* rows and columns of a tile */
#define ACCELTRAN_DESCRIPTOR_WIDTH 32u /* bits of a value */
#define ACCELTRAN_DESCRIPTOR_BUS_BYTES 36u /* bytes of a bus word */
#define ACCELTRAN_DESCRIPTOR_TARGET_SPARSITY 40u /* for the TARGET_SPARSITY register */
#define ACCELTRAN_DESCRIPTOR_VALID_COLUMNS_BIT 44u /* lowest bit of a SOFTMAX's field that knows the length of a sentence */
#define ACCELTRAN_DESCRIPTOR_VALID_COLUMNS_BITS 48u /* bits of the field */
#define ACCELTRAN_DESCRIPTOR_CURVE_COUNT 52u /* threshold curves of 9 words each */
#define ACCELTRAN_DESCRIPTOR_CURVES_OFFSET 56u /* of the first curve */
#define ACCELTRAN_DESCRIPTOR_BUCKET_COUNT 60u /* buckets, from the shortest on */
#define ACCELTRAN_DESCRIPTOR_BUCKETS_OFFSET 64u /* of the first bucket's record */

/* a program for sentences of up to so many tokens */
#define ACCELTRAN_BUCKET_BYTES 56u
#define ACCELTRAN_BUCKET_TOKENS 0u /* most tokens of a sentence */
#define ACCELTRAN_BUCKET_SENTENCES 4u /* that it runs at once */
#define ACCELTRAN_BUCKET_WORDS 8u /* token numbers are below this */
#define ACCELTRAN_BUCKET_FIXED 12u /* 1: it runs only the sentences that it was compiled for, or fetches those of its next run */
#define ACCELTRAN_BUCKET_ENTRY 16u /* offset of the program */
#define ACCELTRAN_BUCKET_INSTRUCTIONS 20u /* of the program */
#define ACCELTRAN_BUCKET_PRELOAD_ENTRY 24u /* offset of the program that fills the buffers once */
#define ACCELTRAN_BUCKET_PRELOAD_INSTRUCTIONS 28u /* of that program; 0: there is none */
#define ACCELTRAN_BUCKET_RUN_COUNT 32u /* runs of token numbers */
#define ACCELTRAN_BUCKET_RUNS_OFFSET 36u /* of the first run's record */
#define ACCELTRAN_BUCKET_PATCH_COUNT 40u /* instructions that know the length of a sentence */
#define ACCELTRAN_BUCKET_PATCHES_OFFSET 44u /* of the first patch's record */
#define ACCELTRAN_BUCKET_OUTPUT_COUNT 48u /* results */
#define ACCELTRAN_BUCKET_OUTPUTS_OFFSET 52u /* of the first output's record */

/* token numbers one behind the other, 32-bit words */
#define ACCELTRAN_RUN_BYTES 16u
#define ACCELTRAN_RUN_OFFSET 0u /* of the first */
#define ACCELTRAN_RUN_SENTENCE 4u /* whose they are */
#define ACCELTRAN_RUN_FIRST 8u /* number of the first in its sentence */
#define ACCELTRAN_RUN_COUNT 12u /* how many */

/* an instruction that knows the length of a sentence */
#define ACCELTRAN_PATCH_BYTES 8u
#define ACCELTRAN_PATCH_INSTRUCTION 0u /* its number in the program */
#define ACCELTRAN_PATCH_SENTENCE 4u /* whose length it is */

/* a result, as packed tiles */
#define ACCELTRAN_OUTPUT_BYTES 64u
#define ACCELTRAN_OUTPUT_NAME 0u /* text, with a zero at its end */
#define ACCELTRAN_OUTPUT_OFFSET 32u /* of its first byte */
#define ACCELTRAN_OUTPUT_BYTES_WORD 36u /* at most */
#define ACCELTRAN_OUTPUT_TILE_ROWS 40u /* rows of tiles */
#define ACCELTRAN_OUTPUT_TILE_COLUMNS 44u /* tiles in a row */
#define ACCELTRAN_OUTPUT_FRAC 48u /* binary point: an integer n stands for n / 2**frac */
#define ACCELTRAN_OUTPUT_GROUPS 52u /* equal parts of the rows, one below the other: one for each sentence, or for each tile row */
#define ACCELTRAN_OUTPUT_VALID_ROWS 56u /* rows of each group that are no padding, from its first on; of sentences for which each token has one, those of the longest */
#define ACCELTRAN_OUTPUT_VALID_COLUMNS 60u /* columns that are no padding */

/* the weights of a memory port beside the first; these records are the descriptor's last */
#define ACCELTRAN_STRIPE_BYTES 12u
#define ACCELTRAN_STRIPE_OFFSET 0u /* of the first byte */
#define ACCELTRAN_STRIPE_BYTES_WORD 4u /* of all */
#define ACCELTRAN_STRIPE_FIRST 8u /* address, as instructions have it, of the first byte: PORT_BASE is where that lies less this */

#endif
