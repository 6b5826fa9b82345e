// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                does                                                                        fails
 * cgroup_move_task    (function) a thread that leaves its container's cgroups keeps the container   counted: DEPARTURE_FAILED
 * sched_process_fork  (tracepoint) so does what a departed one starts, and what is started elsewhere  the same
 * task_free           a container's number is in use until nobody is left who departed from it
 *
 * The kernel moves threads one by one, and at a fork no move can come in between: cgroup_move_task runs before the
 * thread is anywhere else, sched_process_fork before the child first runs. The note is on the thread, so that it
 * survives an exec that makes another thread the leader, and on the leader, where decisions look (ruling.h).
 * Nobody's note is ever changed: whoever was once in a container and is moved to another goes on under the first. Only
 * processes of the node take nothing along: a runtime moves what it started into the container that it is to be.
 */
#include "include/ruling.h"

static always_inline void count_departed(u32 container, s64 change)
{
	u64 *departed = map_lookup(MAP(departed), &container);

	if (departed)
		__sync_fetch_and_add(departed, change);
}

static always_inline void note_departure(struct task_struct *task, u32 container)
{
	struct departure *departure = task_storage(MAP(departures), task, 0, STORAGE_CREATE);

	if (!departure) {
		count(STATISTIC_DEPARTURE_FAILED);
		return;
	}
	if (departure->container)
		return;
	departure->container = container;
	count_departed(container, 1);
}

PROGRAM(cgroup_move_task)(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct css_set *to = (void *)ctx[1];
	struct task_struct *leader = FIELD(task, group_leader);
	u32 container = container_of_cgroup(cgroup_of(task));

	if (!container || container == container_of_cgroup(FIELD(to, dfl_cgrp)) || is_of_node(container))
		return 0;
	note_departure(task, container);
	if (leader != task)
		note_departure(leader, container);
	return 0;
}

PROGRAM(sched_process_fork)(u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0];
	struct task_struct *child = (void *)ctx[1];
	u32 departed = departed_of(FIELD(parent, group_leader));
	struct cgroup *from = cgroup_of(parent), *to = cgroup_of(child);
	u32 container;

	if (departed) {
		note_departure(child, departed);
		return 0;
	}
	if (from == to) /* as nearly always: nothing to look up */
		return 0;
	container = container_of_cgroup(from);
	if (container && container != container_of_cgroup(to) && !is_of_node(container))
		note_departure(child, container);
	return 0;
}

PROGRAM(task_free)(u64 *ctx)
{
	u32 departed = departed_of((void *)ctx[0]);

	if (departed)
		count_departed(departed, -1);
	return 0;
}
