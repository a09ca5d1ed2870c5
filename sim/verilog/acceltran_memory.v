// Main memory for simulation: an AXI4 subordinate over an array, filled from a hexadecimal file (+image=FILE, one bus
// word per line), with a log of its writes in memory.log. Reads are answered in order, the first beat LATENCY cycles after
// its address (or as many as +latency=N says), then one beat per cycle; up to QUEUE bursts wait. Writes are taken at one beat
// per cycle. The array lies at address +base=HEX (0 without), and other addresses answer DECERR. With +stall=N each handshake is
// held back in N of 256 cycles, at random (seeded by +stall_seed=S). With +shuffle every burst has a latency of its own, at
// random up to the given one, and beats of different ids are mixed in any order, as AXI4 allows.
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
    integer stall = 0, seed = 1, latency = LATENCY, unused;
    reg [ADDRESS-1:0] base = 0;
    reg shuffle = 0;
    reg read_open = 1, response_open = 1;
    reg [2:0] ready = 3'b111;
    initial begin
        if ($value$plusargs("stall=%d", stall) && $value$plusargs("stall_seed=%d", seed)) unused = $urandom(seed);
        unused = $value$plusargs("latency=%d", latency);
        unused = $value$plusargs("base=%h", base);
        shuffle = $test$plusargs("shuffle") != 0;
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

    // Reads: rings of bursts, each with the time from which it may be answered; one ring, or with +shuffle one per id.
    localparam RINGS = 1 << ID;
    localparam PLACE = $clog2(QUEUE);
    reg [31:0] now;
    reg [ADDRESS-1:0] address [0:RINGS*QUEUE-1]; // from base on; one below it wraps to one far beyond the array
    reg [7:0]       length [0:RINGS*QUEUE-1];
    reg [ID-1:0]    id     [0:RINGS*QUEUE-1];
    reg [31:0]      due    [0:RINGS*QUEUE-1];
    reg [PLACE-1:0] head [0:RINGS-1], tail [0:RINGS-1];
    reg [PLACE:0]   count [0:RINGS-1];
    reg [7:0]       beat [0:RINGS-1];

    reg  [ID-1:0]       pick;
    wire [ID-1:0]       ring = shuffle ? arid : {ID{1'b0}};
    wire [ID+PLACE-1:0] first = {pick, head[pick]};
    wire [ID+PLACE-1:0] last = {ring, tail[ring]};
    wire [ADDRESS-1:0]  word_address = (address[first] >> WORD) + {{(ADDRESS-8){1'b0}}, beat[pick]};
    assign arready = count[ring] < QUEUE && ready[0];
    assign rvalid = count[pick] != 0 && now >= due[first] && read_open;
    assign rdata = words[word_address[$clog2(WORDS)-1:0]];
    assign rresp = (address[first] >> $clog2(BYTES)) == 0 ? 2'b00 : 2'b11;
    assign rid = id[first];
    assign rlast = beat[pick] == length[first];

    integer n;
    always @(posedge clk) begin
        now <= now + 1;
        if (shuffle && !(rvalid && !rready)) pick <= $urandom;
        if (arvalid && arready) begin
            address[last] <= araddr - base;
            length[last] <= arlen;
            id[last] <= arid;
            due[last] <= now + (shuffle ? $urandom % (latency + 1) : latency);
            tail[ring] <= tail[ring] + 1;
        end
        if (rvalid && rready) begin
            beat[pick] <= rlast ? 8'd0 : beat[pick] + 8'd1;
            if (rlast) head[pick] <= head[pick] + 1;
        end
        for (n = 0; n < RINGS; n = n + 1)
            count[n] <= count[n] + {{PLACE{1'b0}}, arvalid && arready && ring == n}
                - {{PLACE{1'b0}}, rvalid && rready && rlast && pick == n};
        if (rst) begin
            now <= 0; pick <= 0;
            for (n = 0; n < RINGS; n = n + 1) begin
                head[n] <= 0; tail[n] <= 0; count[n] <= 0; beat[n] <= 0;
            end
        end
    end

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
