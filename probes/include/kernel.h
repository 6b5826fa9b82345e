/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every probe stands on: helpers by their own names, maps by identifier, functions that are linked by number.
 *
 * Kernel types come from the kernel's own BTF (bulkhead.kernel.headers). Functions and maps are referred to by the
 * numbers of abi.h, which the linker and the loader replace.
 */
#ifndef BULKHEAD_KERNEL_H
#define BULKHEAD_KERNEL_H

#include "abi.h"
#include "abi_functions.h"
#include "abi_layers.h"
#include "abi_maps.h"
#include "abi_start.h"
#include "abi_check.h"

#define always_inline inline __attribute__((always_inline))
#define PROGRAM(name) __attribute__((section(".bpf.fn." #name), used)) int name
#define FUNCTION(name) __attribute__((section(".bpf.fn." #name), used)) int name

#define MAP_IDENTIFIER(identifier, name, ...) MAP_##name = identifier,
enum map_identifier { BULKHEAD_MAPS(MAP_IDENTIFIER) };
#define MAP(name) ((void *)bpf_pseudo_fd(1, MAP_##name))
/* The value of an array of one entry, without a look-up. */
#define MAP_VALUE(name) ((void *)bpf_pseudo_fd(2, MAP_##name))

/* The address of a callback, which the linker replaces. A call is written as a call of the number itself. */
#define CALLBACK(number) ((void *)(((__u64)(number) << 48) | 1))

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static long (*skb_load_bytes)(const void *skb, u32 offset, void *to, u32 bytes) = (void *)26;
static u64 (*current_task)(void) = (void *)35;
static u64 (*socket_cookie)(void *socket_or_packet) = (void *)46;
static void *(*local_storage)(void *map, u64 flags) = (void *)81;
static struct bpf_sock *(*full_socket)(struct bpf_sock *socket) = (void *)95;
static void *(*socket_storage)(void *map, void *socket, void *value, u64 flags) = (void *)107;
static struct unix_sock *(*unix_socket)(struct sock *socket) = (void *)178;
static long (*send_signal)(u32 signal) = (void *)109;
static long (*read_user)(void *to, u32 bytes, u64 from) = (void *)112;
static long (*read_kernel)(void *to, u32 bytes, u64 from) = (void *)113;
static u64 (*boot_time_ns)(void) = (void *)125;
static void *(*ring_reserve)(void *ring, u64 bytes, u64 flags) = (void *)131;
static void (*ring_submit)(void *data, u64 flags) = (void *)132;
static void *(*inode_storage)(void *map, void *inode, void *value, u64 flags) = (void *)145;
static long (*inode_storage_delete)(void *map, void *inode) = (void *)146;
static void *(*task_storage)(void *map, struct task_struct *task, void *value, u64 flags) = (void *)156;
static struct task_struct *(*current_task_struct)(void) = (void *)158;
static long (*loop)(u32 times, void *callback, void *context, u64 flags) = (void *)181;
static void *(*cgroup_storage)(void *map, struct cgroup *cgroup, void *value, u64 flags) = (void *)210;
static struct task_struct *(*task_from_pid)(int pid) = (void *)KERNEL_FUNCTION_TASK_FROM_PID;
static void (*task_release)(struct task_struct *task) = (void *)KERNEL_FUNCTION_TASK_RELEASE;
static void *(*readonly_cast)(const void *address, u32 type) = (void *)KERNEL_FUNCTION_READONLY_CAST;

#define STORAGE_CREATE 1ull /* BPF_LOCAL_STORAGE_GET_F_CREATE */
#define NO_EXIST 1ull       /* BPF_NOEXIST */
#define EPERM 1
#define EXDEV 18
#define SIGKILL 9

/* A verdict that the compiler cannot turn into arithmetic: the verifier wants to see its range. */
#define RETURN(value)                                                                                                  \
	({                                                                                                             \
		int returned_ = (value);                                                                               \
		asm volatile("" : "+r"(returned_));                                                                    \
		returned_;                                                                                             \
	})

/*
 * A field of a kernel structure, by its offset: what bulkhead.kernel.headers declares is where the kernel has it. Not
 * `pointer->field`: bcc parses for the host and generates for BPF, and the two may lay out a structure differently.
 */
#define FIELD_ADDRESS(pointer, field)                                                                                  \
	((__typeof__((pointer)->field) *)((char *)(pointer) + __builtin_offsetof(__typeof__(*(pointer)), field)))
#define FIELD(pointer, field) (*FIELD_ADDRESS(pointer, field))

/*
 * Has a pointer followed where this stands, before what is asked next. From Linux 6.4 on the verifier looks through all
 * types of the kernel, up to four times, for each pointer that is followed out of one that it trusts, and again for each
 * way that leads there. So in what many programs have, pointers are followed first.
 */
#define FOLLOWED(pointer) asm volatile("" : "+r"(pointer))

/*
 * The same number, of which the verifier knows nothing: else it looks at all that follows once for each it may be. What
 * was atomically added to it does not know any more, and here 0 is added.
 */
static always_inline u64 copied(u64 number)
{
	u64 copy = number, nothing = 0;

	asm volatile("" : "+r"(nothing)); /* else the compiler adds nothing */
	__sync_fetch_and_add(&copy, nothing);
	return copy;
}

/* A pointer's address as a number, which may be calculated with. For reports and places in tables only. */
static always_inline u64 address_of(const void *pointer)
{
	return copied((u64)pointer);
}

static always_inline void count(u32 statistic)
{
	u32 zero = 0;
	struct statistics *all = map_lookup(MAP(statistics), &zero);

	if (all && statistic < STATISTICS)
		__sync_fetch_and_add(&all->values[statistic], 1);
}

#endif
