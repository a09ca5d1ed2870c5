// Self-checking testbench of an AccelTran in Verilog-2005, generated: /*TITLE*/.
//
// It resets the accelerator, sets it up through its registers, runs the program from main memory, and compares what the
// program stored there, byte by byte, with what the golden model expects. The last line begins with PASS or FAIL.
//
//   +folder=DIR   where testbench_memory.hex and testbench_expected.hex are, if they have moved since they were written
//   +stop         end a failed run with $stop, of which most simulators make an exit code
module testbench;
    parameter FOLDER = /*FOLDER*/;
    parameter RESET_CYCLES = 1;             // cycles in which rst is high
    parameter LATENCY = 40;                 // main memory: cycles from the address of a read to its first data
    parameter [63:0] TIMEOUT = /*TIMEOUT*/; // cycles without an interrupt, or without an answer, that end the run
    parameter CHECK_X = 1;                  // fail if any output of the accelerator is undefined after reset

    localparam DATA = /*DATA*/, WORD_BYTES = DATA / 8, WORDS = /*WORDS*/, EXPECTED_BYTES = /*EXPECTED_BYTES*/;
    localparam ADDRESS = /*ADDRESS*/;
    localparam [ADDRESS-1:0] BASE = /*BASE*/;

    reg clk = 0, rst = 0;
/*DECLARATIONS*/

    accelerator dut(
        .clk(clk), .rst(rst),
/*CONNECTIONS*/
    );

    wire unsupported;
    testbench_memory #(.DATA(DATA), .ADDRESS(ADDRESS), .WORDS(WORDS), .BASE(BASE), .LATENCY(LATENCY)) memory(
        .clk(clk), .rst(rst), .unsupported(unsupported),
        .araddr(m_axi__araddr), .arlen(m_axi__arlen), .arid(m_axi__arid), .arsize(m_axi__arsize), .arburst(m_axi__arburst),
        .arvalid(m_axi__arvalid), .arready(m_axi__arready),
        .rdata(m_axi__rdata), .rresp(m_axi__rresp), .rid(m_axi__rid), .rlast(m_axi__rlast),
        .rvalid(m_axi__rvalid), .rready(m_axi__rready),
        .awaddr(m_axi__awaddr), .awlen(m_axi__awlen), .awid(m_axi__awid), .awsize(m_axi__awsize), .awburst(m_axi__awburst),
        .awvalid(m_axi__awvalid), .awready(m_axi__awready),
        .wdata(m_axi__wdata), .wstrb(m_axi__wstrb), .wlast(m_axi__wlast), .wvalid(m_axi__wvalid), .wready(m_axi__wready),
        .bresp(m_axi__bresp), .bid(m_axi__bid), .bvalid(m_axi__bvalid), .bready(m_axi__bready)
    );
/*FURTHER_PORTS*/

    // The end: one verdict, whoever comes first.
    reg over = 0, passed = 0;
    reg [8*320-1:0] verdict;
    initial begin
        wait (over);
`ifdef VERILATOR
        $finish; // It is announced, so the verdict comes after it.
`endif
        $display("%0s", verdict);
        if (!passed && $test$plusargs("stop")) $stop;
`ifndef VERILATOR
        $finish(0);
`endif
    end
    initial while (!over) #5 clk = !clk;

    // What is watched in every cycle. Inputs change at falling edges, so at rising ones everything is settled.
    reg watching = 0;
    reg [63:0] cycle = 0, waited = 0;
    reg [8*64-1:0] waiting_for;
    always @(posedge clk) if (watching && !over) begin
        cycle = cycle + 1;
        waited = waited + 1;
        if (CHECK_X != 0) begin
