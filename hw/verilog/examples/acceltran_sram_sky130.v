// Example of a replacement for acceltran_sram.v: the same module, built of two SRAM macros of OpenRAM for SKY130,
// sky130_sram_2kbyte_1rw1r_32x512_8 and sky130_sram_1kbyte_1rw1r_32x256_8. Port 0 of a macro writes, port 1 reads.
//
// A word is as many macros wide as its bytes need, 4 to a macro, and a lane of a word takes whole bytes, since those have write
// enables. Words are put into banks of 512, and what is left, if it is no more than 256 words, into a bank of 256.
// A macro holds its data only until its next clock edge, so what was read is kept in a register.
module acceltran_sram #(
    parameter DEPTH = 16,
    parameter WIDTH = 8,
    parameter LANES = 1,
    parameter NAME = "sram",
    parameter ADDRESS = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
    input  wire               clk,
    input  wire               read_enable,
    input  wire [ADDRESS-1:0] read_address,
    output wire [WIDTH-1:0]   read_data,
    input  wire [LANES-1:0]   write_enable,
    input  wire [ADDRESS-1:0] write_address,
    input  wire [WIDTH-1:0]   write_data
);
    localparam LANE = WIDTH / LANES, LANE_BYTES = (LANE + 7) / 8;
    localparam BYTES = LANES * LANE_BYTES, COLUMNS = (BYTES + 3) / 4;
    localparam LARGE = 512, SMALL = 256;
    localparam BANKS = (DEPTH + LARGE - 1) / LARGE;
    localparam LAST = DEPTH - (BANKS - 1) * LARGE; // words in the last bank
    localparam BANK = (BANKS > 1) ? $clog2(BANKS) : 1;

    // Words spread to whole bytes, and back.
    wire [32*COLUMNS-1:0] packed_write, packed_read;
    wire [4*COLUMNS-1:0]  packed_enable;
    genvar n, bank, column;
    generate
        for (n = 0; n < 4 * COLUMNS; n = n + 1) begin : spread_byte
            if (n < BYTES) begin : used
                localparam FIRST = n % LANE_BYTES * 8;
                localparam BITS = (LANE - FIRST < 8) ? LANE - FIRST : 8;
                localparam PLACE = n / LANE_BYTES * LANE + FIRST;
                assign packed_write[8*n +: BITS] = write_data[PLACE +: BITS];
                if (BITS < 8) begin : rest
                    assign packed_write[8*n+BITS +: 8-BITS] = 0;
                end
                assign packed_enable[n] = write_enable[n / LANE_BYTES];
                assign read_data[PLACE +: BITS] = packed_read[8*n +: BITS];
            end else begin : unused
                assign packed_write[8*n +: 8] = 8'd0;
                assign packed_enable[n] = 1'b0;
            end
        end
    endgenerate

    // Addresses with room for a whole bank, also where there are fewer words.
    wire [31:0] read_place = {{(32-ADDRESS){1'b0}}, read_address};
    wire [31:0] write_place = {{(32-ADDRESS){1'b0}}, write_address};
    wire writing = write_enable != 0;

    wire [32*COLUMNS-1:0] bank_read [0:BANKS-1];
    generate
        for (bank = 0; bank < BANKS; bank = bank + 1) begin : banks
            wire read_here = read_enable && read_place / LARGE == bank;
            wire write_here = writing && write_place / LARGE == bank;
            for (column = 0; column < COLUMNS; column = column + 1) begin : columns
                if (bank == BANKS - 1 && LAST <= SMALL) begin : half_bank
                    sky130_sram_1kbyte_1rw1r_32x256_8 macro(
                        .clk0(clk), .csb0(!write_here), .web0(1'b0), .wmask0(packed_enable[4*column +: 4]),
                        .addr0(write_place[7:0]), .din0(packed_write[32*column +: 32]), .dout0(),
                        .clk1(clk), .csb1(!read_here), .addr1(read_place[7:0]), .dout1(bank_read[bank][32*column +: 32]));
                end else begin : whole_bank
                    sky130_sram_2kbyte_1rw1r_32x512_8 macro(
                        .clk0(clk), .csb0(!write_here), .web0(1'b0), .wmask0(packed_enable[4*column +: 4]),
                        .addr0(write_place[8:0]), .din0(packed_write[32*column +: 32]), .dout0(),
                        .clk1(clk), .csb1(!read_here), .addr1(read_place[8:0]), .dout1(bank_read[bank][32*column +: 32]));
                end
            end
        end
    endgenerate

    // Which bank was read, and what came of it until the next read.
    reg fresh;
    reg [BANK-1:0] chosen;
    reg [32*COLUMNS-1:0] kept;
    assign packed_read = fresh ? bank_read[chosen] : kept;
    always @(posedge clk) begin
        fresh <= read_enable;
        if (read_enable) chosen <= read_place[9 +: BANK];
        if (fresh) kept <= packed_read;
    end
endmodule
