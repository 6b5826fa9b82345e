// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                 enforces                                                                     fails
 * bprm_check_security  start: Strict: a container that no agent has told of executes nothing        closed, but for what is below
 * sb_mount             nothing: whoever is given the agent's folder of state is the agent, and starts counted: START_FULL
 * cgroup_release       (tracepoint) what is known of a cgroup goes with it
 *
 * Asked only where a namespace wants it. Not refused are the runtime before it has changed to the container's root, a
 * pod's sandbox, and, once no agent has given a sign for as long as the lapse, everything: a node must be able to start.
 */
#include "include/act.h"
#include "include/start.h"

static always_inline int refuse_start(struct file *file)
{
	struct ruling nobody = {};

	count(STATISTIC_STARTS_REFUSED);
	return act_on_file(&nobody, VERDICT_DENY | (u64)BUILT_IN_START << DECISION_RULE_SHIFT, OPERATION_EXEC, file, 0);
}

/* A container that starts in a lapse goes on when an agent is back. */
static always_inline void let_start(struct cgroup *cgroup)
{
	count(STATISTIC_STARTS_LAPSED);
	if (make_known(cgroup, KNOWN_LAPSED))
		count(STATISTIC_START_FULL);
}

PROGRAM(start_exec)(u64 *ctx)
{
	struct linux_binprm *bprm = (void *)ctx[0];
	struct start_rule *start = asked_start();
	struct cgroup *cgroup;

	if (!start || FIND_CONTAINER())
		return 0;
	cgroup = cgroup_of_current();
	if (!is_unknown(start, cgroup) || has_root_of_runtime(start) || is_sandbox(start, cgroup))
		return 0;
	if (!has_lapsed(start))
		return refuse_start(FIELD(bprm, file));
	let_start(cgroup);
	return 0;
}

/*
 * A runtime that has bound the folder into the container's mounts sets what that mount propagates: that call names the
 * mount, and the kernel says what is mounted. Who may mount the folder could end the agent anyway.
 */
PROGRAM(start_mount)(u64 *ctx)
{
	struct path *path = (void *)ctx[1];
	struct start_rule *start = asked_start();
	struct cgroup *cgroup;

	if (!start || !is_state(start, FIELD(path, dentry)))
		return 0;
	cgroup = cgroup_of_current();
	if (is_unknown(start, cgroup) && has_root_of_runtime(start) && make_known(cgroup, KNOWN_AGENT))
		count(STATISTIC_START_FULL);
	return 0;
}

PROGRAM(start_release)(u64 *ctx)
{
	struct cgroup *cgroup = (void *)ctx[0];
	u64 id = FIELD(FIELD(cgroup, kn), id);

	map_delete(MAP(known), &id);
	return 0;
}
