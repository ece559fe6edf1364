    // The core on AXI4-Lite.
    wire of_core = valid;
`include "axi_lite_access.v"
    assign answered = write ? bvalid : rvalid;
    assign response = write ? bresp : rresp;
    assign rdata = core_rdata;

    eie_axi_array array (
`include "axi_lite_ports.v"
        `STREAMS
        .irq()
    );
