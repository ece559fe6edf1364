
# The core beside a processor: system/system.v. `make firmware` needs a compiler; the image is there already.
RISCV ?= riscv64-unknown-elf-
CFLAGS_RISCV := -march=rv32i_zicsr -mabi=ilp32 -Os -std=c99 -Wall -Wextra -Werror -ffreestanding -nostdlib -static \
    -fno-tree-loop-distribute-patterns
SYSTEM_ARGS := +firmware=system/firmware.hex +rom=system/rom.hex +expected=system/expected.txt
SYSTEM_BENCH := -DPLAYER=riscv_system -Itb system/picorv32.v system/system.v tb/testbench.v

.PHONY: system system-icarus firmware

system:
	@mkdir -p build
	$(VERILATOR) --cc --exe --build -j 2 -Wno-lint -Wno-style -Wno-TIMESCALEMOD --x-assign unique --x-initial unique \
	    --top-module testbench --Mdir build/system $(SRAM_DEFINE) -f @TOP@.f $(SYSTEM_BENCH) tb/main.cpp > build/system.log
	build/system/Vtestbench +verilator+rand+reset+2 $(SYSTEM_ARGS) +record=build/system.txt

system-icarus:
	@mkdir -p build
	$(IVERILOG) -g2012 -s testbench -o build/system.vvp $(SRAM_DEFINE) -f @TOP@.f $(SYSTEM_BENCH)
	$(VVP) -n build/system.vvp $(SYSTEM_ARGS) +record=build/system-icarus.txt

firmware:
	@mkdir -p build
	$(RISCV)gcc $(CFLAGS_RISCV) -Idriver -Iregisters -T system/firmware/link.ld -o build/firmware.elf \
	    system/firmware/start.S system/firmware/main.c driver/zeroskip_eie.c
	$(RISCV)objcopy -O binary build/firmware.elf build/firmware.bin
	@(echo @0; od --endian=little -An -v -tx4 -w4 build/firmware.bin | tr -d ' ') > build/firmware.hex
