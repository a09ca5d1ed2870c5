// Smoke test of an AccelTran in Verilog-2001, generated: configuration /*NAME*/.
//
// It reads who the accelerator is, runs a program of one HALT, lets the memory refuse the fetch of a program, and recovers by a
// soft reset. The last line begins with PASS or FAIL.
//
//   +stop   end a failed run with $stop, of which most simulators make an exit code
module smoke_testbench;
    parameter TIMEOUT = 10000; // cycles without an answer or an interrupt that end the run

    localparam DATA = /*DATA*/, WORDS = /*WORDS*/, WORD_BYTES = DATA / 8;
    localparam [/*ADDRESS*/-1:0] PROGRAM = /*PROGRAM*/;
    localparam [1:0] OKAY = 2'b00, SLVERR = 2'b10;

    reg aclk = 0, aresetn = 1;
/*DECLARATIONS*/

    acceltran dut(
        .aclk(aclk), .aresetn(aresetn),
/*CONNECTIONS*/
    );

    // The end: one verdict, whoever comes first.
    reg over = 0, passed = 0;
    reg [8*200-1:0] verdict;
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
    initial while (!over) #5 aclk = !aclk;

    task fail(input [8*160-1:0] reason);
        begin
            if (!over) $sformat(verdict, "FAIL: %0s", reason);
            over = 1;
        end
    endtask

    // Main memory: the words of the program, and no others. Bursts are answered one after the other.
    reg watching = 0, refusing = 0, reading = 0;
    reg [DATA-1:0] words [0:WORDS-1];
    reg [7:0] place, left;
    assign m_axi_arready = !reading;
    assign m_axi_rvalid = reading;
    assign m_axi_rdata = words[place];
    assign m_axi_rresp = refusing ? SLVERR : OKAY;
    assign m_axi_rlast = left == 0;
    always @(posedge aclk)
        if (!watching) reading <= 0;
        else if (!reading) begin
            if (m_axi_arvalid !== 1'b0) begin
                reading <= 1;
                place <= (m_axi_araddr - PROGRAM) / WORD_BYTES;
                left <= m_axi_arlen;
                m_axi_rid <= m_axi_arid;
                if (m_axi_arvalid !== 1'b1) fail("m_axi_arvalid is undefined");
                if ((m_axi_araddr >= PROGRAM && (m_axi_araddr - PROGRAM) / WORD_BYTES + m_axi_arlen < WORDS) !== 1'b1)
                    fail("a read outside the program");
            end
        end else if (m_axi_rready === 1'b1) begin
            reading <= left != 0;
            place <= place + 1;
            left <= left - 1;
        end
    always @(posedge aclk)
        if (watching && (m_axi_awvalid !== 1'b0 || m_axi_wvalid !== 1'b0/*QUIET*/)) fail("/*UNASKED*/ that no one asked for");

    // The host: one access after the other. Inputs change at falling edges.
    integer waited = 0;
    reg [8*64-1:0] waiting_for = "reset";
    always @(posedge aclk) begin
        waited = waited + 1;
        if (waited > TIMEOUT) begin
            if (!over) $sformat(verdict, "FAIL: no %0s within %0d cycles", waiting_for, TIMEOUT);
            over = 1;
        end
    end

    task wait_for(input [8*64-1:0] what);
        begin
            waited = 0;
            waiting_for = what;
        end
    endtask

    reg aw_taken, w_taken, ar_taken;
    task write_register(input [/*REGISTER_BITS*/-1:0] address, input [31:0] value);
        begin
            wait_for("answer to the write of a register");
            s_axi_awaddr = address;
            s_axi_wdata = value;
            s_axi_wstrb = 4'b1111;
            s_axi_awvalid = 1;
            s_axi_wvalid = 1;
            while (s_axi_awvalid || s_axi_wvalid) begin
                @(posedge aclk);
                aw_taken = s_axi_awready === 1'b1;
                w_taken = s_axi_wready === 1'b1;
                @(negedge aclk);
                if (aw_taken) s_axi_awvalid = 0;
                if (w_taken) s_axi_wvalid = 0;
            end
            while (s_axi_bvalid !== 1'b1) @(negedge aclk);
            if (s_axi_bresp !== OKAY) fail("the write of a register is answered with an error");
            s_axi_bready = 1;
            @(negedge aclk);
            s_axi_bready = 0;
        end
    endtask

    task read_register(input [/*REGISTER_BITS*/-1:0] address, output [31:0] value);
        begin
            wait_for("answer to the read of a register");
            s_axi_araddr = address;
            s_axi_arvalid = 1;
            while (s_axi_arvalid) begin
                @(posedge aclk);
                ar_taken = s_axi_arready === 1'b1;
                @(negedge aclk);
                if (ar_taken) s_axi_arvalid = 0;
            end
            while (s_axi_rvalid !== 1'b1) @(negedge aclk);
            if (s_axi_rresp !== OKAY) fail("the read of a register is answered with an error");
            value = s_axi_rdata;
            s_axi_rready = 1;
            @(negedge aclk);
            s_axi_rready = 0;
        end
    endtask

    reg [31:0] seen;
    task expect_register(input [/*REGISTER_BITS*/-1:0] address, input [31:0] mask, input [31:0] value, input [8*32-1:0] name);
        begin
            read_register(address, seen);
            if ((seen & mask) !== value) begin
                if (!over) $sformat(verdict, "FAIL: %0s is 0x%h, expected 0x%h in the bits 0x%h", name, seen, value, mask);
                over = 1;
            end
        end
    endtask

    // A program of one instruction: started, awaited, asked how it went.
    task run_program(input [31:0] status, input [31:0] code);
        begin
            write_register(/*PROGRAM_ADDRESS*/, PROGRAM);
            write_register(/*PROGRAM_LENGTH*/, 1);
            write_register(/*IRQ_ENABLE*/, /*EVENTS*/);
            if (interrupt !== 1'b0) fail("interrupt is not 0 before the start");
            write_register(/*CONTROL*/, /*START*/);
            wait_for("interrupt");
            while (interrupt !== 1'b1) @(negedge aclk);
            expect_register(/*STATUS*/, /*STATUS_MASK*/, status, "STATUS");
            expect_register(/*ERROR_CODE*/, 32'hffffffff, code, "ERROR_CODE");
            write_register(/*IRQ_STATUS*/, /*EVENTS*/);
            wait_for("end of the interrupt");
            while (interrupt !== 1'b0) @(negedge aclk);
        end
    endtask

    initial begin
/*PROGRAM_WORDS*/
        @(negedge aclk);
        aresetn = 0;
/*IDLE*/
        repeat (2) @(negedge aclk);
        aresetn = 1;
        watching = 1;
/*CONSTANTS*/
        run_program(/*STATUS_DONE*/, /*NO_ERROR*/);
        refusing = 1;
        run_program(/*STATUS_ERROR*/, /*FETCH_BUS*/);
        refusing = 0;
        write_register(/*CONTROL*/, /*RESET*/);
        wait_for("end of the soft reset");
        seen = /*STATUS_RESETTING*/;
        while ((seen & /*STATUS_RESETTING*/) != 0) read_register(/*STATUS*/, seen);
        expect_register(/*STATUS*/, 32'hffffffff, /*STATUS_IDLE*/, "STATUS");
        run_program(/*STATUS_DONE*/, /*NO_ERROR*/);
        if (!over) begin
            verdict = "PASS: registers, a program, an error, a soft reset and a program again";
            passed = 1;
            over = 1;
        end
    end
endmodule
