/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which system call is running, for operations that have no hook but a capability that they ask for, and for telling
 * what exec does from what a program does. The number is the one that the kernel dispatched by, on the kernel's stack; a
 * process cannot change it while the call runs. Numbers from 403 on are the same everywhere; those below are of x86-64,
 * and of 32-bit programs, which come to no such check with a number that means something else here.
 */
#ifndef BULKHEAD_SYSCALL_H
#define BULKHEAD_SYSCALL_H

#include "kernel.h"

#define X32_BIT 0x40000000u
#define SYSCALL_EXECVE 59u
#define SYSCALL_EXECVE_32 11u
#define SYSCALL_EXECVE_X32 520u
#define SYSCALL_EXECVEAT 322u
#define SYSCALL_EXECVEAT_32 358u
#define SYSCALL_EXECVEAT_X32 545u
#define SYSCALL_NONE 0u /* the kernel starts a program of its own: its registers are zeros */
#define SYSCALL_SETNS 308u
#define SYSCALL_SETNS_32 346u
#define SYSCALL_OPEN_TREE 428u /* then move_mount, fsopen, fsconfig, fsmount, fspick */
#define SYSCALL_FSPICK 433u
#define SYSCALL_MOUNT_SETATTR 442u
#define SYSCALL_OPEN_TREE_ATTR 467u

static struct pt_regs *(*registers_of)(struct task_struct *task) = (void *)175;

static always_inline u32 running_syscall(void)
{
	struct pt_regs *registers = registers_of(current_task_struct());

	return (u32)FIELD(registers, orig_ax) & ~X32_BIT;
}

/* Whether the running process is being made into another program. Nobody can say so, as of what memory or flags hold. */
static always_inline int is_executing(void)
{
	switch (running_syscall()) {
	case SYSCALL_EXECVE:
	case SYSCALL_EXECVE_32:
	case SYSCALL_EXECVE_X32:
	case SYSCALL_EXECVEAT:
	case SYSCALL_EXECVEAT_32:
	case SYSCALL_EXECVEAT_X32:
	case SYSCALL_NONE:
		return 1;
	}
	return 0;
}

static always_inline int enters_namespace(u32 number)
{
	return number == SYSCALL_SETNS || number == SYSCALL_SETNS_32;
}

static always_inline int changes_mounts(u32 number)
{
	return (number >= SYSCALL_OPEN_TREE && number <= SYSCALL_FSPICK) || number == SYSCALL_MOUNT_SETATTR ||
	       number == SYSCALL_OPEN_TREE_ATTR;
}

#endif
