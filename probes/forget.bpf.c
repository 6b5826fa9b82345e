// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Only where BPF LSM is not active, and what is kept on objects is in hashes (storage.h):
 *
 * function             does
 * security_inode_free  what is remembered on an inode goes with it, before its address is another's
 * security_sk_free     … on a socket, so that hashes do not fill
 * inet_sock_destruct   the same: sockets are freed by interrupts, too, and one that comes while the other program runs
 *                      is not told to that
 */
#include "include/storage.h"

PROGRAM(inode_free)(u64 *ctx)
{
	struct inode *inode = (void *)ctx[0];
	struct link_key key = { .device = FIELD(FIELD(inode, i_sb), s_dev), .inode = FIELD(inode, i_ino) };
	u64 address = ctx[0];

	map_delete(MAP(inodes), &address);
	map_delete(MAP(writings), &address);
	map_delete(MAP(numbered), &key);
	return 0;
}

static always_inline int forget_socket(void *sock)
{
	u64 cookie = socket_cookie(sock);

	map_delete(MAP(sockets), &cookie);
	return 0;
}

PROGRAM(sk_free)(u64 *ctx)
{
	return forget_socket((void *)ctx[0]);
}

PROGRAM(inet_free)(u64 *ctx)
{
	return forget_socket((void *)ctx[0]);
}
