// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook            enforces                                                       fails
 * sb_mount        operations: Mount by mount(2): new, bind, move, remount, type   open only where no policy set is bound
 * sb_umount       … by umount(2)
 * sb_pivotroot    … by pivot_root(2)
 *
 * The newer system calls (fsopen, fsconfig, fsmount, fspick, open_tree, move_mount, mount_setattr) all ask for a
 * capability first, and are judged there: capability.bpf.c. Most of them have no hook of their own.
 */
#include "include/operation.h"

static always_inline int decide_mount(struct path *path)
{
	u64 address = address_of(path);
	struct about about = {};

	READ(about.dentry, struct path, address, dentry);
	READ(about.mount, struct path, address, mnt);
	return decide_operation(OPERATION_MOUNT, &about);
}

PROGRAM(sb_mount)(u64 *ctx)
{
	return decide_mount((void *)ctx[1]);
}

PROGRAM(sb_umount)(u64 *ctx)
{
	struct about about = { .mount = address_of((void *)ctx[0]) };

	READ(about.dentry, struct vfsmount, about.mount, mnt_root);
	return decide_operation(OPERATION_MOUNT, &about);
}

PROGRAM(sb_pivotroot)(u64 *ctx)
{
	return decide_mount((void *)ctx[1]);
}
