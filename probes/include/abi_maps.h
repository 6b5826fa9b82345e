/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of abi.h that lists the maps. */
#ifndef BULKHEAD_ABI_MAPS_H
#define BULKHEAD_ABI_MAPS_H

#define MAX_INODES 65536u  /* that remember something, where BPF LSM is not active */
#define MAX_SOCKETS 65536u /* the same of sockets */
#define SEEN_SLOTS 32768u  /* files that were opened once, and remember nothing yet */

/* A filter: what is opened once only is not worth a memory. A wrong answer costs time, and nothing else. */
struct seen {
	__u32 tags[SEEN_SLOTS]; /* a part of a hash of an inode's address and number, by another part */
};

/* What `homes` has, in place of a cgroup, of the node's own processes under a policy: a container in name only. */
#define HOME_IS_NODE 0xffffffffffffffffull

/*
 * Maps: X(identifier, name, type, key, value, entries, flags). CGROUP_BINDING is CGRP_STORAGE where the kernel has it
 * (6.2) and otherwise a HASH by cgroup id. INODE_STORAGE and SK_STORAGE are HASHes by a u64, of the entries named here,
 * where BPF LSM is not active; `numbered` then has the anchors of inodes, under epoch 0. A program refers to a map by its
 * identifier.
 */
#define BULKHEAD_MAPS(X)                                                                                               \
	X(0x4201, bindings, CGROUP_BINDING, __u64, __u32, MAX_CGROUPS, 0)                                              \
	X(0x4202, containers, ARRAY, __u32, __u64, MAX_CONTAINERS, 0)                                                  \
	X(0x4203, sets, ARRAY, __u32, struct policy_set, MAX_SETS, 0)                                                  \
	X(0x4204, outcomes, ARRAY, __u32, struct outcome, MAX_OUTCOMES, 0)                                             \
	X(0x4205, arena, ARRAY, __u32, struct arena, 1, MMAPABLE)                                                      \
	X(0x4206, anchors, HASH, struct anchor_key, __u32, MAX_ANCHORS, NO_PREALLOC)                                   \
	X(0x4207, inodes, INODE_STORAGE, __u32, struct inode_memory, MAX_INODES, NO_PREALLOC)                          \
	X(0x4240, layers, HASH, struct layer_key, struct layer, MAX_LAYERS, NO_PREALLOC)                               \
	X(0x4241, writings, INODE_STORAGE, __u32, struct writing, MAX_INODES, NO_PREALLOC)                             \
	X(0x4208, prefixes, LPM_TRIE, struct prefix_key, __u32, MAX_PREFIXES, NO_PREALLOC)                             \
	X(0x4209, ports, LPM_TRIE, struct port_key, __u64, MAX_PORTS, NO_PREALLOC)                                     \
	X(0x420a, network, CGROUP_STORAGE, __u64, struct network_state, 0, 0)                                          \
	X(0x420b, events, RINGBUF, void, void, EVENT_BUFFER_BYTES, 0)                                                  \
	X(0x420c, counters, HASH, struct counter_key, __u64, MAX_COUNTERS, NO_PREALLOC)                                \
	X(0x420d, repeats, HASH, struct repeat_key, struct repeat, MAX_REPEATS, NO_PREALLOC)                           \
	X(0x420e, statistics, ARRAY, __u32, struct statistics, 1, 0)                                                   \
	X(0x4230, moves, ARRAY, __u32, __u64, 1, 0)                                                                    \
	X(0x4231, links, HASH, struct link_key, __u32, MAX_LINKS, NO_PREALLOC)                                         \
	X(0x4232, numbered, HASH, struct link_key, __u32, MAX_LINKS, NO_PREALLOC)                                      \
	X(0x4233, blank, ARRAY, __u32, struct inode_memory, 1, 0)                                                      \
	X(0x4234, seen, ARRAY, __u32, struct seen, 1, 0)                                                               \
	X(0x4210, sockets, SK_STORAGE, __u32, struct socket_memory, MAX_SOCKETS, NO_PREALLOC)                          \
	X(0x4211, departures, TASK_STORAGE, __u32, struct departure, 0, NO_PREALLOC)                                   \
	X(0x4212, departed, ARRAY, __u32, __u64, MAX_CONTAINERS, 0)                                                    \
	X(0x4213, homes, ARRAY, __u32, __u64, MAX_CONTAINERS, 0)                                                       \
	X(0x4214, processes, TASK_STORAGE, __u32, struct process_memory, 0, NO_PREALLOC)                               \
	X(0x4221, guard, ARRAY, __u32, struct guard, 1, 0)                                                             \
	X(0x4222, guarded, HASH, struct guarded_key, __u32, MAX_GUARDED, NO_PREALLOC)                                  \
	X(0x4223, agents, TASK_STORAGE, __u32, __u32, 0, NO_PREALLOC)                                                  \
	X(0x4250, start_rule, ARRAY, __u32, struct start_rule, 1, 0)                                                   \
	X(0x4251, known, HASH, __u64, __u32, MAX_CGROUPS, NO_PREALLOC)                                                 \
	X(0x420f, instances, ARRAY, __u32, struct instance, 1, 0)

#endif
