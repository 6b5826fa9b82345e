/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of abi.h about what a container's image is, for provenance.h. */
#ifndef BULKHEAD_ABI_LAYERS_H
#define BULKHEAD_ABI_LAYERS_H

/* Which file systems hold a container's image, as of its first policy. */
enum layer_kind {
	LAYER_KIND_OVERLAY = 1, /* the root's overlay: what has no part in the upper layer is of the image */
	LAYER_KIND_TIME = 2,    /* what has not been written since is */
};

struct layer_key {
	__u32 container; /* index in `containers` */
	__u32 device;    /* the kernel's dev_t, major << 20 | minor */
};

struct layer {
	__u32 kind; /* enum layer_kind */
	__u32 pad;
	__u64 since_ns; /* of the clock that the kernel stamps inodes with, CLOCK_REALTIME_COARSE */
	__u64 since_boottime_ns;
};

/* What is remembered on an inode that a process under policy opened for writing. */
struct writing {
	__u64 boottime_ns; /* when it last did */
};

#endif
