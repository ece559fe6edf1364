    // The core on AXI4-Lite, and the memory of its lists on AXI4: accesses from 0x80000000 on are to the memory.
    localparam MEMORY_WORDS = 1 << 20;
    reg [31:0] memory [0:MEMORY_WORDS-1];
    wire of_memory = address[31];
    wire [29:0] place = {1'b0, address[30:2]};
    reg memory_answered;
    reg [31:0] memory_rdata;

    wire of_core = valid && !of_memory;
`include "axi_lite_access.v"
    assign answered = of_memory ? memory_answered : write ? bvalid : rvalid;
    assign response = of_memory ? 2'd0 : write ? bresp : rresp;
    assign rdata = of_memory ? memory_rdata : core_rdata;

    // What the core reads and writes: a burst of each at a time, with pauses. Outside of the memory is nothing.
    wire [31:0] m_awaddr, m_wdata, m_araddr;
    wire [7:0] m_awlen, m_arlen;
    wire [3:0] m_wstrb;
    wire m_awvalid, m_wvalid, m_wlast, m_bready, m_arvalid, m_rready;
    reg writes, reads, m_bvalid, m_rvalid, wrong_write, m_rlast;
    reg [31:0] write_at, read_at, m_rdata;
    reg [7:0] left;
    reg [1:0] m_rresp;
    integer part;
    wire write_inside = write_at[31] && write_at[30:2] < MEMORY_WORDS;
    wire read_inside = read_at[31] && read_at[30:2] < MEMORY_WORDS;
    wire m_awready = !writes && !m_bvalid && pause[1];
    wire m_wready = writes && pause[2];
    wire m_arready = !reads && pause[3];

    always @(posedge clk)
        if (rst) begin
            {memory_answered, writes, reads, m_bvalid, m_rvalid} <= 5'd0;
        end else begin
            memory_answered <= valid && of_memory && !memory_answered;
            if (valid && of_memory) begin
                if (write) memory[place] <= data;
                memory_rdata <= memory[place];
            end
            if (m_awvalid && m_awready) begin
                writes <= 1'b1;
                write_at <= m_awaddr;
                wrong_write <= 1'b0;
            end
            if (m_wvalid && m_wready) begin
                for (part = 0; part < 4; part = part + 1)
                    if (m_wstrb[part] && write_inside) memory[write_at[30:2]][8*part +: 8] <= m_wdata[8*part +: 8];
                if (!write_inside) wrong_write <= 1'b1;
                write_at <= write_at + 32'd4;
                if (m_wlast) begin
                    writes <= 1'b0;
                    m_bvalid <= 1'b1;
                end
            end
            if (m_bvalid && m_bready) m_bvalid <= 1'b0;
            if (m_arvalid && m_arready) begin
                reads <= 1'b1;
                read_at <= m_araddr;
                left <= m_arlen;
            end
            if (m_rvalid && m_rready) begin
                m_rvalid <= 1'b0;
                if (m_rlast) reads <= 1'b0;
            end
            if (reads && (!m_rvalid || (m_rready && !m_rlast)) && pause[4]) begin
                m_rvalid <= 1'b1;
                m_rdata <= read_inside ? memory[read_at[30:2]] : 32'd0;
                m_rresp <= read_inside ? 2'd0 : 2'd3;
                m_rlast <= left == 8'd0;
                left <= left - 8'd1;
                read_at <= read_at + 32'd4;
            end
        end

    eie_axi_master_array array (
`include "axi_lite_ports.v"
        .m_axi_awid(),
        .m_axi_awaddr(m_awaddr),
        .m_axi_awlen(m_awlen),
        .m_axi_awsize(),
        .m_axi_awburst(),
        .m_axi_awcache(),
        .m_axi_awprot(),
        .m_axi_awvalid(m_awvalid),
        .m_axi_awready(m_awready),
        .m_axi_wdata(m_wdata),
        .m_axi_wstrb(m_wstrb),
        .m_axi_wlast(m_wlast),
        .m_axi_wvalid(m_wvalid),
        .m_axi_wready(m_wready),
        .m_axi_bid(1'b0),
        .m_axi_bresp({wrong_write, wrong_write}),
        .m_axi_bvalid(m_bvalid),
        .m_axi_bready(m_bready),
        .m_axi_arid(),
        .m_axi_araddr(m_araddr),
        .m_axi_arlen(m_arlen),
        .m_axi_arsize(),
        .m_axi_arburst(),
        .m_axi_arcache(),
        .m_axi_arprot(),
        .m_axi_arvalid(m_arvalid),
        .m_axi_arready(m_arready),
        .m_axi_rid(1'b0),
        .m_axi_rdata(m_rdata),
        .m_axi_rresp(m_rresp),
        .m_axi_rlast(m_rlast),
        .m_axi_rvalid(m_rvalid),
        .m_axi_rready(m_rready),
        .irq()
    );
