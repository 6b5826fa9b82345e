// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook             enforces                                                 fails
 * socket_connect   network.egress with action Kill: TCP connect()            to the packet's verdict, which denies
 * socket_sendmsg   … a datagram to an address, or on a connected socket      the same
 *
 * Programs on packets and connect() cannot send signals, LSM programs can. They act on Kill only and leave all else to
 * egress.bpf.c.
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
	READ(to->address, struct sockaddr_in6, address, sin6_addr);
	READ(to->port, struct sockaddr_in6, address, sin6_port);
	return 0;
}

/* The address a socket is connected to. */
static always_inline int read_peer(u64 sock, struct destination *to)
{
	u16 family = 0;

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
	READ(to->address, struct sock, sock, __sk_common.skc_v6_daddr);
	return 0;
}

static always_inline int kill_at(struct ruling *ruling, struct destination *to)
{
	u64 decision = decide_address(ruling, to);

	if (verdict_of(decision) != VERDICT_KILL)
		return 0;
	report_address(ruling, to, decision, 0);
	return act(decision);
}

PROGRAM(socket_connect)(u64 *ctx)
{
	struct socket *socket = (void *)ctx[0];
	struct destination to = { .protocol = IPPROTO_TCP };
	struct ruling ruling;

	if (!current_ruling(&ruling) || (u16)FIELD(socket, type) != SOCK_STREAM)
		return 0;
	if (read_sockaddr(address_of((void *)ctx[1]), &to))
		return 0;
	return kill_at(&ruling, &to);
}

PROGRAM(socket_sendmsg)(u64 *ctx)
{
	struct socket *socket = (void *)ctx[0];
	struct msghdr *message = (void *)ctx[1];
	struct destination to = { .protocol = IPPROTO_UDP };
	struct ruling ruling;
	u64 name;

	if (!current_ruling(&ruling) || (u16)FIELD(socket, type) != SOCK_DGRAM)
		return 0;
	name = address_of(FIELD(message, msg_name));
	if (name ? read_sockaddr(name, &to) : read_peer(address_of(FIELD(socket, sk)), &to))
		return 0;
	return kill_at(&ruling, &to);
}
