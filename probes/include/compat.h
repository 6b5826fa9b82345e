/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where kernels differ. Features are found by trying (bulkhead.kernel.features) and given as HAVE_* by
 * bulkhead.kernel.render; nothing else in the probes asks what kernel it is on.
 *
 * HAVE_BPF_LSM  programs are on LSM hooks. Where `bpf` is not in lsm=, they are on the kernel's functions that call the
 *               hooks, whose parameters differ here and there, and objects have no room for what is kept on them.
 * HAVE_CGROUP_STORAGE  BPF_MAP_TYPE_CGRP_STORAGE (Linux 6.2, c4bcfb38a95e): the binding lives on the cgroup. Before,
 *                      a hash by cgroup id, emptied by a program on cgroup_release.
 * HAVE_IDMAPPED_SETATTR  inode_setattr is given the mount's id map as well, before the dentry.
 * HAVE_DIRECT_FILE_PATH  struct file's f_path is its own member. Linux 7 put it into a union, and what is read through
 *                      one is not trusted: the path of a file that a process executed is out of reach there.
 * HAVE_TASK_FROM_PID  bpf_task_from_pid (Linux 6.2): the process of a file of /proc. Linux 7 shows its memory without asking.
 */
#ifndef BULKHEAD_COMPAT_H
#define BULKHEAD_COMPAT_H

#include "kernel.h"

/* Which argument. security_mmap_file is not given the protection that the kernel works out from the one asked for. */
#define SETATTR_DENTRY HAVE_IDMAPPED_SETATTR
#define MMAP_PROTECTION (HAVE_BPF_LSM ? 2 : 1)
#define MMAP_FLAGS (HAVE_BPF_LSM ? 3 : 2)

#if HAVE_CGROUP_STORAGE

/* Null where nothing is kept on a cgroup. */
static always_inline void *kept_on(struct cgroup *cgroup)
{
	return FIELD(cgroup, bpf_cgrp_storage);
}

static always_inline u32 *binding_in(void *kept, struct cgroup *cgroup)
{
	return kept ? cgroup_storage(MAP(bindings), cgroup, 0, 0)
	            : 0; /* the helper would take a lock to find that out */
}

static always_inline long bind(struct cgroup *cgroup, u32 container)
{
	return cgroup_storage(MAP(bindings), cgroup, &container, STORAGE_CREATE) ? 0 : -1;
}

static always_inline void unbind(struct cgroup *cgroup)
{
	/* the storage goes with the cgroup */
}

#else

/* The same: that is not known. */
static always_inline void *kept_on(struct cgroup *cgroup)
{
	return cgroup;
}

static always_inline u32 *binding_in(void *kept, struct cgroup *cgroup)
{
	u64 id = FIELD(FIELD(cgroup, kn), id);

	return map_lookup(MAP(bindings), &id);
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

static always_inline u32 *binding_of(struct cgroup *cgroup)
{
	return binding_in(kept_on(cgroup), cgroup);
}

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
