/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What no container under a policy may do, whatever its policy and its capabilities: touch what enforces the policies.
 *
 * Refused where the container's policies block anything; told as WOULD_DENY where they are only watched (mode Audit).
 * Containers without a policy are refused nothing, nor is the node, under a policy or not: whoever administers it can take
 * all of this away.
 */
#ifndef BULKHEAD_TAMPERING_H
#define BULKHEAD_TAMPERING_H

#include "act.h"
#include "special.h"

#define CGROUP2_MAGIC 0x63677270u
#define BPF_FS_MAGIC 0xcafe4a11u
#define CGROUP_LEVELS 32 /* between a cgroup whose file is written and the container's own */
#define PIN_LEVELS 3     /* the folder of pins, one by kind, the pin */

/* The ruling of a container; 0 where no policy applies, and for the node's own. */
static always_inline int ruling_of_pod(u32 container, struct ruling *ruling)
{
	ruling->container = container;
	return container && !is_of_node(container) && ruling_of_container(ruling);
}

/* The ruling of the running process where it is a container's. */
static always_inline int container_ruling(struct ruling *ruling)
{
	return ruling_of_pod(FIND_CONTAINER(), ruling);
}

static always_inline u64 tampering(struct ruling *ruling, u32 rule)
{
	struct policy_set *set = set_of(ruling);
	u64 verdict = set && set->flags & SET_MAY_BLOCK ? VERDICT_DENY : VERDICT_WOULD_DENY;

	return verdict | (u64)rule << DECISION_RULE_SHIFT;
}

/* Report an act on something without a path and say whether it is refused. `object` is equal for equal objects. */
static always_inline int refuse(struct ruling *ruling, u32 rule, u64 object)
{
	u64 decision = tampering(ruling, rule);
	struct notice r = {};

	notice_for(&r, ruling, decision, OPERATION_TAMPERING);
	r.object = object;
	REPORT(&r);
	return act(decision);
}

/* The same for something that has a path. */
static always_inline int refuse_path(struct ruling *ruling, u32 rule, struct dentry *dentry)
{
	return act_on_path(ruling, tampering(ruling, rule), OPERATION_TAMPERING, address_of(dentry), 0, 0);
}

static always_inline int is_agent(struct task_struct *task)
{
	struct task_struct *leader = FIELD(task, group_leader);

	return FIELD(VIEW(task_struct, leader), bpf_storage) && task_storage(MAP(agents), leader, 0, 0);
}

static always_inline struct guard *guard(void)
{
	u32 zero = 0;

	return map_lookup(MAP(guard), &zero);
}

static always_inline int is_of(struct dentry *dentry, u64 magic)
{
	return FIELD(FIELD(VIEW(dentry, dentry), d_sb), s_magic) == magic;
}

/* Whether a dentry is one of the folders and pins of ours. Another bpffs is another device. */
static always_inline int is_pin(struct dentry *dentry)
{
	struct guard *ours = guard();
	int level;

	dentry = VIEW(dentry, dentry);
	if (!ours || FIELD(FIELD(dentry, d_sb), s_dev) != ours->pins_device)
		return 0;
#pragma unroll
	for (level = 0; level < PIN_LEVELS; level++) {
		struct inode *inode = FIELD(dentry, d_inode);

		if (exists(dentry) && inode && FIELD(inode, i_ino) == ours->pins) /* see state_of_links() */
			return 1;
		dentry = FIELD(dentry, d_parent);
	}
	return 0;
}

/* For hooks that take a name away or put it elsewhere: 0, or -EPERM where it is a pin of ours. */
static always_inline int keep_pin(struct dentry *dentry)
{
	struct ruling ruling;

	if (!is_of(dentry, BPF_FS_MAGIC) || !is_pin(dentry) || !container_ruling(&ruling))
		return 0;
	return refuse_path(&ruling, BUILT_IN_PINS, dentry);
}

/* Whether a file of a cgroup belongs to the container's own or to one below it. */
static always_inline int is_at_home(struct dentry *dentry, u32 container)
{
	u64 *home = map_lookup(MAP(homes), &container);
	int level;

	dentry = VIEW(dentry, dentry);
	for (level = 0; home && level < CGROUP_LEVELS; level++) {
		struct dentry *parent = FIELD(dentry, d_parent);

		if (parent == dentry)
			return 0;
		if (FIELD(FIELD(parent, d_inode), i_ino) == *home)
			return 1;
		dentry = parent;
	}
	return 0;
}

#if HAVE_TASK_FROM_PID

/* Whether a process, by the address of its struct pid, is the agent or one of its threads. */
static always_inline int is_of_agent(u64 process)
{
	struct task_struct *task;
	u32 pid = 0;
	int is;

	read_kernel(&pid, sizeof(pid), process + __builtin_offsetof(struct pid, numbers)); /* the first is the node's */
	task = task_from_pid(pid);
	if (!task)
		return 0;
	is = is_agent(task);
	task_release(task);
	return is;
}

#else

static always_inline int is_of_agent(u64 process)
{
	return 0;
}

#endif

/* Whether a file of a process is one of those that tell what is in its memory, and where. An unreadable name is. */
static always_inline int shows_memory(struct file *file)
{
	u64 name = 0;

	return read_name(&name, file) || name == NAME("environ") || begin_alike(name, NAME("auxv\0\0\0"), 5) ||
	       begin_alike(name, NAME("maps\0\0\0"), 5) || begin_alike(name, NAME("smaps\0\0"), 5) ||
	       name == NAME("numa_maps") || name == NAME("pagemap");
}

/*
 * What opening a file may be refused by: 0, BUILT_IN_CGROUPS or BUILT_IN_AGENT. Linux 7 asks no hook about who reads of
 * another's memory with CAP_PERFMON; before, ptrace_access_check is asked, and about the memory itself it still is.
 */
static always_inline u32 guard_of_file(struct file *file)
{
	struct inode *inode = FIELD(file, f_inode);
	u64 magic = FIELD(FIELD(inode, i_sb), s_magic), process;

	if (magic == CGROUP2_MAGIC)
		return FIELD(file, f_mode) & FMODE_WRITE ? BUILT_IN_CGROUPS : 0;
	if (magic != PROC_MAGIC || !HAVE_TASK_FROM_PID)
		return 0;
	process = described_process(inode);
	return process && shows_memory(file) && is_of_agent(process) ? BUILT_IN_AGENT : 0;
}

/* About a file that a container opens: whether it is one of the agent, or controls a cgroup that is not its own. */
static always_inline u64 decide_guarded_file(struct file *file, u32 container, struct ruling *ruling)
{
	u32 rule = guard_of_file(file);

	if (!rule || !ruling_of_pod(container, ruling))
		return 0;
	if (rule == BUILT_IN_CGROUPS && is_at_home(FIELD(VIEW(file, file), f_path.dentry), container))
		return 0;
	return tampering(ruling, rule);
}

#endif
