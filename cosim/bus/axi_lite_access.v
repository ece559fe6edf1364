    // An access to the core on AXI4-Lite. Address and data of a write are taken in any order.
    reg address_taken, data_taken;
    wire awready, wready, arready, bvalid, rvalid;
    wire [1:0] bresp, rresp;
    wire [31:0] core_rdata;
    wire awvalid = of_core && write && !address_taken;
    wire wvalid = of_core && write && !data_taken;
    wire arvalid = of_core && !write && !address_taken;

    always @(posedge clk)
        if (rst || answered) {address_taken, data_taken} <= 2'd0;
        else begin
            if ((awvalid && awready) || (arvalid && arready)) address_taken <= 1'b1;
            if (wvalid && wready) data_taken <= 1'b1;
        end
