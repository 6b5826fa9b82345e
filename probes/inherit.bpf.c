// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tracepoint       does                                                                        fails
 * cgroup_mkdir     a child cgroup is bound to its parent's container before anybody can enter it  counted: INHERIT_FAILED
 * cgroup_release   a binding goes with its cgroup (where the kernel does not do that itself)
 */
#include "include/compat.h"

PROGRAM(cgroup_mkdir)(u64 *ctx)
{
	struct cgroup *cgroup = (void *)ctx[0];
	u32 container = container_of_cgroup(FIELD(FIELD(cgroup, self.parent), cgroup));

	if (container && bind(cgroup, container))
		count(STATISTIC_INHERIT_FAILED);
	return 0;
}

PROGRAM(cgroup_release)(u64 *ctx)
{
	unbind((void *)ctx[0]);
	return 0;
}
