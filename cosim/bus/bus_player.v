// Plays programs of register accesses and images into a core on a bus, and records what it answers.
//
// Program (+program=FILE), binary: commands of a byte and a count (4 bytes), most significant bytes first.
//   "W" count, (address data) ...   writes, 4 bytes each
//   "R" count, address              reads `count` words from that address on
//   "P" address, mask, limit        reads a word until no bit of the mask is set; the count is the address
//   "I" count, beats                sends beats: data, then a byte of TKEEP, then a byte whose lowest bit is TLAST
//   "O" count, limit                waits until `count` packets of results have come
// Without STREAM_BITS, the core has no streams, and a program no "I" and "O"; with NO_IMAGES, it has a stream of results
// alone, and a program no "I".
// Record (+record=FILE), text, a line each:
//   "B" response address            for a write that is refused
//   "R" values                      for "R", signed; X and the response for a read that is refused
//   "O" values                      for each packet, signed
//   "T" limit                       in place of the rest of the record, when "P" or "O" does not end
`ifndef STREAM_BITS
`define NO_STREAMS
`define STREAM_BITS 16
`endif
module bus_player (
    input clk,
    output reg finished
);
`include "common_player.v"

    localparam BEAT_BYTES = `STREAM_BITS / 8, RESULTS = 65536;
    localparam NEXT = 1, WRITE = 2, WRITE_ANSWER = 3, READ = 4, AGAIN = 5, SEND = 6, RECEIVE = 7;

    // An access: everything stands still from `valid` to `answered`. The response is 0 where it was obeyed.
    reg valid, write;
    reg [31:0] address, data;
    wire answered;
    wire [1:0] response;
    wire [31:0] rdata;

    reg tvalid, tlast;
    reg [8*BEAT_BYTES-1:0] tdata, next_data;
    reg [7:0] tkeep, next_keep, next_last, command;
    wire tready;
    wire result_valid, result_last;
    wire [8*BEAT_BYTES-1:0] result_data;
    wire [BEAT_BYTES-1:0] result_keep;
    reg result_ready;

    // The ports of the streams; the N:M tile has none, and the mapping unit one.
`ifdef NO_STREAMS
`define STREAMS
`else
`ifdef NO_IMAGES
`define IMAGES
`else
`define IMAGES \
        .s_axis_tdata(tdata), \
        .s_axis_tkeep(tkeep[BEAT_BYTES-1:0]), \
        .s_axis_tlast(tlast), \
        .s_axis_tvalid(tvalid), \
        .s_axis_tready(tready),
`endif
`define STREAMS \
        `IMAGES \
        .m_axis_tdata(result_data), \
        .m_axis_tkeep(result_keep), \
        .m_axis_tlast(result_last), \
        .m_axis_tvalid(result_valid), \
        .m_axis_tready(result_ready),
`endif

`include "host_port.v"

`ifdef NO_STREAMS
`define NO_IMAGES
    assign result_valid = 1'b0;
    assign result_last = 1'b0;
    assign result_data = 0;
    assign result_keep = 0;
`endif
`ifdef NO_IMAGES
    assign tready = 1'b0;
