// Drives the clock of the test bench in Verilator.
#include "Vtestbench.h"
#include "verilated.h"

int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vtestbench testbench(&context);
    testbench.clk = 0;
    while (!context.gotFinish()) {
        testbench.eval();
        context.timeInc(5);
        testbench.clk = !testbench.clk;
    }
    testbench.final();
}
