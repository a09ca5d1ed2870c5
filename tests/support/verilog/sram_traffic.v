// Random traffic on the SRAM of the accelerator, module `acceltran_sram`, and on another in its place, `acceltran_sram_other`.
// After every cycle both have to say what an array says that was written along, as far as it was written.
module sram_traffic;
    parameter DEPTH = 16, WIDTH = 8, LANES = 1, CYCLES = 4000, SEED = 1;
    localparam ADDRESS = (DEPTH > 1) ? $clog2(DEPTH) : 1, LANE = WIDTH / LANES;

    reg clk = 0, read_enable = 0, known = 0;
    reg [ADDRESS-1:0] read_address = 0, write_address = 0;
    reg [LANES-1:0] write_enable = 0;
    reg [WIDTH-1:0] write_data = 0, expected, mask, now;
    wire [WIDTH-1:0] one, other;
    reg [WIDTH-1:0] words [0:DEPTH-1], written [0:DEPTH-1];
    integer n, lane, bad = 0, checked = 0, seed = SEED;

    acceltran_sram #(.DEPTH(DEPTH), .WIDTH(WIDTH), .LANES(LANES), .NAME("one")) first(
        .clk(clk), .read_enable(read_enable), .read_address(read_address), .read_data(one),
        .write_enable(write_enable), .write_address(write_address), .write_data(write_data));
    acceltran_sram_other #(.DEPTH(DEPTH), .WIDTH(WIDTH), .LANES(LANES), .NAME("other")) second(
        .clk(clk), .read_enable(read_enable), .read_address(read_address), .read_data(other),
        .write_enable(write_enable), .write_address(write_address), .write_data(write_data));

    initial begin
        for (n = 0; n < DEPTH; n = n + 1) written[n] = 0;
        for (n = 0; n < CYCLES; n = n + 1) begin
            read_enable = $random(seed) % 3 != 0;
            read_address = {$random(seed)} % DEPTH;
            write_address = {$random(seed)} % DEPTH;
            for (lane = 0; lane < LANES; lane = lane + 1) write_enable[lane] = $random(seed);
            for (lane = 0; lane < WIDTH; lane = lane + 1) write_data[lane] = $random(seed);
            // Words of the last bank, and the words beside its border, come up as often as all others together.
            if ($random(seed) % 2 == 0) begin
                write_address = DEPTH - 1 - {$random(seed)} % ((DEPTH < 4) ? DEPTH : 4);
                read_address = DEPTH - 1 - {$random(seed)} % ((DEPTH < 4) ? DEPTH : 4);
            end
            if (read_enable && read_address == write_address) write_enable = 0;
            if (read_enable) begin
                expected = words[read_address];
                mask = written[read_address];
                known = 1;
            end
            for (lane = 0; lane < LANES; lane = lane + 1) if (write_enable[lane]) begin
                now = words[write_address];
                now[lane*LANE +: LANE] = write_data[lane*LANE +: LANE];
                words[write_address] = now;
                now = written[write_address];
                now[lane*LANE +: LANE] = {LANE{1'b1}};
                written[write_address] = now;
            end
            #5 clk = 1;
            #5 clk = 0;
            #1 if (known) begin
                checked = checked + (mask != 0);
                if (((one ^ expected) & mask) !== 0 || ((other ^ expected) & mask) !== 0) bad = bad + 1;
            end
        end
        if (bad == 0 && checked > CYCLES / 8) $display("PASS: %0d words equal", checked);
        else $display("FAIL: %0d of %0d words differ", bad, checked);
        $finish;
    end
endmodule
