// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook            enforces                                                    fails
 * socket_create   network.sockets: socket(2), socketpair(2), also by io_uring   open only where no policy set is bound
 *
 * Sockets that the kernel makes for itself are not judged, nor those that accept(2) makes of one that was.
 */
#include "include/address.h"
#include "include/operation.h"

#define AF_SMC 43u
#define IPPROTO_SMC 256u

static always_inline u64 decide_socket(struct policy_set *set, u32 family, u32 kind)
{
	u64 row = family < ADDRESS_FAMILIES ? set->socket_rows[family] : 0;
	u64 column = set->socket_columns[kind & (SOCKET_KINDS - 1)];
	u64 cell = row * SOCKET_COLUMNS + column, which;

	if (cell >= SOCKET_CELLS)
		return 0;
	which = set->socket_cells[cell];
	return which < SOCKET_DECISIONS ? set->sockets[which] : 0;
}

PROGRAM(socket_create)(u64 *ctx)
{
	u32 family = ctx[0], kind = ctx[1], protocol = ctx[2], by_kernel = ctx[3];
	struct about about = {};
	struct ruling ruling;
	struct policy_set *set;
	u64 decision;

	if (by_kernel)
		return 0;
	set = find_set_with(&ruling, SET_HAS_SOCKETS);
	if (!set)
		return 0;
	if (protocol == IPPROTO_SMC && (family == AF_INET || family == AF_INET6))
		family = AF_SMC; /* another way to write it */
	decision = decide_socket(set, family, kind);
	about.number = family << 8 | kind;
	return decision ? act_on_operation(&ruling, decision, OPERATION_SOCKET, &about) : 0;
}
