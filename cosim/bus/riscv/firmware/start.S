/* Start and interrupts of PicoRV32, whose instructions for interrupts are its own.
 * SPDX-License-Identifier: Apache-2.0 */
    .section .text.start
    .globl _start
_start:
    j reset

/* PROGADDR_IRQ. The return address stands in q0, which nothing here changes. */
    .org 0x10
    addi sp, sp, -64
    sw ra, 0(sp)
    sw t0, 4(sp)
    sw t1, 8(sp)
    sw t2, 12(sp)
    sw t3, 16(sp)
    sw t4, 20(sp)
    sw t5, 24(sp)
    sw t6, 28(sp)
    sw a0, 32(sp)
    sw a1, 36(sp)
    sw a2, 40(sp)
    sw a3, 44(sp)
    sw a4, 48(sp)
    sw a5, 52(sp)
    sw a6, 56(sp)
    sw a7, 60(sp)
    call on_interrupt
    lw ra, 0(sp)
    lw t0, 4(sp)
    lw t1, 8(sp)
    lw t2, 12(sp)
    lw t3, 16(sp)
    lw t4, 20(sp)
    lw t5, 24(sp)
    lw t6, 28(sp)
    lw a0, 32(sp)
    lw a1, 36(sp)
    lw a2, 40(sp)
    lw a3, 44(sp)
    lw a4, 48(sp)
    lw a5, 52(sp)
    lw a6, 56(sp)
    lw a7, 60(sp)
    addi sp, sp, 64
    /* retirq */
    .insn r 0x0b, 0, 2, x0, x0, x0

reset:
    la sp, stack
    la t0, bss_begin
    la t1, bss_end
clear:
    bgeu t0, t1, cleared
    sw x0, 0(t0)
    addi t0, t0, 4
    j clear
cleared:
    call main
    j .

/* uint32_t mask_interrupts(uint32_t mask): those whose bit is one wait. Returns the mask before. */
    .globl mask_interrupts
mask_interrupts:
    .insn r 0x0b, 6, 3, a0, a0, x0
    ret

/* void wait_for_interrupt(void): returns when an interrupt is there, masked or not. */
    .globl wait_for_interrupt
wait_for_interrupt:
    .insn r 0x0b, 4, 4, a0, x0, x0
    ret
