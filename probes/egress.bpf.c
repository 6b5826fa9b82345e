// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook           enforces                                                                  fails
 * skb egress     network.egress: packets that open a TCP connection, every other packet      closed: what cannot be read is
 *                                                                                            judged by the strictest rule
 * connect4, 6    network.egress: TCP connect(), so that the caller gets EPERM at once
 *
 * Packets do not tell who sends them. Where a set asks for that, the socket does: the hooks of network_kill write down
 * who used it last, and judge connect() themselves; a socket that nobody used under this epoch is SUBJECT_UNKNOWN's.
 *
 * A segment of a TCP connection that was judged passes until the policy changes; then the connection is judged again
 * at its next packet. Replies of a server in the container are segments of a connection that its peer opened.
 */
#include "include/address.h"

#define ETH_P_IP bpf_htons(0x0800)
#define ETH_P_IPV6 bpf_htons(0x86dd)
#define FRAGMENT bpf_htons(0x3fff)
#define TCP_FLAGS 13
#define TCP_SYN 0x02
#define TCP_ACK 0x10
#define ELSEWHERE 0x100 /* beside TCP's flags: an option may have put another address into the header */
#define PASS 1
#define DROP 0

/* What the header says; -1 where it cannot be read. `transport` is the offset of the next header. */
static always_inline int read_ipv4(struct __sk_buff *skb, struct destination *to, u32 *transport)
{
	u8 header[20];

	if (skb_load_bytes(skb, 0, header, sizeof(header)))
		return -1;
	set_ipv4(to, *(u32 *)(header + 16));
	to->protocol = header[9];
	*transport = (header[0] & 15) * 4;
	return *(u16 *)(header + 6) & FRAGMENT ? 1 : 0;
}

static always_inline int read_ipv6(struct __sk_buff *skb, struct destination *to, u32 *transport)
{
	u8 header[40];

	if (skb_load_bytes(skb, 0, header, sizeof(header)))
		return -1;
	__builtin_memcpy(to->address, header + 24, sizeof(to->address));
	to->protocol = header[6];
	*transport = 40;
	return 0;
}

/* Fill in the destination; -1 where the packet cannot be read. `flags` are TCP's, and ELSEWHERE; 0 for others. */
static always_inline int read_packet(struct __sk_buff *skb, struct destination *to, u32 *flags)
{
	u32 transport = 0;
	u8 of_tcp = 0;
	int fragment;

	if (skb->protocol == ETH_P_IP)
		fragment = read_ipv4(skb, to, &transport);
	else if (skb->protocol == ETH_P_IPV6)
		fragment = read_ipv6(skb, to, &transport);
	else
		return -1;
	if (fragment < 0)
		return -1;
	to->bits = 32;
	if (fragment)
		return 0;
	to->bits = known_bits(to->protocol);
	if (to->bits != 64)
		return 0;
	if (skb_load_bytes(skb, transport + 2, &to->port, 2))
		return -1;
	if (to->protocol != IPPROTO_TCP)
		return 0;
	if (skb_load_bytes(skb, transport + TCP_FLAGS, &of_tcp, 1))
		return -1;
	*flags = of_tcp | (skb->protocol == ETH_P_IP && transport != 20 ? ELSEWHERE : 0);
	return 0;
}

/*
 * Whether a TCP segment belongs to a connection that need not be judged now. Else `judged` is where to remember the
 * epoch under which it was allowed, or null.
 */
static always_inline int already_judged(struct __sk_buff *skb, struct destination *to, u32 flags, u32 epoch,
                                        struct socket_memory **judged)
{
	struct bpf_sock *socket = skb->sk;
	struct socket_memory *memory;
	int opens = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;

	if (socket)
		socket = full_socket(socket);
	if (!socket)
		return !opens; /* the kernel answers for a socket that is closing or not open yet */
	if (socket->protocol != IPPROTO_TCP || socket->type != SOCK_STREAM) /* a raw socket may say TCP, too */
		return 0;
	if (flags & ELSEWHERE && socket->dst_ip4 != to->address[3]) /* by way of somebody else than the peer */
		return 0;
	memory = opens ? new_memory_of_packet(skb, socket) : memory_of_packet(skb, socket);
	if (!memory)
		return !opens;
	*judged = memory;
	return !opens && memory->epoch == epoch;
}