`endif

    reg [31:0] count, mask, limit, waited;
    reg polls;
    reg signed [31:0] value;
    reg signed [15:0] number;
    reg [16:0] result;

    // Values of the packets that came and were not recorded; the last one of a packet is marked.
    reg [16:0] results [0:RESULTS-1];
    integer written, taken, packets, lane;
    reg [15:0] pause;

    task give_up;
        begin
            $fwrite(record_file, "T %0d\n", limit);
            close_files;
            finished <= 1'b1;
            state <= OPENING;
        end
    endtask

    always @(posedge clk) begin
        if (rst) begin
            resetting <= resetting - 3'd1;
            state <= OPENING;
            {valid, tvalid, polls, finished} <= 0;
            result_ready <= 1'b0;
            pause <= 16'd1;
            written = 0;
            taken = 0;
            packets = 0;
        end else begin
            // The results are taken in about half of all cycles.
            pause <= {pause[14:0], pause[15] ^ pause[13] ^ pause[12] ^ pause[10]};
            result_ready <= pause[0];
            if (result_valid && result_ready) begin
                for (lane = 0; lane < BEAT_BYTES / 2; lane = lane + 1)
                    if (result_keep[2*lane]) begin
                        results[written % RESULTS] = {1'b0, result_data[16*lane +: 16]};
                        written = written + 1;
                    end
                if (result_last) begin
                    results[(written - 1) % RESULTS][16] = 1'b1;
                    packets = packets + 1;
                end
            end

            case (state)
                OPENING: begin
                    open_files;
                    finished <= 1'b0;
                    state <= NEXT;
                end
                NEXT: begin
                    got = $fread(command, program_file);
                    if (got == 1) got = $fread(count, program_file);
                    waited <= 0;
                    polls <= 1'b0;
                    if (got == 0) begin
                        close_files;
                        finished <= 1'b1;
                        state <= OPENING;
                    end else if (command == "W") begin
                        state <= WRITE;
                    end else if (command == "R") begin
                        got = $fread(data, program_file);
                        address <= data;
                        valid <= 1'b1;
                        write <= 1'b0;
                        $fwrite(record_file, "R");
                        state <= READ;
                    end else if (command == "P") begin
                        address <= count;
                        got = $fread(mask, program_file);
                        got = $fread(limit, program_file);
                        polls <= 1'b1;
                        valid <= 1'b1;
                        write <= 1'b0;
                        state <= READ;
                    end else if (command == "I") begin
                        state <= SEND;
                    end else begin
                        got = $fread(limit, program_file);
                        state <= RECEIVE;
                    end
                end
                WRITE:
                    if (count == 0) state <= NEXT;
                    else begin
                        got = $fread(data, program_file);
                        address <= data;
                        got = $fread(data, program_file);
                        valid <= 1'b1;
                        write <= 1'b1;
                        count = count - 1;
                        state <= WRITE_ANSWER;
                    end
                WRITE_ANSWER:
                    if (answered) begin
                        valid <= 1'b0;
                        if (response != 0) $fwrite(record_file, "B %0d %0d\n", response, address);
                        state <= WRITE;
                    end
                READ: begin
                    waited <= waited + 1;
                    if (answered) begin
                        valid <= 1'b0;
                        if (polls) begin
                            if ((rdata & mask) == 0) state <= NEXT;
                            else if (waited > limit) give_up;
                            else state <= AGAIN;
                        end else begin
                            value = rdata;
                            if (response != 0) $fwrite(record_file, " X%0d", response);
                            else $fwrite(record_file, " %0d", value);
                            address <= address + 4;
                            count = count - 1;
                            if (count == 0) begin
                                $fwrite(record_file, "\n");
                                state <= NEXT;
                            end else state <= AGAIN;
                        end
                    end
                end
                AGAIN: begin
                    valid <= 1'b1;
                    state <= READ;
                end
                SEND:
                    if (!tvalid || tready) begin
                        tvalid <= 1'b0;
                        if (count == 0) state <= NEXT;
                        else begin
                            got = $fread(next_data, program_file);
                            got = $fread(next_keep, program_file);
                            got = $fread(next_last, program_file);
                            tdata <= next_data;
                            tkeep <= next_keep;
                            tlast <= next_last[0];
                            tvalid <= 1'b1;
                            count = count - 1;
                        end
                    end
                RECEIVE: begin
                    waited <= waited + 1;
                    if (count == 0) state <= NEXT;
                    else if (packets != 0) begin
                        $fwrite(record_file, "O");
                        result = 17'd0;
                        while (!result[16]) begin
                            result = results[taken % RESULTS];
                            number = result[15:0];
                            taken = taken + 1;
                            $fwrite(record_file, " %0d", number);
                        end
                        $fwrite(record_file, "\n");
                        packets = packets - 1;
                        count = count - 1;
                        waited <= 0;
                    end else if (waited > limit) begin
                        give_up;
                    end
                end
                default: ;
            endcase
        end
    end
endmodule
