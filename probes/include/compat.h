/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where kernels differ. Features are found by trying (bulkhead.kernel.features) and given as HAVE_* by
 * bulkhead.kernel.render; nothing else in the probes asks what kernel it is on.
 *
 * HAVE_BPF_LSM  programs are on LSM hooks. Where `bpf` is not in lsm=, they are on the kernel's functions that call the
 *               hooks, whose parameters differ here and there, and objects have no room for what is kept on them.
 * HAVE_CGROUP_STORAGE  BPF_MAP_TYPE_CGRP_STORAGE (Linux 6.2, c4bcfb38a95e): the binding lives on the cgroup. Before,
 *                      a hash by cgroup id, emptied by a program on cgroup_release.
 * HAVE_STORAGE_CACHE  a program can read what a storage has at hand (Linux 6.4, 6fcd486b3a0a, lets it read behind a
 *                     structure): its first entry is of the first map of its kind, and says of which.
 * HAVE_IDMAPPED_SETATTR  inode_setattr is given the mount's id map as well, before the dentry.
 * HAVE_DIRECT_FILE_PATH  struct file's f_path is its own member. Linux 7 put it into a union, and what is read through
 *                      one is not trusted: the path of a file that a process executed is out of reach there.
 * HAVE_TASK_FROM_PID  bpf_task_from_pid (Linux 6.2): the process of a file of /proc. Linux 7 shows its memory without
 *                     asking.
 * HAVE_READONLY_CAST  bpf_rdonly_cast (Linux 6.2): what a number points to can be read as a structure of the kernel's.
 */
#ifndef BULKHEAD_COMPAT_H
#define BULKHEAD_COMPAT_H

#include "kernel.h"

/* Which argument. security_mmap_file is not given the protection that the kernel works out from the one asked for. */
#define SETATTR_DENTRY HAVE_IDMAPPED_SETATTR
#define MMAP_PROTECTION (HAVE_BPF_LSM ? 2 : 1)
#define MMAP_FLAGS (HAVE_BPF_LSM ? 3 : 2)

/* Read a field of any size through a kernel address held as a number; zeros where nothing is there. */
#define READ_BYTES(to, type, address, field)                                                                           \
	read_kernel(&(to), sizeof(to), (u64)(address) + __builtin_offsetof(type, field))

/*
 * READ: the same of 8 bytes at most. For reports; for a decision where 0 is on the safe side. A load takes seven
 * instructions, the helper seventy. What lies there is taken for the 65 characters at the beginning of struct new_utsname,
 * so that what is read is a number to the verifier, too.
 *
 * VIEW: the same pointer, for what is only read and compared: it is good for no helper, nor is what is read through it.
 * From Linux 6.4 on the verifier searches all types of the kernel, up to four times, for each pointer that is followed
 * out of one that it trusts. This one it does not.
 */
#if HAVE_READONLY_CAST
#define CHARACTERS(address) ((struct new_utsname *)readonly_cast((void *)(address), TYPE_new_utsname))
#define READ(to, type, address, field)                                                                                 \
	((to) = *(__typeof__(to) *)CHARACTERS((u64)(address) + __builtin_offsetof(type, field)))
#define VIEW(type, pointer) ((struct type *)readonly_cast(pointer, TYPE_##type))
#else
#define READ READ_BYTES
#define VIEW(type, pointer) (pointer)
#endif

#if HAVE_CGROUP_STORAGE

/* Null where nothing is kept on a cgroup. */
static always_inline struct bpf_local_storage *kept_on(struct cgroup *cgroup)
{
	return FIELD(cgroup, bpf_cgrp_storage);
}

/*
 * The container that a cgroup is bound to, or 0. The helper is asked only for what is not at hand (see bind(), and
 * bulkhead.enforcement.bindings): it takes eighty instructions, and before f4edc66e48a6 of Linux 6.15, which later 6.6
 * and 6.12 have too, it finds nothing where it is under way on this processor already, in a task that was preempted.
 */
