// The EIE array beside a processor, PicoRV32, which runs the firmware: a player for testbench.v.
//
// 0x00000000  RAM, 8 KiB, begins with +firmware=FILE
// 0x20000000  ROM, ROM_WORDS words, +rom=FILE: the network and its images
// 0x30000000  mailbox: what the firmware writes there goes to +record=FILE
// 0x40000000  the core, on AXI4-Lite; its interrupt is number 3
module riscv_system (
    input clk,
    output reg finished
);
    localparam RAM_WORDS = 2048;

    reg [7:0] resetting = 8'hff;
    always @(posedge clk) resetting <= resetting >> 1;
    wire rst = resetting[0];

    reg [8*1024-1:0] firmware_name, rom_name, record_name;
    reg [31:0] ram [0:RAM_WORDS-1];
    reg [31:0] rom [0:`ROM_WORDS-1];
    integer record_file;

    initial begin
        finished = 1'b0;
        if (!$value$plusargs("firmware=%s", firmware_name)) $fatal(1, "FAIL: +firmware is missing");
        if (!$value$plusargs("rom=%s", rom_name)) $fatal(1, "FAIL: +rom is missing");
        if (!$value$plusargs("record=%s", record_name)) $fatal(1, "FAIL: +record is missing");
        $readmemh(firmware_name, ram);
        $readmemh(rom_name, rom);
        record_file = $fopen(record_name, "w");
    end

    wire trap, mem_valid;
    wire [31:0] mem_addr, mem_wdata;
    wire [3:0] mem_wstrb;
    reg mem_ready;
    reg [31:0] mem_rdata;
    wire irq;

    picorv32 #(
        .ENABLE_IRQ(1),
        .ENABLE_IRQ_TIMER(0),
        .BARREL_SHIFTER(1),
        // The core holds its interrupt until its events are cleared.
        .LATCHED_IRQ(32'hffff_fff7),
        .PROGADDR_IRQ(32'h0000_0010)
    ) cpu (
        .clk(clk),
        .resetn(!rst),
        .trap(trap),
        .mem_valid(mem_valid),
        .mem_ready(mem_ready),
        .mem_addr(mem_addr),
        .mem_wdata(mem_wdata),
        .mem_wstrb(mem_wstrb),
        .mem_rdata(mem_rdata),
        .pcpi_wr(1'b0),
        .pcpi_rd(32'd0),
        .pcpi_wait(1'b0),
        .pcpi_ready(1'b0),
        .irq({28'd0, irq, 3'd0})
    );

    // The core, behind the processor's own adapter of AXI4-Lite.
    wire of_core = mem_valid && mem_addr[31:28] == 4'd4;
    wire core_ready;
    wire [31:0] core_rdata;
    wire awvalid, awready, wvalid, wready, bvalid, bready, arvalid, arready, rvalid, rready;
    wire [31:0] awaddr, wdata, araddr, rdata;
    wire [2:0] awprot, arprot;
    wire [3:0] wstrb;

    picorv32_axi_adapter adapter (
        .clk(clk),
        .resetn(!rst),
        .mem_axi_awvalid(awvalid),
        .mem_axi_awready(awready),
        .mem_axi_awaddr(awaddr),
        .mem_axi_awprot(awprot),
        .mem_axi_wvalid(wvalid),
        .mem_axi_wready(wready),
        .mem_axi_wdata(wdata),
        .mem_axi_wstrb(wstrb),
        .mem_axi_bvalid(bvalid),
        .mem_axi_bready(bready),
        .mem_axi_arvalid(arvalid),
        .mem_axi_arready(arready),
        .mem_axi_araddr(araddr),
        .mem_axi_arprot(arprot),
        .mem_axi_rvalid(rvalid),
        .mem_axi_rready(rready),
        .mem_axi_rdata(rdata),
        .mem_valid(of_core),
        .mem_instr(1'b0),
        .mem_ready(core_ready),
        .mem_addr(mem_addr),
        .mem_wdata(mem_wdata),
        .mem_wstrb(mem_wstrb),
        .mem_rdata(core_rdata)
    );

    eie_axi_array core (
        .clk(clk),
        .rst(rst),
        .s_axi_awaddr(awaddr[`ADDRESS_BITS-1:0]),
        .s_axi_awprot(awprot),
        .s_axi_awvalid(awvalid),
        .s_axi_awready(awready),
        .s_axi_wdata(wdata),
        .s_axi_wstrb(wstrb),
        .s_axi_wvalid(wvalid),
        .s_axi_wready(wready),
        .s_axi_bresp(),
        .s_axi_bvalid(bvalid),
        .s_axi_bready(bready),
        .s_axi_araddr(araddr[`ADDRESS_BITS-1:0]),
        .s_axi_arprot(arprot),
        .s_axi_arvalid(arvalid),
        .s_axi_arready(arready),
        .s_axi_rdata(rdata),
        .s_axi_rresp(),
        .s_axi_rvalid(rvalid),
        .s_axi_rready(rready),
        // Images and results go by registers here.
        .s_axis_tdata({`STREAM_BITS{1'b0}}),
        .s_axis_tkeep({`STREAM_BITS/8{1'b0}}),
        .s_axis_tlast(1'b0),
        .s_axis_tvalid(1'b0),
        .s_axis_tready(),
        .m_axis_tdata(),
        .m_axis_tkeep(),
        .m_axis_tlast(),
        .m_axis_tvalid(),
        .m_axis_tready(1'b1),
        .irq(irq)
    );

    // The memories and the mailbox answer in the cycle after the access begins.
    reg answered;
    reg [31:0] answer;
    wire [3:0] region = mem_addr[31:28];
    wire begins = mem_valid && !of_core && !answered;
    integer lane;
    always @* begin
        mem_ready = of_core ? core_ready : answered;
        mem_rdata = of_core ? core_rdata : answer;
    end

    reg begun;
    reg [31:0] cycles, runs, processor, model;
    reg signed [31:0] value;
    always @(posedge clk) begin
        answered <= begins && !rst;
        cycles <= rst ? 32'd0 : cycles + 32'd1;
        if (rst) begin
            runs <= 32'd0;
            begun <= 1'b0;
        end else if (begins) begin
            answer <= region == 4'd2 ? rom[mem_addr[27:2]] : ram[mem_addr[27:2]];
            if (region == 4'd0)
                for (lane = 0; lane < 4; lane = lane + 1)
                    if (mem_wstrb[lane]) ram[mem_addr[27:2]][8*lane +: 8] <= mem_wdata[8*lane +: 8];
            value = mem_wdata;
            if (region == 4'd3 && mem_wstrb != 4'd0)
                case (mem_addr[4:2])
                    3'd0: begin
                        if (begun) $fwrite(record_file, "\n");
                        $fwrite(record_file, "%c", mem_wdata[7:0]);
                        begun <= 1'b1;
                    end
                    3'd1: $fwrite(record_file, " %0d", value);
                    3'd2: model <= mem_wdata;
                    3'd3: begin
                        $display("run %0d: %0d cycles by the cycle model, %0d in the core, %0d from the processor's view",
                                 runs, model, mem_wdata, processor);
                        runs <= runs + 32'd1;
                    end
                    3'd4: processor <= mem_wdata;
                    default: begin
                        $display("the processor was done after %0d cycles", cycles);
                        $fwrite(record_file, "\n");
                        $fclose(record_file);
                        finished <= 1'b1;
                    end
                endcase
        end
        if (!rst && trap) $fatal(1, "FAIL: the processor has trapped");
        if (!rst && cycles > `MOST_CYCLES) $fatal(1, "FAIL: no end after %0d cycles", cycles);
    end
endmodule
