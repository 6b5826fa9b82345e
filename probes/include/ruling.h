/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the acting container is judged by: cgroup -> container -> ruling, one word, so that an update is one store and
 * an access sees the old policy set or the new one, never a mixture.
 */
#ifndef BULKHEAD_RULING_H
#define BULKHEAD_RULING_H

#include "compat.h"

#define PF_KTHREAD 0x200000u

struct ruling {
	u32 container;
	u32 flags; /* RECORD_* of who acts */
	union {
		u64 word; /* as `containers` has it */
		struct {
			u32 set;
			u32 epoch;
		};
	};
};
_Static_assert(RULING_EPOCH_SHIFT == 32, "struct ruling");

/* The ruling of a container, whose index is in `r`; 0 where no policy applies. */
static always_inline int ruling_of_container(struct ruling *r)
{
	u64 *word = map_lookup(MAP(containers), &r->container);
	u64 value;

	if (!word)
		return 0;
	value = *(volatile u64 *)word;
	r->word = value;
	r->flags = 0;
	return value != 0;
}

/* The container whose cgroups a thread has left, or 0; `kept` is null where nothing is kept on it. */
static always_inline u32 departed_in(void *kept, struct task_struct *task)
{
	struct departure *departure, copy = {};

	if (!kept)
		return 0;
	departure = task_storage(MAP(departures), task, 0, 0);
	if (departure)
		return departure->container;
	copy_kept_in_list(&copy, sizeof(copy), kept, MAP(departures));
	return copy.container;
}

static always_inline u32 departed_of(struct task_struct *task)
{
	return departed_in(FIELD(task, bpf_storage), task);
}

/*
 * Whether a container stands for processes of the node itself, which are in no pod. They start and end containers and
 * mount file systems, and are refused nothing but what their rules say.
 */
static always_inline int is_of_node(u32 container)
{
	u64 *home = container ? map_lookup(MAP(homes), &container) : 0;

	return home && *home == HOME_IS_NODE;
}

/* Kernel threads are in the node's root cgroup, and act for everybody. */
static always_inline int is_kernel_thread(struct task_struct *task)
{
	return FIELD(task, flags) & PF_KTHREAD;
}

/* The container of a thread: the one that its process left, else that of its cgroup; 0 where it is in none. */
static always_inline u64 container_of_thread(struct task_struct *task, struct task_struct *leader,
                                             struct cgroup *cgroup, void *noted, __typeof__(kept_on(0)) bound)
{
	u64 departed;

	FOLLOWED(leader);
	FOLLOWED(noted);
	FOLLOWED(cgroup);
	FOLLOWED(bound);
	departed = departed_in(noted, leader);
	if (departed)
		return departed;
	return is_kernel_thread(task) ? 0 : container_in(bound, cgroup);
}

/* That of the running process. */
static always_inline u64 current_container(void)
{
	struct task_struct *task = current_task_struct(), *leader = FIELD(task, group_leader);
	struct cgroup *cgroup = cgroup_of(task);

	return container_of_thread(task, leader, cgroup, FIELD(leader, bpf_storage), kept_on(cgroup));
}

/*
 * The same as a function of its own, which is verified once a program, and soon. For where it is seldom asked: elsewhere
 * the call would cost more than that, and a view more than a pointer.
 */
FUNCTION(find_container)(void)
{
	struct task_struct *task = current_task_struct(), *leader = FIELD(task, group_leader);
	struct cgroup *cgroup = cgroup_of(task);

	return container_of_thread(task, leader, cgroup, FIELD(VIEW(task_struct, leader), bpf_storage),
	                           kept_on(VIEW(cgroup, cgroup)));
}
#define FIND_CONTAINER() ((u32)((u64 (*)(void))LINKED_FIND_CONTAINER)())

/* The ruling of a container, or of none; 0 where no policy applies. */
static always_inline int ruling_in(u64 container, struct ruling *r)
{
	r->container = container;
	return container && ruling_of_container(r);
}

/* That of the running process. */
static always_inline int current_ruling(struct ruling *r)
{
	return ruling_in(current_container(), r);
}

/* The same for hooks that are not called often. */
static always_inline int find_ruling(struct ruling *r)
{
	return ruling_in(FIND_CONTAINER(), r);
}

static always_inline struct policy_set *set_of(struct ruling *r)
{
	return map_lookup(MAP(sets), &r->set);
}

/* The entry of a set for a subject; null where there is none. */
static always_inline struct policy_set *set_for(struct ruling *r, u32 subject)
{
	u32 index = r->set + subject;

	return map_lookup(MAP(sets), &index);
}

static always_inline u32 verdict_of(u64 decision)
{
	return decision & DECISION_VERDICT_MASK;
}

static always_inline int blocks(u64 decision)
{
	return verdict_of(decision) >= VERDICT_DENY;
}

#endif
