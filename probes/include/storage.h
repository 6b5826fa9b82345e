/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is kept on inodes and sockets. On the object itself where BPF LSM is active. Where it is not, objects have no room
 * for it, or not for programs on functions: there it is in hashes, by an inode's address and a socket's cookie, and
 * forget.bpf.c takes out what goes. A full hash is a memory that could not be made: counted, and worked out each time.
 *
 * All of these may be null. Those named new_… make what is not there.
 */
#ifndef BULKHEAD_STORAGE_H
#define BULKHEAD_STORAGE_H

#include "compat.h"

#if HAVE_BPF_LSM

static always_inline struct inode_memory *memory_of(struct inode *inode)
{
	return inode_storage(MAP(inodes), inode, 0, 0);
}

static always_inline struct inode_memory *new_memory(struct inode *inode)
{
	return inode_storage(MAP(inodes), inode, 0, STORAGE_CREATE);
}

static always_inline void drop_memory(struct inode *inode)
{
	inode_storage_delete(MAP(inodes), inode);
}

static always_inline struct writing *writing_of(struct inode *inode)
{
	return inode_storage(MAP(writings), inode, 0, 0);
}

static always_inline struct writing *new_writing(struct inode *inode)
{
	return inode_storage(MAP(writings), inode, 0, STORAGE_CREATE);
}

static always_inline struct socket_memory *memory_of_sock(struct sock *sock)
{
	return socket_storage(MAP(sockets), sock, 0, 0);
}

static always_inline struct socket_memory *new_memory_of_sock(struct sock *sock)
{
	return socket_storage(MAP(sockets), sock, 0, STORAGE_CREATE);
}

/* For programs on packets; `socket` is the packet's. */
static always_inline struct socket_memory *memory_of_packet(struct __sk_buff *skb, struct bpf_sock *socket)
{
	return socket_storage(MAP(sockets), socket, 0, 0);
}

static always_inline struct socket_memory *new_memory_of_packet(struct __sk_buff *skb, struct bpf_sock *socket)
{
	return socket_storage(MAP(sockets), socket, 0, STORAGE_CREATE);
}

#else

/* Made of nothing: `blank` is as large as the largest of them. What is not there has no entry. */
static always_inline void *new_entry(void *map, u64 key)
{
	void *entry = map_lookup(map, &key);

	if (entry || !key)
		return entry;
	map_update(map, &key, MAP_VALUE(blank), NO_EXIST);
	return map_lookup(map, &key);
}

static always_inline struct inode_memory *memory_of(struct inode *inode)
{
	u64 key = (u64)inode;

	return map_lookup(MAP(inodes), &key);
}

static always_inline struct inode_memory *new_memory(struct inode *inode)
{
	return new_entry(MAP(inodes), address_of(inode));
}

static always_inline void drop_memory(struct inode *inode)
{
	u64 key = (u64)inode;

	map_delete(MAP(inodes), &key);
}

static always_inline struct writing *writing_of(struct inode *inode)
{
	u64 key = (u64)inode;

	return map_lookup(MAP(writings), &key);
}

static always_inline struct writing *new_writing(struct inode *inode)
{
	return new_entry(MAP(writings), address_of(inode));
}

static always_inline struct socket_memory *memory_of_cookie(u64 cookie)
{
	return map_lookup(MAP(sockets), &cookie);
}

static always_inline struct socket_memory *new_memory_of_cookie(u64 cookie)
{
	return new_entry(MAP(sockets), cookie);
}

static always_inline struct socket_memory *memory_of_sock(struct sock *sock)
{
	return memory_of_cookie(socket_cookie(sock));
}

static always_inline struct socket_memory *new_memory_of_sock(struct sock *sock)
{
	return new_memory_of_cookie(socket_cookie(sock));
}

static always_inline struct socket_memory *memory_of_packet(struct __sk_buff *skb, struct bpf_sock *socket)
{
	return memory_of_cookie(socket_cookie(skb));
}

static always_inline struct socket_memory *new_memory_of_packet(struct __sk_buff *skb, struct bpf_sock *socket)
{
	return new_memory_of_cookie(socket_cookie(skb));
}

#endif
#endif