static always_inline u64 container_in(struct bpf_local_storage *kept, struct cgroup *cgroup)
{
	struct bpf_local_storage_data *first;
	u32 *container;
	u64 found;

	if (!kept)
		return 0;
	if (HAVE_STORAGE_CACHE) {
		first = *(struct bpf_local_storage_data **)FIELD_ADDRESS(kept, cache);
		if (FIELD(first, smap) == MAP(bindings)) { /* what is read of null is null */
			found = *(u32 *)FIELD_ADDRESS(first, data);
			asm volatile("" : "+r"(found)); /* else one instruction reads it and what the helper finds */
			return found;
		}
	}
	container = cgroup_storage(MAP(bindings), cgroup, 0, 0);
	return container ? *container : 0;
}

/* What is looked up is at hand from then on. */
static always_inline long bind(struct cgroup *cgroup, u32 container)
{
	if (!cgroup_storage(MAP(bindings), cgroup, &container, STORAGE_CREATE))
		return -1;
	cgroup_storage(MAP(bindings), cgroup, 0, 0);
	return 0;
}

static always_inline void unbind(struct cgroup *cgroup)
{
	/* the storage goes with the cgroup */
}

#else

/* Before, nobody can tell: never null. */
static always_inline struct cgroup *kept_on(struct cgroup *cgroup)
{
	return cgroup;
}

static always_inline u64 container_in(struct cgroup *kept, struct cgroup *cgroup)
{
	u64 id = FIELD(FIELD(cgroup, kn), id);
	u32 *container = map_lookup(MAP(bindings), &id);

	return container ? *container : 0;
}

static always_inline long bind(struct cgroup *cgroup, u32 container)
{
	u64 id = FIELD(FIELD(cgroup, kn), id);

	return map_update(MAP(bindings), &id, &container, 0);
}

static always_inline void unbind(struct cgroup *cgroup)
{
	u64 id = FIELD(FIELD(cgroup, kn), id);

	map_delete(MAP(bindings), &id);
}

#endif

static always_inline u32 container_of_cgroup(struct cgroup *cgroup)
{
	return container_in(kept_on(VIEW(cgroup, cgroup)), cgroup);
}

#if HAVE_BUSY_TASK_STORAGE

#define KEPT_AT_MOST 32u /* a map each, of all that keep something on tasks */

/*
 * Copy what is kept on a task for `map` out of the kernel's list of it; 0 where nothing is. Before Linux 6.2
 * (bc235cdb423a) the helper finds nothing as long as a task that was preempted in it waits for the same processor. The list
 * needs no lock to be read: what is taken out of it is freed when no program can be looking any more.
 */
static always_inline int copy_kept_in_list(void *copy, u32 bytes, void *kept, const void *map)
{
	u64 node = 0, element, owner;

	READ(node, struct bpf_local_storage, kept, list.first);
	for (u32 i = 0; node && i < KEPT_AT_MOST; i++) {
		element = node - __builtin_offsetof(struct bpf_local_storage_elem, snode);
		owner = 0;
		READ(owner, struct bpf_local_storage_elem, element, sdata.smap);
		if (owner == (u64)map)
			return !read_kernel(copy, bytes,
			                    element + __builtin_offsetof(struct bpf_local_storage_elem, sdata.data));
		READ(node, struct hlist_node, node, next);
	}
	return 0;
}

#else

static always_inline int copy_kept_in_list(void *copy, u32 bytes, void *kept, const void *map)
{
	return 0;
}

#endif

static always_inline struct cgroup *cgroup_of(struct task_struct *task)
{
	return FIELD(FIELD(task, cgroups), dfl_cgrp);
}

#if HAVE_DIRECT_FILE_PATH

/* The file that a process executed, or null where it has none or its path cannot be followed. */
static always_inline struct file *executable_of(struct task_struct *task)
{
	struct mm_struct *memory = FIELD(task, mm);

	return memory ? FIELD(memory, exe_file) : 0;
}

#else

static always_inline struct file *executable_of(struct task_struct *task)
{
	return 0;
}

#endif
#endif
