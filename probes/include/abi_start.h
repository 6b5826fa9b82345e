/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of abi.h about containers that nobody has told of yet, for start.bpf.c. */
#ifndef BULKHEAD_ABI_START_H
#define BULKHEAD_ABI_START_H

/* What holds for cgroups below the kubelet's that are not known. */
struct start_rule {
	__u64 below;        /* cgroup id of the kubelet's own; 0: no namespace asks, everything starts */
	__u64 since_ns;     /* since when it has held without a break, for user space */
	__u64 sign_ns;      /* when an agent last gave a sign */
	__u64 lapse_ns;     /* how much later everything starts again; 0: never */
	__u64 state;        /* inode number of the agent's folder of state */
	__u32 state_device; /* the kernel's dev_t of it, major << 20 | minor */
	__u32 root;         /* number of the runtime's root directory, see inode_memory.anchor */
	__u32 sandboxes;    /* 1: a pod's first cgroup is its sandbox, which may start */
	__u32 pad;
};

/* Why a container's cgroup is known: the value in the map `known`. */
enum known {
	KNOWN_TOLD = 1,   /* an agent has put it under its policies, or found that none selects it */
	KNOWN_AGENT = 2,  /* it has the agent's folder of state */
	KNOWN_LAPSED = 3, /* it started when no agent had given a sign for too long */
};

#endif
