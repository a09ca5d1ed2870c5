// Main memory for simulation: an AXI4 subordinate over an array, filled from a hexadecimal file (+image=FILE, one bus
// word per line), with a log of its writes in memory.log. Reads are answered in order, the first beat LATENCY cycles after
// its address (or as many as +latency=N says), then one beat per cycle; up to QUEUE bursts wait. Writes are taken at one beat per cycle. With +stall=N each
// handshake is held back in N of 256 cycles, at random (seeded by +stall_seed=S).
module acceltran_memory #(
    parameter DATA = 128,
    parameter BYTES = 1 << 27,
    parameter LATENCY = 40,
    parameter QUEUE = 16
) (
    input  wire              clk,
    input  wire              rst,
    input  wire [31:0]       araddr,
    input  wire [7:0]        arlen,
    input  wire [0:0]        arid,
    input  wire              arvalid,
    output wire              arready,
    output wire [DATA-1:0]   rdata,
    output wire [1:0]        rresp,
    output wire [0:0]        rid,
    output wire              rlast,
    output wire              rvalid,
    input  wire              rready,
    input  wire [31:0]       awaddr,
    input  wire [7:0]        awlen,
    input  wire [0:0]        awid,
    input  wire              awvalid,
    output wire              awready,
    input  wire [DATA-1:0]   wdata,
    input  wire [DATA/8-1:0] wstrb,
    input  wire              wlast,
    input  wire              wvalid,
    output wire              wready,
    output reg  [1:0]        bresp,
    output reg  [0:0]        bid,
    output wire              bvalid,
    input  wire              bready
);
    localparam WORD = $clog2(DATA / 8);
    localparam WORDS = BYTES / (DATA / 8);
    reg [DATA-1:0] words [0:WORDS-1];

    string image;
    integer log;
    integer stall = 0, seed = 1, latency = LATENCY, unused;
    reg read_open = 1, response_open = 1;
    reg [2:0] ready = 3'b111;
    initial begin
        if ($value$plusargs("stall=%d", stall) && $value$plusargs("stall_seed=%d", seed)) unused = $urandom(seed);
        unused = $value$plusargs("latency=%d", latency);
        if ($value$plusargs("image=%s", image)) $readmemh(image, words);
        log = $fopen("memory.log", "w");
    end
    final $fclose(log);

    // Valid stays open until its transfer; ready is drawn anew every cycle.
    function open(input integer chance);
        open = chance == 0 || ($urandom & 32'd255) >= chance;
    endfunction
    always @(posedge clk) begin
        if (!read_open || rvalid && rready) read_open <= open(stall);
        if (!response_open || bvalid && bready) response_open <= open(stall);
        ready <= {open(stall), open(stall), open(stall)};
    end

    // Reads: a ring of bursts, each with the time from which it may be answered.
    reg [31:0] now;
    reg [31:0] address [0:QUEUE-1];
    reg [7:0]  length  [0:QUEUE-1];
    reg [0:0]  id      [0:QUEUE-1];
    reg [31:0] due     [0:QUEUE-1];
    reg [$clog2(QUEUE)-1:0] head, tail;
    reg [$clog2(QUEUE):0]   count;
    reg [7:0]  beat;

    wire [31:0] word_address = (address[head] >> WORD) + {24'd0, beat};
    assign arready = count < QUEUE && ready[0];
    assign rvalid = count != 0 && now >= due[head] && read_open;
    assign rdata = words[word_address[$clog2(WORDS)-1:0]];
    assign rresp = (address[head] >> $clog2(BYTES)) == 0 ? 2'b00 : 2'b11;
    assign rid = id[head];
    assign rlast = beat == length[head];

    always @(posedge clk) begin
        now <= now + 1;
        if (arvalid && arready) begin
            address[tail] <= araddr;
            length[tail] <= arlen;
            id[tail] <= arid;
            due[tail] <= now + latency;
            tail <= tail + 1;
        end
        if (rvalid && rready) begin
            beat <= rlast ? 8'd0 : beat + 8'd1;
            if (rlast) head <= head + 1;
        end
        count <= count + {{$clog2(QUEUE){1'b0}}, arvalid && arready} - {{$clog2(QUEUE){1'b0}}, rvalid && rready && rlast};
        if (rst) begin
            now <= 0; head <= 0; tail <= 0; count <= 0; beat <= 0;
        end
    end

    // Writes: one burst at a time.
    reg        writing, answer;
    reg [31:0] target;
    integer    lane;
    assign awready = !writing && !answer && ready[1];
    assign wready = writing && ready[2];
    assign bvalid = answer && response_open;

    always @(posedge clk) begin
        if (awvalid && awready) begin
            writing <= 1;
            target <= awaddr;
            bid <= awid;
            bresp <= (awaddr >> $clog2(BYTES)) == 0 ? 2'b00 : 2'b11;
        end
        if (wvalid && wready) begin
            for (lane = 0; lane < DATA / 8; lane = lane + 1)
                if (wstrb[lane] && bresp == 2'b00) words[target[$clog2(BYTES)-1:WORD]][8*lane +: 8] <= wdata[8*lane +: 8];
            $fwrite(log, "%0d %0d %h %h\n", $time, target, wstrb, wdata);
            target <= target + DATA / 8;
            if (wlast) begin
                writing <= 0;
                answer <= 1;
            end
        end
        if (bvalid && bready) answer <= 0;
        if (rst) begin
            writing <= 0; answer <= 0;
        end
    end
endmodule
