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

    /* The first instructions of the reader's processor, in real mode, copied to 0x8000 (reader.c). */
    .set CODE_AT, 0x8000
    .globl reader_code, reader_code_end
    .code16
reader_code:
    cli
    movw %cs, %ax
    movw %ax, %ds
    lgdtl table_pointer - reader_code
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x08, $reader_protected
    .align 8
table:
    .quad 0
    .quad 0x00cf9b000000ffff /* all memory, code */
    .quad 0x00cf93000000ffff /* all memory, data */
table_pointer:
    .word table_pointer - table - 1
    .long CODE_AT + table - reader_code
reader_code_end:

    .code32
reader_protected:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $reader_stack_top, %esp
    call reader_main
    jmp halt

    .bss
    .align 4096
    .skip 8192
stack_top:
    .skip 4096
reader_stack_top:

    .section .note.GNU-stack, "", @progbits
