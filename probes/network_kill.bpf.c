// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook             enforces                                                      fails
 * socket_connect   network.egress with action Kill: TCP connect()                to the packet's verdict, which denies
 * socket_sendmsg   … a datagram, or the data that a TCP connection begins with   the same
 * socket_recvmsg   nothing: who uses a connection is known again after an update
 *
 * Programs on packets and connect() cannot send signals and do not know who sends, LSM programs can and do. These act
 * on Kill only and leave all else to egress.bpf.c; but where a set asks who acts, on everything that is denied, and
 * write down on the socket who used it, which is by whom its packets are judged.
 */
#include "include/act.h"
#include "include/address.h"

#define AF_UNSPEC 0
#define SOCK_DGRAM 2
#define MSG_FASTOPEN 0x20000000u

/* The address in a struct sockaddr of the kernel's; -1 where it is of no family that is judged. */
static always_inline int read_sockaddr(u16 family, u64 address, struct destination *to)
{
	if (family == AF_INET) {
		u32 ipv4 = 0;

		READ(ipv4, struct sockaddr_in, address, sin_addr);
		READ(to->port, struct sockaddr_in, address, sin_port);
		set_ipv4(to, ipv4);
	} else if (family == AF_INET6) {
		READ_BYTES(to->address, struct sockaddr_in6, address, sin6_addr);
		READ(to->port, struct sockaddr_in6, address, sin6_port);
	} else {
		return -1;
	}
	name_loopback(to);
	return 0;
}

static always_inline u16 family_at(u64 address)
{
	u16 family = 0;

	read_kernel(&family, sizeof(family), address);
	return family;
}

/* The address a socket is connected to. */
static always_inline int read_peer(u64 sock, struct destination *to)
{
	u16 family = 0;

	READ(family, struct sock, sock, __sk_common.skc_family);
	READ(to->port, struct sock, sock, __sk_common.skc_dport);
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

/* The address that a message is for. An address of no family is one of IPv4 to its sockets, and none to others. */
static always_inline int read_destination(struct socket *socket, struct msghdr *message, u32 type,
                                          struct destination *to)
{
	u64 sock = 0, name = address_of(FIELD(message, msg_name));
	u16 family = 0, port = 0;

	READ(sock, struct socket, socket, sk);
	if (type == SOCK_STREAM) /* of one that is connected the name is not looked at */
		READ(port, struct sock, sock, __sk_common.skc_dport);
	if (!name || port)
		return read_peer(sock, to);
	family = family_at(name);
	if (family == AF_UNSPEC)
		READ(family, struct sock, sock, __sk_common.skc_family);
	else
		return read_sockaddr(family, name, to);
	return family == AF_INET ? read_sockaddr(family, name, to) : read_peer(sock, to);
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

static always_inline u32 protocol_of(struct socket *socket)
{
	struct sock *sock = FIELD(socket, sk);

	return sock ? (u8)FIELD(sock, sk_protocol) : 0;
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
	struct destination to = { .bits = 64, .protocol = IPPROTO_TCP };
	u64 address = address_of((void *)ctx[1]);
	struct socket_memory *memory = 0;
	struct ruling ruling;
	struct policy_set *set = find_set_with(&ruling, SET_HAS_NETWORK);

	if (!set || (u16)FIELD(socket, type) != SOCK_STREAM)
		return 0;
	if (read_sockaddr(family_at(address), address, &to))
		return 0;
	if (set->flags & SET_HAS_SUBJECTS)
		memory = memory_of_socket(socket, 1);
	return act_at(&ruling, set, &to, memory);
}

PROGRAM(socket_sendmsg)(u64 *ctx)
{
	struct socket *socket = (void *)ctx[0];
	struct msghdr *message = (void *)ctx[1];
	struct destination to = { .bits = 64, .protocol = IPPROTO_TCP };
	struct socket_memory *memory = 0;
	struct ruling ruling;
	struct policy_set *set = current_set_with(&ruling, SET_HAS_NETWORK);
	u32 type = (u16)FIELD(socket, type), connects;
	u64 user;

	if (!set)
		return 0;
	connects = type == SOCK_STREAM && FIELD(message, msg_flags) & MSG_FASTOPEN;
	user = (u64)ruling.epoch << 32 | set->subject;
	if (set->flags & SET_HAS_SUBJECTS) /* a stream has it where its connection was made under a policy */
		memory = memory_of_socket(socket, type != SOCK_STREAM || connects);
	if (type == SOCK_STREAM) {
		/* judged when it was connected, and again where somebody else goes on with it */
		if (!connects && (!memory || memory->subject == user))
			return 0;
	} else if (type == SOCK_DGRAM) {
		to.protocol = protocol_of(socket);
		to.bits = known_bits(to.protocol);
	}
	if ((type != SOCK_STREAM && type != SOCK_DGRAM) || read_destination(socket, message, type, &to)) {
		if (memory) /* its packets say where they go */
			memory->subject = user;
		return 0;
	}
	return act_at(&ruling, set, &to, memory);
}

PROGRAM(socket_recvmsg)(u64 *ctx)
{
	struct socket *socket = (void *)ctx[0];
	struct destination to = { .bits = 64, .protocol = IPPROTO_TCP };
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
	if (!set || read_peer(address_of(FIELD(socket, sk)), &to))
		return 0;
	if (!blocks(decide_address(&ruling, set, &to)))
		memory->subject = (u64)ruling.epoch << 32 | set->subject;
	return 0;
}
