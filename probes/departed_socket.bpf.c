// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                enforces                                                               fails
 * socket_post_create  network.egress for a process that left its container's cgroups: no new  closed: the strictest rule that
 *                     IP sockets where some egress is denied                                  could match decides
 *
 * Packets are judged by the cgroup in which their socket was made. Sockets from before the move go on being judged by
 * egress.bpf.c; one made after it would be judged by nobody.
 */
#include "include/act.h"
#include "include/address.h"

PROGRAM(socket_post_create)(u64 *ctx)
{
	u32 departed = departed_of(FIELD(current_task_struct(), group_leader));
	struct destination to = { .protocol = ctx[3] };
	u32 family = ctx[1], kernel_made = ctx[4];
	struct policy_set *set;
	struct ruling ruling;

	if (!departed || kernel_made || (family != AF_INET && family != AF_INET6))
		return 0;
	ruling.container = departed;
	set = ruling_of_container(&ruling) ? set_of(&ruling) : 0;
	if (set)
		set = set_for_current(&ruling, set);
	if (!set || !blocks(set->network_unresolved))
		return 0;
	report_address(&ruling, &to, set->network_unresolved, RECORD_UNRESOLVED);
	return act(set->network_unresolved);
}
