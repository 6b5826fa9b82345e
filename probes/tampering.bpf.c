// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                 refuses to containers under a policy                                        fails
 * bpf_map              a descriptor of one of our maps, by number or from a pin                     open
 * bpf_prog             … of one of our programs                                                     open
 * bpf                  … of one of our links, by number; to change links, once one was got by a pin  open
 * bpf_link_new_fd      (function) nothing: sees that a link of ours is got by a pin                  open
 * task_kill            signals to the agent                                                          open
 * ptrace_access_check  the agent's memory, descriptors, environment, and tracing it                  open
 * task_setrlimit       limits on the agent                                                           open
 * task_setscheduler    the agent's scheduling and processors                                         open
 * task_setnice         the agent's priority                                                          open
 * sb_umount            unmounting the file system of our pins                                        open
 * inode_unlink         removing a pin                                                                open
 * inode_rename, rmdir  renaming one or a folder of them, removing a folder                           open
 *
 * Files of other cgroups, and those of /proc that show the agent's memory, are refused in file.bpf.c. "Open": where a
 * table could not be filled nothing is guarded, and all else goes on being enforced.
 */
#include "include/tampering.h"

#define BPF_LINK_UPDATE 29u
#define BPF_LINK_GET_FD_BY_ID 30u
#define BPF_LINK_DETACH 34u
#define PTRACE_MODE_NOAUDIT 4u

static always_inline int is_guarded(u32 kind, u32 id)
{
	struct guarded_key key = { .kind = kind, .id = id };

	return map_lookup(MAP(guarded), &key) != 0;
}

static always_inline int keep_object(u32 kind, u32 id)
{
	struct ruling ruling;

	if (!container_ruling(&ruling) || !is_guarded(kind, id))
		return 0;
	return refuse(&ruling, BUILT_IN_OBJECTS, (u64)kind << 32 | id);
}

PROGRAM(bpf_map)(u64 *ctx)
{
	struct bpf_map *map = (void *)ctx[0];

	return keep_object(GUARDED_MAP, FIELD(map, id));
}

PROGRAM(bpf_prog)(u64 *ctx)
{
	struct bpf_prog *program = (void *)ctx[0];

	return keep_object(GUARDED_PROGRAM, FIELD(FIELD(program, aux), id));
}

/*
 * No hook sees a link got from a pin, and what descriptor a command names is not to be believed: another thread may
 * exchange it. So from the first time that it happens, containers under a policy change no links at all.
 */
PROGRAM(bpf_link_new_fd)(u64 *ctx)
{
	struct bpf_link *link = (void *)ctx[0];
	struct guard *ours = guard();
	struct ruling ruling;

	if (!ours || !container_ruling(&ruling) || !is_guarded(GUARDED_LINK, FIELD(link, id)))
		return 0;
	ours->link_is_out = 1;
	return 0;
}

PROGRAM(tamper_bpf)(u64 *ctx)
{
	u32 command = ctx[0];
	u32 *link = (void *)ctx[1]; /* the first member for this command */
	struct guard *ours = guard();
	struct ruling ruling;

	if (command == BPF_LINK_GET_FD_BY_ID)
		return keep_object(GUARDED_LINK, *link);
	if (command != BPF_LINK_UPDATE && command != BPF_LINK_DETACH)
		return 0;
	if (!ours || !ours->link_is_out || !container_ruling(&ruling))
		return 0;
	return refuse(&ruling, BUILT_IN_OBJECTS, command);
}

/* Tells the agent's program as the object. */
static always_inline int keep_agent(struct task_struct *task)
{
	u64 mm = 0, file = 0, dentry = 0, mount = 0;
	struct ruling ruling;

	if (!is_agent(task) || !container_ruling(&ruling))
		return 0;
	READ(mm, struct task_struct, address_of(task), mm);
	READ(file, struct mm_struct, mm, exe_file);
	READ(dentry, struct file, file, f_path.dentry);
	READ(mount, struct file, file, f_path.mnt);
	return act_on_path(&ruling, tampering(&ruling, BUILT_IN_AGENT), OPERATION_TAMPERING, dentry, mount, 0);
}

PROGRAM(task_kill)(u64 *ctx)
{
	return (u32)ctx[2] ? keep_agent((void *)ctx[0]) : 0; /* signal 0 only asks whether somebody is there */
}

PROGRAM(tamper_ptrace)(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct ruling ruling;

	if (!((u32)ctx[1] & PTRACE_MODE_NOAUDIT))
		return keep_agent(task);
	return is_agent(task) && container_ruling(&ruling) && blocks(tampering(&ruling, BUILT_IN_AGENT))
	               ? RETURN(-EPERM)
	               : 0;
}

PROGRAM(task_setrlimit)(u64 *ctx)
{
	return keep_agent((void *)ctx[0]);
}

PROGRAM(task_setscheduler)(u64 *ctx)
{
	return keep_agent((void *)ctx[0]);
}

PROGRAM(task_setnice)(u64 *ctx)
{
	return keep_agent((void *)ctx[0]);
}

PROGRAM(tamper_umount)(u64 *ctx)
{
	struct vfsmount *mount = (void *)ctx[0];
	struct super_block *superblock = FIELD(mount, mnt_sb);
	struct guard *ours = guard();
	struct ruling ruling;

	if (!ours || FIELD(superblock, s_dev) != ours->pins_device || !container_ruling(&ruling))
		return 0;
	return refuse_path(&ruling, BUILT_IN_PINS, FIELD(superblock, s_root));
}

PROGRAM(tamper_unlink)(u64 *ctx)
{
	return keep_pin((void *)ctx[1]);
}

PROGRAM(tamper_rename)(u64 *ctx)
{
	struct dentry *from = (void *)ctx[1];
	struct dentry *over = (void *)ctx[3];
	struct ruling ruling;

	if (!is_of(from, BPF_FS_MAGIC) || (!is_pin(from) && !is_pin(over)) || !container_ruling(&ruling))
		return 0;
	return refuse_path(&ruling, BUILT_IN_PINS, from);
}

PROGRAM(tamper_rmdir)(u64 *ctx)
{
	return keep_pin((void *)ctx[1]);
}
