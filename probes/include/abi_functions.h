/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of abi.h about functions that programs share, for the linker. */
#ifndef BULKHEAD_ABI_FUNCTIONS_H
#define BULKHEAD_ABI_FUNCTIONS_H

/*
 * Functions that programs share. The compiler does not link across sections, so a call is compiled as a call of the
 * callee's number, a callback as the number in the upper half of a constant; bulkhead.kernel.linker joins them.
 */
enum linked {
	LINKED_STEP = 0x7f01,
	LINKED_RESOLVE_PATH = 0x7f02,
	LINKED_REPORT = 0x7f03,
	LINKED_EMIT = 0x7f04,
	LINKED_RESOLVE_DENTRY = 0x7f05,
	LINKED_FIND_SUBJECT = 0x7f06,
	LINKED_STEP_PIECE = 0x7f07,
	LINKED_FIND_CONTAINER = 0x7f08,
	LINKED_WALK_UP = 0x7e01,
	LINKED_WALK_ANCESTOR = 0x7e02,
	LINKED_WALK_DOWN = 0x7e03,
	LINKED_WRITE_ELEMENT = 0x7e04,
};

/* Functions of the kernel (kfuncs), called by these numbers in place of the ids that they have in its BTF. */
enum kernel_function {
	KERNEL_FUNCTION_TASK_FROM_PID = 0x7d01,
	KERNEL_FUNCTION_TASK_RELEASE = 0x7d02,
	KERNEL_FUNCTION_READONLY_CAST = 0x7d03,
};
#define ELEMENT_BYTES 16u /* struct element, the argument of step() */
#define REST_BYTES 24u    /* struct rest, the argument of step_piece() */
#define SEEKER_BYTES 16u  /* struct seeker, the argument of find_subject() */
#define NOTICE_BYTES 88u  /* struct notice, the argument of report() and emit() */

#endif
