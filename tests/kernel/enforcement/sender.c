/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends to a port of this machine in the ways that test_egress_ways.py asks about: `sender ACT PORT [MORE…]`. Says what
 * came of it as the name of its error, or "ok"; where the peer answers, only once it has. Copies are different programs.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UDP_LITE 136
#define MULTIPATH 262

static char **more;
static int given = -1; /* the socket that another program left, in the environment */
static struct sockaddr_in to = { .sin_family = AF_INET };
static struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

static int said(int result)
{
	dprintf(1, "%s\n", result < 0 ? strerrorname_np(errno) : "ok");
	return result < 0;
}

/* One that does not wait for long. */
static int make(int family, int type, int protocol)
{
	struct timeval patience = { .tv_sec = 3 };
	int made = given >= 0 ? given : socket(family, type, protocol);

	setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return made;
}

static int answered(int made, int sent)
{
	char answer;

	return sent < 0 || recv(made, &answer, 1, 0) != 1 ? -1 : 0;
}

static int datagram(int made, const void *name, unsigned bytes)
{
	return answered(made, sendto(made, "x", 1, 0, name, bytes));
}

static int stream(int made, const void *name, unsigned bytes)
{
	if (connect(made, name, bytes))
		return -1;
	return answered(made, send(made, "x", 1, 0));
}

static int tcp(void)
{
	return stream(make(AF_INET, SOCK_STREAM, 0), &to, sizeof(to));
}

static int tcp6(void)
{
	return stream(make(AF_INET6, SOCK_STREAM, 0), &to6, sizeof(to6));
}

static int udp(void)
{
	return datagram(make(AF_INET, SOCK_DGRAM, 0), &to, sizeof(to));
}

static int udp6(void)
{
	return datagram(make(AF_INET6, SOCK_DGRAM, 0), &to6, sizeof(to6));
}

/* To no address, which is this machine. */
static int to_none(int (*way)(void))
{
	to.sin_addr.s_addr = INADDR_ANY;
	to6.sin6_addr = in6addr_any;
	return way();
}

static int tcp_to_none(void)
{
	return to_none(tcp);
}

static int tcp6_to_none(void)
{
	return to_none(tcp6);
}

static int udp_to_none(void)
{
	return to_none(udp);
}

static int udp6_to_none(void)
{
	return to_none(udp6);
}

static int multipath(void)
{
	return stream(make(AF_INET, SOCK_STREAM, MULTIPATH), &to, sizeof(to));
}

/* The first data with the SYN. */
static int fast_open(void)
{
	int made = make(AF_INET, SOCK_STREAM, 0);

	return answered(made, sendto(made, "x", 1, MSG_FASTOPEN, (void *)&to, sizeof(to)));
}

/* The same, with a connect() that waits for the data. */
static int fast_open_connect(void)
{
	int made = make(AF_INET, SOCK_STREAM, 0), yes = 1;

	if (setsockopt(made, SOL_TCP, TCP_FASTOPEN_CONNECT, &yes, sizeof(yes)))
		return -1;
	return stream(made, &to, sizeof(to));
}

static int udp_lite(void)
{
	return sendto(make(AF_INET, SOCK_DGRAM, UDP_LITE), "x", 1, 0, (void *)&to, sizeof(to));
}

/* By way of an address, which the header has before the port. */
static int routing_header(void)
{
	struct {
		unsigned char next, units, kind, left;
		unsigned reserved;
		struct in6_addr way;
	} header = { .units = 2, .kind = 2, .left = 1, .way = IN6ADDR_LOOPBACK_INIT };
	int made = make(AF_INET6, SOCK_DGRAM, 0);

	if (setsockopt(made, IPPROTO_IPV6, IPV6_RTHDR, &header, sizeof(header)))
		return -1;
	return sendto(made, "x", 1, 0, (void *)&to6, sizeof(to6));
}

/* An address of no family: IPv4 takes it for its own. */
static int unspecified(void)
{
	to.sin_family = AF_UNSPEC;
	return udp();
}

/* IPv6 takes one for that to which the socket is connected. */
static int unspecified6(void)
{
	struct sockaddr_in6 none = { .sin6_family = AF_UNSPEC };
	int made = make(AF_INET6, SOCK_DGRAM, 0);

	if (connect(made, (void *)&to6, sizeof(to6)))
		return -1;
	return datagram(made, &none, sizeof(none));
}

/* To another port than that to which the stream is connected: nobody looks at the name. */
static int named(void)
{
	return datagram(given, &to, sizeof(to));
}

