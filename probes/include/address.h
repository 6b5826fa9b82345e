/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Decisions about addresses and ports: the longest prefix gives a class, class and port give the decision. */
#ifndef BULKHEAD_ADDRESS_H
#define BULKHEAD_ADDRESS_H

#include "report.h"

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58
#define MAPPED_PREFIX bpf_htonl(0xffff) /* third word of ::ffff:a.b.c.d */
#define LOOPBACK_4 bpf_htonl(0x7f000001)
#define LOOPBACK_6 bpf_htonl(1) /* last word of ::1 */

/* Where a packet or connection goes. `bits`: how much of port_key is known (32, 48 or 64). */
struct destination {
	u32 address[4]; /* network order, IPv4 mapped */
	u32 bits;
	u8 protocol;
	u8 pad;
	u16 port; /* network order */
};

static always_inline void set_ipv4(struct destination *to, u32 address)
{
	to->address[0] = 0;
	to->address[1] = 0;
	to->address[2] = MAPPED_PREFIX;
	to->address[3] = address;
}

/* Who names no address means this machine, and its packets say so. */
static always_inline void name_loopback(struct destination *to)
{
	if (to->address[0] || to->address[1] || to->address[3])
		return;
	if (to->address[2] == MAPPED_PREFIX)
		to->address[3] = LOOPBACK_4;
	else if (!to->address[2])
		to->address[3] = LOOPBACK_6;
}

/* How much of port_key is known of a packet whose ports can be read where its protocol has any that are judged. */
static always_inline u32 known_bits(u32 protocol)
{
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
		return 64;
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 ? 48 : 32;
}

/* `set` is the entry of the subject that sends. */
static always_inline u64 decide_address(struct ruling *ruling, struct policy_set *set, struct destination *to)
{
	struct prefix_key prefix = { .prefix_bits = 160 };
	struct port_key port = { .prefix_bits = to->bits };
	u32 *peers;
	u64 *decision;

	if (!set || !(set->flags & SET_HAS_NETWORK))
		return 0;
	prefix.set = ruling->set + set->subject;
	__builtin_memcpy(prefix.address, to->address, sizeof(prefix.address));
	peers = map_lookup(MAP(prefixes), &prefix);
	if (!peers)
		return set->network_unresolved;
	port.peer_class = *peers;
	port.protocol = to->protocol;
	port.port = to->port;
	decision = map_lookup(MAP(ports), &port);
	return decision ? *decision : set->network_unresolved;
}

static always_inline void report_address(struct ruling *ruling, struct destination *to, u64 decision, u32 flags)
{
	struct notice r = {};

	notice_for(&r, ruling, decision, OPERATION_EGRESS);
	r.flags |= flags;
	r.protocol = to->protocol;
	r.port = to->port;
	__builtin_memcpy(r.address, to->address, sizeof(r.address));
	r.object = ((u64)(to->address[0] ^ to->address[1] * 31 ^ to->address[2] * 961 ^ to->address[3]) << 32) |
	           (u32)to->port << 8 | to->protocol;
	REPORT(&r);
}

#endif
