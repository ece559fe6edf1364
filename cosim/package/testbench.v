// Plays a program into the core, and compares the record with the expected one, byte by byte.
//
// +program=FILE +record=FILE +expected=FILE. The simulation ends with an exit code other than zero where they differ.
// Lines of the record that begin with "A" come after the last expected one; they count what the core did.
`ifdef VERILATOR
// main.cpp drives the clock.
module testbench (
    input clk
);
`else
module testbench;
    reg clk;
    initial begin
        clk = 1'b0;
        forever #5 clk = ~clk;
    end
`endif
    wire finished;
    integer record_file, expected_file, got, wanted, line;
    reg [8*1024-1:0] record_name, expected_name;

    `PLAYER player (
        .clk(clk),
        .finished(finished)
    );

    initial begin
        if (!$value$plusargs("record=%s", record_name)) $fatal(1, "FAIL: +record is missing");
        if (!$value$plusargs("expected=%s", expected_name)) $fatal(1, "FAIL: +expected is missing");
    end

    always @(posedge finished) begin
        record_file = $fopen(record_name, "r");
        expected_file = $fopen(expected_name, "r");
        if (record_file == 0 || expected_file == 0) $fatal(1, "FAIL: the record or the expected one cannot be read");
        line = 1;
        got = $fgetc(record_file);
        wanted = $fgetc(expected_file);
        if (wanted == -1) $fatal(1, "FAIL: the expected record is empty");
        while (wanted != -1 && got == wanted) begin
            if (got == 10) line = line + 1;
            got = $fgetc(record_file);
            wanted = $fgetc(expected_file);
        end
        if (wanted != -1 || (got != -1 && got != 65))
            $fatal(1, "FAIL: line %0d of the record differs from the expected one", line);
        $display("PASS: all %0d lines of the record are as expected", line - 1);
        $finish;
    end
endmodule