/* Sends to a port, then leaves the socket to a program that acts: FIRST PROGRAM ACT. */
static int leave(void)
{
	static char number[16], port[16];
	char *argv[] = { more[1], more[2], port, NULL };
	int is_stream = !strcmp(more[2], "named"), is_6 = strchr(more[2], '6') != NULL;
	int made = make(is_6 ? AF_INET6 : AF_INET, is_stream ? SOCK_STREAM : SOCK_DGRAM, 0);

	snprintf(port, sizeof(port), "%d", ntohs(to.sin_port));
	to.sin_port = to6.sin6_port = htons(atoi(more[0]));
	if (is_stream)
		said(stream(made, &to, sizeof(to)));
	else
		said(is_6 ? datagram(made, &to6, sizeof(to6)) : datagram(made, &to, sizeof(to)));
	snprintf(number, sizeof(number), "%d", made);
	setenv("GIVEN", number, 1);
	execv(more[1], argv);
	return -1;
}

/* An echo request by a socket of datagrams. */
static int ping(void)
{
	static const char request[8] = { 8 };

	return sendto(make(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), request, sizeof(request), 0, (void *)&to, sizeof(to));
}

/* Connected to another port, FIRST, before. */
static int reconnected(void)
{
	int made = make(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in first = to;

	first.sin_port = htons(atoi(more[0]));
	if (connect(made, (void *)&first, sizeof(first)))
		return -1;
	return stream(made, &to, sizeof(to));
}

/* Behind a message to FIRST by the same call. */
static int many(void)
{
	struct sockaddr_in first = to;
	struct iovec byte = { "x", 1 };
	struct mmsghdr messages[2] = {
		{ .msg_hdr = { &first, sizeof(first), &byte, 1, NULL, 0, 0 } },
		{ .msg_hdr = { &to, sizeof(to), &byte, 1, NULL, 0, 0 } },
	};
	int made = make(AF_INET, SOCK_DGRAM, 0);

	first.sin_port = htons(atoi(more[0]));
	if (sendmmsg(made, messages, 2, 0) == 2)
		return 0;
	return sendmmsg(made, messages + 1, 1, 0); /* why it stopped there */
}

/* A datagram with options in its header, behind which the port stands. */
static int with_options(void)
{
	static const unsigned char nothing[4] = { 1, 1, 1, 0 };
	int made = make(AF_INET, SOCK_DGRAM, 0);

	if (setsockopt(made, IPPROTO_IP, IP_OPTIONS, nothing, sizeof(nothing)))
		return -1;
	return datagram(made, &to, sizeof(to));
}

/* One that is sent in pieces. */
static int in_pieces(void)
{
	static char large[1 << 16];
	int made = make(AF_INET, SOCK_DGRAM, 0), room = 1 << 20;

	setsockopt(made, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return sendto(made, large, 60000, 0, (void *)&to, sizeof(to));
}

/* On a connection whose packets have been told to go by way of the address MORE. */
static int source_route(void)
{
	unsigned char way[8] = { 1, 131, 7, 4 };
	int made = make(AF_INET, SOCK_STREAM, 0), service = 8;

	if (stream(made, &to, sizeof(to)))
		return -1;
	inet_pton(AF_INET, more[0], way + 4);
	if (setsockopt(made, IPPROTO_IP, IP_OPTIONS, way, sizeof(way)))
		return -1;
	setsockopt(made, IPPROTO_IP, IP_TOS, &service, sizeof(service)); /* the way is looked for again */
	return send(made, "away", 4, 0);
}

static const struct {
	const char *name;
	int (*act)(void);
} acts[] = {
	{ "tcp", tcp },
	{ "tcp6", tcp6 },
	{ "udp", udp },
	{ "udp6", udp6 },
	{ "tcp-to-none", tcp_to_none },
	{ "tcp6-to-none", tcp6_to_none },
	{ "udp-to-none", udp_to_none },
	{ "udp6-to-none", udp6_to_none },
	{ "multipath", multipath },
	{ "fast-open", fast_open },
	{ "fast-open-connect", fast_open_connect },
	{ "udp-lite", udp_lite },
	{ "routing-header", routing_header },
	{ "unspecified", unspecified },
	{ "unspecified6", unspecified6 },
	{ "named", named },
	{ "leave", leave },
	{ "ping", ping },
	{ "reconnected", reconnected },
	{ "many", many },
	{ "with-options", with_options },
	{ "in-pieces", in_pieces },
	{ "source-route", source_route },
};

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	to.sin_port = to6.sin6_port = htons(atoi(argv[2]));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	more = argv + 3;
	if (getenv("GIVEN"))
		given = atoi(getenv("GIVEN"));
	for (unsigned n = 0; n < sizeof(acts) / sizeof(*acts); n++)
		if (!strcmp(acts[n].name, argv[1]))
			return said(acts[n].act());
	return 2;
}
