// Behavioural model of zeroskip.rtl.sram.Sram for the simulators. A read of a word that is
// written in the same cycle returns the inverted word, neither of the two values: designs must not depend on it.
//
// +memories=FOLDER: a memory whose instance has the name NAME starts with the words of FOLDER/NAME.hex, where that file
// exists. +dump=FOLDER: it writes its words to FOLDER/NAME.hex at the end of the simulation.
//
// A player may call `fill` and `print` in cycles in which the design does not use the memory.
module zeroskip_sram #(
    parameter WIDTH = 1,
    parameter DEPTH = 1,
    parameter ADDRESS = 1
) (
    input clk,
    input w_en,
    input [ADDRESS-1:0] w_addr,
    input [WIDTH-1:0] w_data,
    input r_en,
    input [ADDRESS-1:0] r_addr,
    output reg [WIDTH-1:0] r_data
);
    reg [WIDTH-1:0] words [0:DEPTH-1];

    integer file;
`ifdef __ICARUS__
    integer seed, index;
`endif
    reg [8*1024-1:0] folder, name;

    initial begin
        r_data = {WIDTH{1'b0}};
`ifdef __ICARUS__
        if (!$value$plusargs("seed=%d", seed)) seed = 0;
        for (index = 0; index < DEPTH; index = index + 1)
            // A narrow word takes the lowest bits of a number, a wide one repeats it.
            words[index] = {(WIDTH + 31) / 32{$random(seed)}};
`endif
        if ($value$plusargs("memories=%s", folder)) begin
            $sformat(name, "%0s/%m.hex", folder);
            file = $fopen(name, "r");
            if (file != 0) begin
                $fclose(file);
                $readmemh(name, words);
            end
        end
    end

    final
        if ($value$plusargs("dump=%s", folder)) begin
            $sformat(name, "%0s/%m.hex", folder);
            $writememh(name, words);
        end

    always @(posedge clk) begin
        if (r_en) r_data <= (w_en && w_addr == r_addr) ? ~words[r_addr] : words[r_addr];
        // Blocking, as in `fill`: simulators accept only one kind of assignment to a variable. The read comes before it.
        if (w_en) words[w_addr] = w_data;
    end

    // The first `count` words come from a binary file, each in whole bytes, most significant first.
    task fill(input integer source, input integer count);
        file = $fread(words, source, 0, count);
    endtask

    // Writes a word in hexadecimal, a line behind "D".
    task print(input integer record, input integer address);
        $fwrite(record, "D %h\n", words[address]);
    endtask
endmodule
