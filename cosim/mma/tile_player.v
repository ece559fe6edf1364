// Plays steps into a tile (cosim/common_player.v) and records its results. Both sides of the tile pause at random.
//
// Program: steps of STEP_BYTES bytes each, most significant first.
// +results=N: how many results to wait for. +pause=N: each side pauses in about N of 256 cycles.
// Record: a result in hexadecimal and the sticky flag, a line each.
module tile_player (
    input clk,
    output reg finished
);
`include "common_player.v"

    localparam STEP_BYTES = (`STEP_BITS + 7) / 8;
    reg [8*STEP_BYTES-1:0] step, next;
    reg valid, ready;
    wire step_ready, result_valid, illegal;
    wire [`RESULT_BITS-1:0] result;

    tile tile (
        .clk(clk),
        .rst(rst),
        .step__payload(step[`STEP_BITS-1:0]),
        .step__valid(valid),
        .step__ready(step_ready),
        .result__payload(result),
        .result__valid(result_valid),
        .result__ready(ready),
        .clear(1'b0),
        .illegal(illegal)
    );

    integer pause, results;

    initial begin
        if (!$value$plusargs("results=%d", results)) $fatal(1, "player: +results is missing");
        pause = 0;
        got = $value$plusargs("pause=%d", pause);
    end

    always @(posedge clk) begin
        if (rst) begin
            resetting <= resetting - 3'd1;
            valid <= 1'b0;
            ready <= 1'b0;
            finished <= 1'b0;
            state <= OPENING;
        end else if (state == OPENING) begin
            open_files;
            got = 1;
            finished <= 1'b0;
            state <= RUNNING;
        end else begin
            ready <= ($urandom & 255) >= pause;
            if (!valid || step_ready) begin
                valid <= 1'b0;
                if (($urandom & 255) >= pause && got != 0) begin
                    // Not into `step` itself, which the tile takes at this edge.
                    got = $fread(next, program_file);
                    step <= next;
                    valid <= got != 0;
                end
            end
            if (result_valid && ready) begin
                $fwrite(record_file, "%h %0d\n", result, illegal);
                results = results - 1;
                if (results == 0) begin
                    close_files;
                    finished <= 1'b1;
                    state <= OPENING;
                end
            end
        end
    end
endmodule
