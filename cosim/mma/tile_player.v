// Plays steps into a tile and records its results. Either side of the tile rests at random.
//
// Program (+program=FILE), binary: steps of STEP_BYTES bytes each, most significant first.
// +results=N: how many results to wait for. +pause=N: of 256 cycles, how many each side rests, about.
// Record (+record=FILE), text: a result in hexadecimal and the sticky flag, a line each.
module tile_player (
    input clk,
    output reg finished
);
    localparam STEP_BYTES = (`STEP_BITS + 7) / 8;

    // The clock is the only input: Verilator evaluates whatever depends on another one twice more in each cycle.
    reg [2:0] resetting = 3'd4;
    wire rst = resetting != 0;

    reg [8*STEP_BYTES-1:0] step;
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

    integer program_file, record_file, got, pause, results;
    reg [8*1024-1:0] name;

    initial begin
        finished = 1'b0;
        if (!$value$plusargs("program=%s", name)) $fatal(1, "tile_player: +program is missing");
        program_file = $fopen(name, "rb");
        if (!$value$plusargs("record=%s", name)) $fatal(1, "tile_player: +record is missing");
        record_file = $fopen(name, "w");
        if (!$value$plusargs("results=%d", results)) $fatal(1, "tile_player: +results is missing");
        pause = 0;
        got = $value$plusargs("pause=%d", pause);
        got = 1;
    end

    always @(posedge clk) begin
        if (rst) begin
            resetting <= resetting - 3'd1;
            valid <= 1'b0;
            ready <= 1'b0;
            finished <= 1'b0;
        end else begin
            ready <= ($urandom & 255) >= pause;
            if (!valid || step_ready) begin
                valid <= 1'b0;
                if (($urandom & 255) >= pause && got != 0) begin
                    got = $fread(step, program_file);
                    valid <= got != 0;
                end
            end
            if (result_valid && ready) begin
                $fwrite(record_file, "%h %0d\n", result, illegal);
                results = results - 1;
                if (results == 0) begin
                    $fclose(record_file);
                    finished <= 1'b1;
                end
            end
        end
    end
endmodule
