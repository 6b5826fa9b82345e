// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook             enforces                                                 fails
 * socket_connect   network.egress with action Kill: TCP connect()            to the packet's verdict, which denies
 * socket_sendmsg   … a datagram to an address, or on a connected socket      the same
 * socket_recvmsg   nothing: who uses a connection is known again after an update
 *
 * Programs on packets and connect() cannot send signals and do not know who sends, LSM programs can and do. These act
 * on Kill only and leave all else to egress.bpf.c; but where a set asks who acts, on everything that is denied, and
 * write down on the socket who used it, which is by whom its packets are judged.
 */
#include "include/act.h"
#include "include/address.h"

#define SOCK_DGRAM 2

/* The address in a struct sockaddr of the kernel's; -1 where it is of no family that is judged. */
static always_inline int read_sockaddr(u64 address, struct destination *to)
{
	u16 family = 0;

	read_kernel(&family, sizeof(family), address);
	to->bits = 64;
	if (family == AF_INET) {
		u32 ipv4 = 0;

		READ(ipv4, struct sockaddr_in, address, sin_addr);
		READ(to->port, struct sockaddr_in, address, sin_port);
		set_ipv4(to, ipv4);
		return 0;
	}
	if (family != AF_INET6)
		return -1;
	READ_BYTES(to->address, struct sockaddr_in6, address, sin6_addr);
	READ(to->port, struct sockaddr_in6, address, sin6_port);
	return 0;
}

/* The address a socket is connected to. */
static always_inline int read_peer(struct socket *socket, struct destination *to)
{
	u64 sock = 0;
	u16 family = 0;

	READ(sock, struct socket, socket, sk);
	READ(family, struct sock, sock, __sk_common.skc_family);
	READ(to->port, struct sock, sock, __sk_common.skc_dport);
	to->bits = 64;
	if (family == AF_INET) {
		u32 ipv4 = 0;

		READ(ipv4, struct sock, sock, __sk_common.skc_daddr);
		set_ipv4(to, ipv4);
		return 0;
	}
	if (family != AF_INET6)
		return -1;
	READ_BYTES(to->address, struct sock, sock, __sk_common.skc_v6_daddr);
	return 0;
}

/* What is remembered on an IP socket, made where it may be; may be null. */
static always_inline struct socket_memory *memory_of_socket(struct socket *socket, int make)
{
	struct sock *sock = FIELD(socket, sk);
	u16 family = sock ? FIELD(sock, __sk_common.skc_family) : 0;

	if (family != AF_INET && family != AF_INET6)
		return 0;
	return make ? new_memory_of_sock(sock) : memory_of_sock(sock);
}

/* Judge a use of a socket. `memory` is the socket's, where the set asks who acts. */
static always_inline int act_at(struct ruling *ruling, struct policy_set *set, struct destination *to,
                                struct socket_memory *memory)
{
	u64 decision = decide_address(ruling, set, to);
	int asks = set->flags & SET_HAS_SUBJECTS;

	if (verdict_of(decision) == VERDICT_KILL || (asks && blocks(decision))) {
		report_address(ruling, to, decision, 0);
		return act(decision);
	}
	if (memory)
		memory->subject = (u64)ruling->epoch << 32 | set->subject;
	return 0;
}

PROGRAM(socket_connect)(u64 *ctx)
{
	struct socket *socket = (void *)ctx[0];
	struct destination to = { .protocol = IPPROTO_TCP };
	struct socket_memory *memory = 0;
	struct ruling ruling;
	struct policy_set *set = find_set_with(&ruling, SET_HAS_NETWORK);

	if (!set || (u16)FIELD(socket, type) != SOCK_STREAM)
		return 0;
	if (read_sockaddr(address_of((void *)ctx[1]), &to))
		return 0;
	if (set->flags & SET_HAS_SUBJECTS)
		memory = memory_of_socket(socket, 1);
	return act_at(&ruling, set, &to, memory);
}

PROGRAM(socket_sendmsg)(u64 *ctx)
{
	struct socket *socket = (void *)ctx[0];
	struct msghdr *message = (void *)ctx[1];
	struct destination to = { .protocol = IPPROTO_UDP };
	struct socket_memory *memory = 0;
	struct ruling ruling;
	struct policy_set *set = current_set_with(&ruling, SET_HAS_NETWORK);
	u32 type = (u16)FIELD(socket, type), asks;
	u64 name;

	if (!set)
		return 0;
	asks = set->flags & SET_HAS_SUBJECTS;
	if (asks) /* a stream has it where its connection was made under a policy */
		memory = memory_of_socket(socket, type != SOCK_STREAM);
	if (type == SOCK_STREAM) {
		/* judged when it was connected, and again where somebody else goes on with it */
		if (!memory || memory->subject == ((u64)ruling.epoch << 32 | set->subject))
			return 0;
		to.protocol = IPPROTO_TCP;
	} else if (type != SOCK_DGRAM) {
		if (memory) /* its packets say where they go */
			memory->subject = (u64)ruling.epoch << 32 | set->subject;
		return 0;
	}
	name = address_of(FIELD(message, msg_name));
	if (name ? read_sockaddr(name, &to) : read_peer(socket, &to))
		return 0;
	return act_at(&ruling, set, &to, memory);
}

PROGRAM(socket_recvmsg)(u64 *ctx)
{
	struct socket *socket = (void *)ctx[0];
	struct destination to = { .protocol = IPPROTO_TCP };
	struct socket_memory *memory;
	struct ruling ruling;
	struct policy_set *set;

	if ((u16)FIELD(socket, type) != SOCK_STREAM || !current_ruling(&ruling))
		return 0;
	set = set_of(&ruling);
	if (!set || !(set->flags & SET_HAS_SUBJECTS) || !(set->flags & SET_HAS_NETWORK))
		return 0;
	memory = memory_of_socket(socket, 0);
	if (!memory || memory->subject >> 32 == ruling.epoch)
		return 0;
	set = set_for_current(&ruling, set);
	if (!set || read_peer(socket, &to))
		return 0;
	if (!blocks(decide_address(&ruling, set, &to)))
		memory->subject = (u64)ruling.epoch << 32 | set->subject;
	return 0;
}
