// Behavioural model of zeroskip.rtl.sram.Sram for the simulators. A read of a word that is
// written in the same cycle returns the inverted word, neither of the two values: designs must not depend on it.
//
// +memories=FOLDER: a memory whose instance has the name NAME starts with the words of FOLDER/NAME.hex, where that file
// exists. +dump=FOLDER: it writes its words to FOLDER/NAME.hex at the end of the simulation.
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
    reg [8*1024-1:0] folder, name;

    initial begin
        r_data = {WIDTH{1'b0}};
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
        if (w_en) words[w_addr] <= w_data;
        if (r_en) r_data <= (w_en && w_addr == r_addr) ? ~words[r_addr] : words[r_addr];
    end
endmodule
