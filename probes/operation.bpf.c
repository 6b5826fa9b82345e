// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                      enforces (operations)                                fails
 * ptrace_access_check       Ptrace: attaching, process_vm_*, pidfd_getfd,         open only where no policy set is bound
 *                           /proc/PID/mem of others: what would allow to change
 * ptrace_traceme            Ptrace: asking to be traced
 * kernel_read_file          LoadModule: finit_module, kexec_file_load
 * kernel_load_data          LoadModule: init_module, kexec_load
 * bpf                       Bpf: bpf(2), every command
 * userns_create             UserNamespace: by clone, clone3, unshare
 * perf_event_open           PerfEvent
 * inode_init_security_anon  IoUring: the descriptor of a new ring                 … and an unreadable name counts as a ring
 * key_alloc                 Keyring: making a key
 * key_permission            Keyring: using one
 *
 * The other operations: mount.bpf.c (Mount), capability.bpf.c (SetTime, Chroot, SetNamespace, Mount), file.bpf.c and
 * create.bpf.c (RawDevice, ProcMem, KernelSettings).
 */
#include "include/operation.h"

#define PTRACE_MODE_ATTACH 2u
#define READING_MODULE 2u                   /* enum kernel_read_file_id: before it are firmware and what has no name */
#define IO_URING_NAME 0x6e6972755f6f695bull /* "[io_urin" */

PROGRAM(ptrace_access_check)(u64 *ctx)
{
	struct task_struct *child = (void *)ctx[0];
	struct about about = { .number = FIELD(child, tgid) };

	if (!((u32)ctx[1] & PTRACE_MODE_ATTACH))
		return 0;
	return decide_operation(OPERATION_PTRACE, &about);
}

PROGRAM(ptrace_traceme)(u64 *ctx)
{
	struct about about = { .number = FIELD(current_task_struct(), tgid) };

	return decide_operation(OPERATION_PTRACE, &about);
}

PROGRAM(kernel_read_file)(u64 *ctx)
{
	return (u32)ctx[1] >= READING_MODULE ? decide_nameless_operation(OPERATION_LOAD_MODULE) : 0;
}

PROGRAM(kernel_load_data)(u64 *ctx)
{
	return (u32)ctx[0] >= READING_MODULE ? decide_nameless_operation(OPERATION_LOAD_MODULE) : 0;
}

PROGRAM(bpf)(u64 *ctx)
{
	return decide_nameless_operation(OPERATION_BPF);
}

PROGRAM(userns_create)(u64 *ctx)
{
	return decide_nameless_operation(OPERATION_USER_NAMESPACE);
}

PROGRAM(perf_event_open)(u64 *ctx)
{
	return decide_nameless_operation(OPERATION_PERF_EVENT);
}

PROGRAM(inode_init_security_anon)(u64 *ctx)
{
	struct qstr *name = (void *)ctx[1];
	u64 begins = 0;

	if (!read_kernel(&begins, sizeof(begins), (u64)FIELD(name, name)) && begins != IO_URING_NAME)
		return 0;
	return decide_nameless_operation(OPERATION_IO_URING);
}

PROGRAM(key_alloc)(u64 *ctx)
{
	return decide_nameless_operation(OPERATION_KEYRING);
}

PROGRAM(key_permission)(u64 *ctx)
{
	return decide_nameless_operation(OPERATION_KEYRING);
}
