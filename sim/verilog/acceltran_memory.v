// Main memory for simulation: an AXI4 subordinate over an array, filled from a hexadecimal file (+image=FILE, one bus
// word per line), with a log of its writes in memory.log. Of reads, and the options that concern them, see
// acceltran_read_channel.v; a design with several memory ports has one of these for each port beside the first, over the same
// array. Writes are taken at one beat per cycle. The array lies at address +base=HEX (0 without), and other addresses answer
// DECERR. With +stall=N each handshake is held back in N of 256 cycles, at random (seeded by +stall_seed=S).
module acceltran_memory #(
    parameter DATA = 128,
    parameter ADDRESS = 32,
    parameter BYTES = 1 << 27,
    parameter ID = 1,
    parameter LATENCY = 40,
    parameter QUEUE = 16
) (
    input  wire              clk,
    input  wire              rst,
    input  wire [ADDRESS-1:0] araddr,
    input  wire [7:0]        arlen,
    input  wire [ID-1:0]     arid,
    input  wire              arvalid,
    output wire              arready,
    output wire [DATA-1:0]   rdata,
    output wire [1:0]        rresp,
    output wire [ID-1:0]     rid,
    output wire              rlast,
    output wire              rvalid,
    input  wire              rready,
    input  wire [ADDRESS-1:0] awaddr,
    input  wire [7:0]        awlen,
    input  wire [ID-1:0]     awid,
    input  wire              awvalid,
    output wire              awready,
    input  wire [DATA-1:0]   wdata,
    input  wire [DATA/8-1:0] wstrb,
    input  wire              wlast,
    input  wire              wvalid,
    output wire              wready,
    output reg  [1:0]        bresp,
    output reg  [ID-1:0]     bid,
    output wire              bvalid,
    input  wire              bready
);
    localparam WORD = $clog2(DATA / 8);
    localparam WORDS = BYTES / (DATA / 8);
    reg [DATA-1:0] words [0:WORDS-1];

    string image;
    integer log;
    integer stall = 0, seed = 1, unused;
    reg [ADDRESS-1:0] base = 0;
    reg response_open = 1;
    reg [2:1] ready = 2'b11;
    initial begin
        if ($value$plusargs("stall=%d", stall) && $value$plusargs("stall_seed=%d", seed)) unused = $urandom(seed);
        unused = $value$plusargs("base=%h", base);
        if ($value$plusargs("image=%s", image)) $readmemh(image, words);
        log = $fopen("memory.log", "w");
    end
    final $fclose(log);

    // Valid stays open until its transfer; ready is drawn anew every cycle.
    function open(input integer chance);
        open = chance == 0 || ($urandom & 32'd255) >= chance;
    endfunction
    always @(posedge clk) begin
        if (!response_open || bvalid && bready) response_open <= open(stall);
        ready <= {open(stall), open(stall)};
    end

    // Reads.
    wire [$clog2(WORDS)-1:0] read_place;
    acceltran_read_channel #(
        .DATA(DATA), .ADDRESS(ADDRESS), .BYTES(BYTES), .ID(ID), .LATENCY(LATENCY), .QUEUE(QUEUE)
    ) reads(
        .clk(clk), .rst(rst), .araddr(araddr), .arlen(arlen), .arid(arid), .arvalid(arvalid), .arready(arready),
        .rdata(rdata), .rresp(rresp), .rid(rid), .rlast(rlast), .rvalid(rvalid), .rready(rready),
        .place(read_place), .word(words[read_place])
    );

    // Writes: one burst at a time.
    reg        writing, answer;
    reg [ADDRESS-1:0] target;
    wire [ADDRESS-1:0] place = target - base, write_place = awaddr - base;
    integer    lane;
    assign awready = !writing && !answer && ready[1];
    assign wready = writing && ready[2];
    assign bvalid = answer && response_open;

    always @(posedge clk) begin
        if (awvalid && awready) begin
            writing <= 1;
            target <= awaddr;
            bid <= awid;
            bresp <= (write_place >> $clog2(BYTES)) == 0 ? 2'b00 : 2'b11;
        end
        if (wvalid && wready) begin
            for (lane = 0; lane < DATA / 8; lane = lane + 1)
                if (wstrb[lane] && bresp == 2'b00) words[place[$clog2(BYTES)-1:WORD]][8*lane +: 8] <= wdata[8*lane +: 8];
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