/*X_CHECKS*/
        end
        if (unsupported !== 0/*UNSUPPORTED*/) fail("a burst that is not INCR, of whole words, or not as long as it was announced");
        if (waited > TIMEOUT) begin
            if (!over) $sformat(verdict, "FAIL: no %0s within %0d cycles", waiting_for, TIMEOUT);
            over = 1;
        end
    end

    task fail(input [8*200-1:0] reason);
        begin
            if (!over) $sformat(verdict, "FAIL: %0s, in cycle %0d after reset", reason, cycle);
            over = 1;
        end
    endtask

    task undefined(input [8*64-1:0] name);
        begin
            if (!over) $sformat(verdict, "FAIL: output %0s is undefined in cycle %0d after reset", name, cycle);
            over = 1;
        end
    endtask

    // The host: one access after the other.
    reg aw_taken, w_taken, ar_taken;
    task write_register(input [/*REGISTER_BITS*/-1:0] address, input [31:0] value);
        begin
            waited = 0;
            waiting_for = "answer to the write of a register";
            s_axil__awaddr = address;
            s_axil__wdata = value;
            s_axil__wstrb = 4'b1111;
            s_axil__awvalid = 1;
            s_axil__wvalid = 1;
            while (s_axil__awvalid || s_axil__wvalid) begin
                @(posedge clk);
                aw_taken = s_axil__awready === 1'b1;
                w_taken = s_axil__wready === 1'b1;
                @(negedge clk);
                if (aw_taken) s_axil__awvalid = 0;
                if (w_taken) s_axil__wvalid = 0;
            end
            while (s_axil__bvalid !== 1'b1) @(negedge clk);
            if (s_axil__bresp !== 2'b00) fail("the write of a register is answered with an error");
            s_axil__bready = 1;
            @(negedge clk);
            s_axil__bready = 0;
        end
    endtask

    task read_register(input [/*REGISTER_BITS*/-1:0] address, output [31:0] value);
        begin
            waited = 0;
            waiting_for = "answer to the read of a register";
            s_axil__araddr = address;
            s_axil__arvalid = 1;
            while (s_axil__arvalid) begin
                @(posedge clk);
                ar_taken = s_axil__arready === 1'b1;
                @(negedge clk);
                if (ar_taken) s_axil__arvalid = 0;
            end
            while (s_axil__rvalid !== 1'b1) @(negedge clk);
            if (s_axil__rresp !== 2'b00) fail("the read of a register is answered with an error");
            value = s_axil__rdata;
            s_axil__rready = 1;
            @(negedge clk);
            s_axil__rready = 0;
        end
    endtask

    reg [31:0] seen;
    task expect_register(input [/*REGISTER_BITS*/-1:0] address, input [31:0] value, input [8*64-1:0] name);
        begin
            read_register(address, seen);
            if (seen !== value) begin
                if (!over) $sformat(verdict, "FAIL: %0s is 0x%h, expected 0x%h: another accelerator", name, seen, value);
                over = 1;
            end
        end
    endtask

    // A program: started, awaited, asked how it went.
    reg [31:0] status, code, number, engine;
    reg [63:0] cycles;
    task run_program(input [31:0] address, input [31:0] length, input [8*32-1:0] name);
        begin
            write_register(/*PROGRAM_ADDRESS*/, address);
            write_register(/*PROGRAM_LENGTH*/, length);
            write_register(/*CONTROL*/, /*START*/);
            waited = 0;
            waiting_for = "interrupt";
            while (irq !== 1'b1) @(negedge clk);
            read_register(/*STATUS*/, status);
            read_register(/*ERROR_CODE*/, code);
            read_register(/*ERROR_INSTRUCTION*/, number);
            read_register(/*ERROR_ENGINE*/, engine);
            read_register(/*CYCLES_LO*/, cycles[31:0]);
            read_register(/*CYCLES_HI*/, cycles[63:32]);
            if ((status & /*STATUS_MASK*/) !== /*STATUS_DONE*/ || code !== 0) begin
                if (!over)
                    $sformat(verdict, "FAIL: %0s stopped: status 0x%h, error 0x%h in instruction %0d, engine %0d, %0d cycles",
                             name, status, code, number, engine, cycles);
                over = 1;
            end
            write_register(/*IRQ_STATUS*/, /*EVENTS*/);
            waited = 0;
            waiting_for = "end of the interrupt";
            while (irq !== 1'b0) @(negedge clk);
            if (!over) $display("%0s: %0d instructions, %0d cycles", name, length, cycles);
        end
    endtask

    // Bytes in main memory against those expected.
    reg [7:0] expected [0:EXPECTED_BYTES-1];
    reg [8*1024-1:0] folder;
    integer file, byte_number, bad, first_bad;
    integer outputs = 0, unequal = 0;
    reg [31:0] place;
    reg [DATA-1:0] word;
    reg [7:0] found, want, first_found, first_want;
    task compare(input [8*64-1:0] name, input [31:0] address, input integer start, input integer bytes);
        begin
            bad = 0;
            for (byte_number = 0; byte_number < bytes; byte_number = byte_number + 1) begin
                place = address + byte_number;
                word = memory.words[place / WORD_BYTES] >> (8 * (place % WORD_BYTES));
                found = word[7:0];
                want = expected[start + byte_number];
                if (found !== want || ^want === 1'bx) begin
                    if (bad == 0) begin
                        first_bad = byte_number;
                        first_found = found;
                        first_want = want;
                    end
                    bad = bad + 1;
                end
            end
            outputs = outputs + 1;
            if (bad == 0)
                $display("%0s: all %0d bytes equal", name, bytes);
            else begin
                unequal = unequal + 1;
                $display("%0s: %0d of %0d bytes differ, the first at %0d is 0x%h, expected 0x%h",
                         name, bad, bytes, first_bad, first_found, first_want);
            end
        end
    endtask

    task read_files;
        begin
            // verilator lint_off WIDTH
            if (!$value$plusargs("folder=%s", folder)) folder = FOLDER;
            // verilator lint_on WIDTH
            file = $fopen({folder, "/testbench_memory.hex"}, "r");
            if (file != 0) begin
                $fclose(file);
                file = $fopen({folder, "/testbench_expected.hex"}, "r");
            end
            if (file == 0) begin
                $sformat(verdict, "FAIL: %0s: the hex files cannot be read; give +folder=DIR", folder);
                over = 1;
            end else begin
                $fclose(file);
                $readmemh({folder, "/testbench_memory.hex"}, memory.words);
                $readmemh({folder, "/testbench_expected.hex"}, expected);
            end
        end
    endtask

    initial begin
        read_files;
        @(negedge clk);
        rst = 1; // A change, as in hardware: under SystemVerilog's rules a value in a declaration wakes no process.
/*IDLE*/
        repeat (RESET_CYCLES) @(negedge clk);
        rst = 0;
        watching = 1;
/*SETUP*/
/*PROGRAMS*/
        if (!over) begin
/*COMPARISONS*/
            if (unequal == 0)
                $sformat(verdict, "PASS: all %0d outputs equal, %0d cycles", outputs, cycles);
            else
                $sformat(verdict, "FAIL: %0d of %0d outputs differ, %0d cycles", unequal, outputs, cycles);
            passed = unequal == 0;
            over = 1;
        end
    end
endmodule

// Main memory: an AXI4 subordinate over an array of bus words. Of reads see testbench_reads, one of which every memory port has.
// Writes are taken one burst after the other. Words outside the array answer DECERR. Bursts other than INCR and words of less
// than the bus's width are unsupported.
module testbench_memory #(
    parameter DATA = 64,
    parameter WORDS = 1024,
    parameter ADDRESS = 32,
    parameter [ADDRESS-1:0] BASE = 0,
    parameter LATENCY = 40,
    parameter QUEUE = 16
) (
    input  wire              clk,
    input  wire              rst,
    output wire              unsupported,
    input  wire [ADDRESS-1:0] araddr,
    input  wire [7:0]        arlen,
    input  wire [0:0]        arid,
    input  wire [2:0]        arsize,
    input  wire [1:0]        arburst,
    input  wire              arvalid,
    output wire              arready,
    output wire [DATA-1:0]   rdata,
    output wire [1:0]        rresp,
    output wire [0:0]        rid,
    output wire              rlast,
    output wire              rvalid,
    input  wire              rready,
    input  wire [ADDRESS-1:0] awaddr,
    input  wire [7:0]        awlen,
    input  wire [0:0]        awid,
    input  wire [2:0]        awsize,
    input  wire [1:0]        awburst,
    input  wire              awvalid,
    output wire              awready,
    input  wire [DATA-1:0]   wdata,
    input  wire [DATA/8-1:0] wstrb,
    input  wire              wlast,
    input  wire              wvalid,
    output wire              wready,
    output reg  [1:0]        bresp,
    output reg  [0:0]        bid,
    output reg               bvalid,
    input  wire              bready
);
    localparam SIZE = $clog2(DATA / 8);
    localparam [1:0] INCR = 2'b01, OKAY = 2'b00, DECERR = 2'b11;
    reg [DATA-1:0] words [0:WORDS-1];

    wire [ADDRESS-1:0] read_word;
    wire read_unsupported;
    testbench_reads #(.DATA(DATA), .WORDS(WORDS), .ADDRESS(ADDRESS), .BASE(BASE), .LATENCY(LATENCY), .QUEUE(QUEUE)) reads(
        .clk(clk), .rst(rst), .unsupported(read_unsupported),
        .araddr(araddr), .arlen(arlen), .arid(arid), .arsize(arsize), .arburst(arburst), .arvalid(arvalid), .arready(arready),
        .rdata(rdata), .rresp(rresp), .rid(rid), .rlast(rlast), .rvalid(rvalid), .rready(rready),
        .place(read_word), .word(words[read_word])
    );

    // Writes: one burst at a time.
    reg        writing, write_unsupported;
    assign unsupported = read_unsupported !== 0 || write_unsupported !== 0;
    reg [ADDRESS-1:0] target;
    reg [7:0]  left;
    integer    lane;
    wire [ADDRESS-1:0] write_word = (target - BASE) >> SIZE;
    wire write_inside = write_word < WORDS;
    assign awready = !writing && !bvalid;
    assign wready = writing;

    wire write_taken = awvalid && awready, word_taken = wvalid && wready;
    always @(posedge clk)
        if (rst) begin
            writing <= 0;
            bvalid <= 0;
            bresp <= OKAY;
            bid <= 0;
            write_unsupported <= 0;
        end else begin
            if (write_taken) begin
                writing <= 1;
                target <= awaddr;
                left <= awlen;
                bid <= awid;
                bresp <= OKAY;
            end
            if (word_taken) begin
                for (lane = 0; lane < DATA / 8; lane = lane + 1)
                    if (wstrb[lane] && write_inside) words[write_word][8*lane +: 8] <= wdata[8*lane +: 8];
                if (!write_inside) bresp <= DECERR;
                target <= target + DATA / 8;
                left <= left - 8'd1;
                if (left == 0) begin
                    writing <= 0;
                    bvalid <= 1;
                end
            end
            if (bvalid && bready) bvalid <= 0;
            if (write_taken && ({29'd0, awsize} !== SIZE || awburst !== INCR) || word_taken && wlast !== (left == 0))
                write_unsupported <= 1;
        end
endmodule

// The read channels of a memory port. Reads are answered in order, whatever their id, the first beat LATENCY cycles after its
// address and then one per cycle, and up to QUEUE bursts wait. The word at `place` of the array is expected at `word`.
module testbench_reads #(
    parameter DATA = 64,
    parameter WORDS = 1024,
    parameter ADDRESS = 32,
    parameter [ADDRESS-1:0] BASE = 0,
    parameter LATENCY = 40,
    parameter QUEUE = 16
) (
    input  wire              clk,
    input  wire              rst,
    output reg               unsupported,
    input  wire [ADDRESS-1:0] araddr,
    input  wire [7:0]        arlen,
    input  wire [0:0]        arid,
    input  wire [2:0]        arsize,
    input  wire [1:0]        arburst,
    input  wire              arvalid,
    output wire              arready,
    output wire [DATA-1:0]   rdata,
    output wire [1:0]        rresp,
    output wire [0:0]        rid,
    output wire              rlast,
    output wire              rvalid,
    input  wire              rready,
    output wire [ADDRESS-1:0] place,
    input  wire [DATA-1:0]   word
);
    // Reads: a ring of bursts, each with the time from which it may be answered.
    localparam SIZE = $clog2(DATA / 8);
    localparam [1:0] INCR = 2'b01, OKAY = 2'b00, DECERR = 2'b11;
    reg [31:0] now;
    reg [ADDRESS-1:0] address [0:QUEUE-1];
    reg [7:0]  length  [0:QUEUE-1];
    reg [0:0]  id      [0:QUEUE-1];
    reg [31:0] due     [0:QUEUE-1];
    integer head, tail, count;
    reg [7:0]  beat;

    wire [ADDRESS-1:0] read_word = ((address[head] - BASE) >> SIZE) + {{(ADDRESS-8){1'b0}}, beat};
    wire read_inside = read_word < WORDS; // An address below BASE wraps to a word beyond all of them.
    assign place = read_word;
    assign arready = count < QUEUE;
    assign rvalid = count != 0 && now >= due[head];
    assign rdata = rvalid && read_inside ? word : {DATA{1'b0}};
    assign rresp = rvalid && !read_inside ? DECERR : OKAY;
    assign rid = rvalid ? id[head] : 1'b0;
    assign rlast = rvalid && beat == length[head];

    wire read_taken = arvalid && arready, beat_taken = rvalid && rready;
    always @(posedge clk)
        if (rst) begin
            now <= 0;
            head <= 0;
            tail <= 0;
            count <= 0;
            beat <= 0;
            unsupported <= 0;
        end else begin
            now <= now + 1;
            if (read_taken) begin
                address[tail] <= araddr;
                length[tail] <= arlen;
                id[tail] <= arid;
                due[tail] <= now + LATENCY;
                tail <= (tail + 1) % QUEUE;
            end
            if (beat_taken) beat <= rlast ? 8'd0 : beat + 8'd1;
            if (beat_taken && rlast) head <= (head + 1) % QUEUE;
            if (read_taken && !(beat_taken && rlast)) count <= count + 1;
            if (!read_taken && beat_taken && rlast) count <= count - 1;
            if (read_taken && ({29'd0, arsize} !== SIZE || arburst !== INCR)) unsupported <= 1;
        end
endmodule