/* The set's entry for whoever sends a packet. */
static always_inline struct policy_set *set_of_sender(struct __sk_buff *skb, struct ruling *ruling)
{
	struct policy_set *set = set_of(ruling);
	struct bpf_sock *socket = skb->sk;
	struct socket_memory *memory = 0;
	u32 subject = SUBJECT_UNKNOWN;

	if (!set || !(set->flags & SET_HAS_SUBJECTS))
		return set;
	if (socket)
		socket = full_socket(socket);
	if (socket)
		memory = memory_of_packet(skb, socket);
	if (memory && memory->subject >> 32 == ruling->epoch)
		subject = memory->subject & (MAX_SUBJECTS - 1);
	return set_for(ruling, subject);
}

static always_inline int verdict_on_packet(struct network_state *state, u64 decision, u32 bytes)
{
	if (blocks(decision)) {
		__sync_fetch_and_add(&state->packets_denied, 1);
		__sync_fetch_and_add(&state->bytes_denied, bytes);
		return DROP;
	}
	__sync_fetch_and_add(&state->packets_allowed, 1);
	__sync_fetch_and_add(&state->bytes_allowed, bytes);
	return PASS;
}

/* A packet cannot kill: the socket hooks of network_kill do, before there is a packet. */
static always_inline u64 without_kill(u64 decision)
{
	if (verdict_of(decision) == VERDICT_KILL)
		return decision - VERDICT_KILL + VERDICT_DENY;
	return decision;
}

PROGRAM(egress)(struct __sk_buff *skb)
{
	struct network_state *state = local_storage(MAP(network), 0);
	struct ruling ruling = { .container = state->container };
	struct destination to = {};
	struct socket_memory *judged = 0;
	struct policy_set *set;
	u64 decision;
	u32 flags = 0;
	u32 report_flags = RECORD_FROM_PACKET;

	if (!ruling.container || !ruling_of_container(&ruling))
		return PASS;
	if (read_packet(skb, &to, &flags)) {
		count(STATISTIC_PACKET_UNREADABLE);
		set = set_of_sender(skb, &ruling);
		decision = set ? set->network_unresolved : 0;
		report_flags |= RECORD_UNRESOLVED;
	} else if (to.protocol == IPPROTO_TCP && to.bits == 64 &&
	           already_judged(skb, &to, flags, ruling.epoch, &judged)) {
		decision = 0;
	} else {
		decision = decide_address(&ruling, set_of_sender(skb, &ruling), &to);
	}
	decision = without_kill(decision);
	if (judged && !blocks(decision))
		judged->epoch = ruling.epoch;
	if (decision)
		report_address(&ruling, &to, decision, report_flags);
	return verdict_on_packet(state, decision, skb->len);
}

static always_inline int decide_connect(struct destination *to, u32 type)
{
	struct network_state *state = local_storage(MAP(network), 0);
	struct ruling ruling = { .container = state->container };
	struct policy_set *set;
	u64 decision;

	if (type != SOCK_STREAM || !ruling.container || !ruling_of_container(&ruling))
		return PASS;
	set = set_of(&ruling);
	if (!set || set->flags & SET_HAS_SUBJECTS) /* judged by socket_connect, which knows who connects */
		return PASS;
	name_loopback(to);
	decision = without_kill(decide_address(&ruling, set, to));
	if (!blocks(decision)) /* audited when its first packet leaves */
		return PASS;
	report_address(&ruling, to, decision, 0);
	return DROP;
}

PROGRAM(connect4)(struct bpf_sock_addr *ctx)
{
	struct destination to = { .bits = 64, .protocol = IPPROTO_TCP, .port = ctx->user_port };

	set_ipv4(&to, ctx->user_ip4);
	return decide_connect(&to, ctx->type);
}

PROGRAM(connect6)(struct bpf_sock_addr *ctx)
{
	struct destination to = { .bits = 64, .protocol = IPPROTO_TCP, .port = ctx->user_port };

	to.address[0] = ctx->user_ip6[0];
	to.address[1] = ctx->user_ip6[1];
	to.address[2] = ctx->user_ip6[2];
	to.address[3] = ctx->user_ip6[3];
	return decide_connect(&to, ctx->type);
}
