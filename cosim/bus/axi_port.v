    // The core on AXI4-Lite. Address and data of a write are taken in any order.
    reg address_taken, data_taken;
    wire awready, wready, arready, bvalid, rvalid;
    wire [1:0] bresp, rresp;
    assign answered = write ? bvalid : rvalid;
    assign response = write ? bresp : rresp;
    wire awvalid = valid && write && !address_taken;
    wire wvalid = valid && write && !data_taken;
    wire arvalid = valid && !write && !address_taken;

    always @(posedge clk)
        if (rst || answered) {address_taken, data_taken} <= 2'd0;
        else begin
            if ((awvalid && awready) || (arvalid && arready)) address_taken <= 1'b1;
            if (wvalid && wready) data_taken <= 1'b1;
        end

    eie_axi_array array (
        .clk(clk),
        .rst(rst),
        .s_axi_awaddr(address[`ADDRESS_BITS-1:0]),
        .s_axi_awprot(3'd0),
        .s_axi_awvalid(awvalid),
        .s_axi_awready(awready),
        .s_axi_wdata(data),
        .s_axi_wstrb(4'd15),
        .s_axi_wvalid(wvalid),
        .s_axi_wready(wready),
        .s_axi_bresp(bresp),
        .s_axi_bvalid(bvalid),
        .s_axi_bready(1'b1),
        .s_axi_araddr(address[`ADDRESS_BITS-1:0]),
        .s_axi_arprot(3'd0),
        .s_axi_arvalid(arvalid),
        .s_axi_arready(arready),
        .s_axi_rdata(rdata),
        .s_axi_rresp(rresp),
        .s_axi_rvalid(rvalid),
        .s_axi_rready(1'b1),
        `STREAMS
        .irq()
    );
