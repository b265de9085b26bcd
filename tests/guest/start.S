/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Multiboot header and entry of the test guest. The loader leaves us in 32-bit protected mode, paging off, interrupts
 * off, EBX at its information block; it stays that way, so an address here is a physical address.
 */
    .set MAGIC, 0x1badb002
    .set FLAGS, 0x2 /* tell us how much memory there is */

    .section .multiboot, "a"
    .align 4
    .long MAGIC, FLAGS, -(MAGIC + FLAGS)

    .text
    .globl _start
_start:
    cli
    cld
    movl $stack_top, %esp
    pushl %ebx
    pushl %eax
    call guest_main
halt:
    hlt
    jmp halt

    .bss
    .align 4096
    .skip 8192
stack_top:

    .section .note.GNU-stack, "", @progbits
