/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a decision to a record in the ring buffer, exactly counted, repeats within a second aggregated.
 *
 * Reads kernel memory by address, so it works for every kind of program; nothing here takes part in a decision.
 */
#ifndef BULKHEAD_REPORT_H
#define BULKHEAD_REPORT_H

#include "ruling.h"

/* What happened. The argument of global functions, so scalars only; kernel objects are addresses. */
struct notice {
	u64 decision;
	u64 dentry; /* of the object, or 0 */
	u64 mount;  /* struct vfsmount of the object, or 0: the path then starts at its file system's root */
	u64 object; /* equal for equal objects */
	u32 container;
	u32 epoch;
	u32 set;
	u32 operation;
	u32 flags;  /* RECORD_* */
	u32 number; /* as in struct record */
	u32 rule;   /* of the record to emit, with its verdict */
	u32 verdict;
	u32 protocol;
	u32 port;       /* network order */
	u32 address[4]; /* network order */
};
_Static_assert(sizeof(struct notice) == NOTICE_BYTES, "NOTICE_BYTES");

static always_inline void count_violation(struct notice *r)
{
	struct counter_key key = { .container = r->container, .set = r->set, .rule = r->rule, .verdict = r->verdict };
	u64 *value = map_lookup(MAP(counters), &key);
	u64 one = 1;

	if (value) {
		__sync_fetch_and_add(value, 1);
		return;
	}
	if (!map_update(MAP(counters), &key, &one, NO_EXIST))
		return;
	value = map_lookup(MAP(counters), &key); /* another CPU was first, or the map is full */
	if (value)
		__sync_fetch_and_add(value, 1);
	else
		count(STATISTIC_COUNTERS_FULL);
}

/* Whether a record is due: 0 where the violation was added to one that is being aggregated. */
static always_inline int first_in_window(struct repeat_key *key, u64 now)
{
	struct repeat *repeat = map_lookup(MAP(repeats), key);
	struct repeat fresh = { .first_ns = now, .last_ns = now };

	if (repeat && now - repeat->first_ns < REPEAT_WINDOW_NS) {
		repeat->last_ns = now;
		__sync_fetch_and_add(&repeat->count, 1);
		return 0;
	}
	if (repeat)
		repeat->first_ns = now;
	else if (map_update(MAP(repeats), key, &fresh, NO_EXIST))
		count(STATISTIC_REPEATS_FULL);
	return 1;
}

/* The record had no room: what is aggregated later must not lose it. */
static always_inline void add_to_repeats(struct repeat_key *key, u64 now)
{
	struct repeat *repeat = map_lookup(MAP(repeats), key);

	count(STATISTIC_RECORDS_LOST);
	if (!repeat)
		return;
	repeat->last_ns = now;
	__sync_fetch_and_add(&repeat->count, 1);
}

/*
 * Writing a path into a record. How much was written is kept in the record: of what lies there the verifier knows nothing,
 * so it looks at one element; of a sum on the stack it looks at all values, in each of sixty programs.
 */
struct path_writer {
	u8 *to;
	u16 *used; /* bytes */
	u64 dentry;
	u64 mount; /* struct mount, or 0 where only the path within the file system is known */
	u64 top;   /* the mount's root dentry */
	u32 limit; /* bytes */
	u32 done;
};

static always_inline void enter_mount(struct path_writer *w, u64 mount)
{
	w->mount = mount;
	READ(w->top, struct mount, mount, mnt.mnt_root);
}

/* At the root of a mount: go on in the mount below it, at the mount point; 0 where there is none. */
static always_inline int leave_mount(struct path_writer *w)
{
	u64 below = w->mount;

	READ(below, struct mount, w->mount, mnt_parent);
	if (below == w->mount)
		return 0;
	READ(w->dentry, struct mount, w->mount, mnt_mountpoint);
	enter_mount(w, below);
	return 1;
}

#if HAVE_READONLY_CAST

/*
 * Copy the name of a dentry, and what lies behind a short one: the kernel, too, compares names in words of 8 bytes and has
 * room for whole ones.
 */
static always_inline void copy_name(u8 *to, u64 bytes, u64 name)
{
	struct new_utsname *from = CHARACTERS(name);

	if (bytes > 4 * sizeof(u64)) {
		read_kernel(to, bytes, name);
		return;
	}
	((u64 *)to)[0] = *(u64 *)FIELD_ADDRESS(from, sysname[0]);
	if (bytes <= sizeof(u64))
		return;
	((u64 *)to)[1] = *(u64 *)FIELD_ADDRESS(from, sysname[8]);
	((u64 *)to)[2] = *(u64 *)FIELD_ADDRESS(from, sysname[16]);
	((u64 *)to)[3] = *(u64 *)FIELD_ADDRESS(from, sysname[24]);
}

#else

static always_inline void copy_name(u8 *to, u64 bytes, u64 name)
{
	read_kernel(to, bytes, name);
}

#endif

/* bpf_loop callback: one path element, {length, bytes}; the next one is its parent. */
FUNCTION(write_element)(u64 i, struct path_writer *w)
{
	u64 parent = w->dentry, name = 0, bytes, used = *(volatile u16 *)w->used;
	u32 length = 0;

	READ(parent, struct dentry, w->dentry, d_parent);
	if (w->mount && (w->dentry == w->top || parent == w->dentry)) {
		w->done = !leave_mount(w);
		if (w->done || w->dentry == w->top)
			return w->done;
		READ(parent, struct dentry, w->dentry, d_parent);
	}
	if (parent == w->dentry) {
		w->done = !w->mount;
		return w->done;
	}
	READ(length, struct dentry, w->dentry, d_name.len);
	READ(name, struct dentry, w->dentry, d_name.name);
	bytes = length;
	asm volatile("" : "+r"(used), "+r"(bytes)); /* keeps each in the register whose bounds are checked */
	bytes &= 0xff;
	if (used > w->limit - 1 - NAME_BYTES || used > OBJECT_BYTES - 1 - NAME_BYTES)
		return 1;
	w->to[used] = bytes;
	copy_name(w->to + used + 1, bytes, name);
	*(volatile u16 *)w->used = used + bytes + 1;
	w->dentry = parent;
	return 0;
}

/* Write path elements, last one first, to w->to; returns whether they fitted. Of those that do not, the last are there. */
static always_inline int write_path(struct path_writer *w, u64 dentry, u64 vfsmount)
{
	w->dentry = dentry;
	w->mount = 0;
	w->done = 0;
	if (vfsmount)
		enter_mount(w, vfsmount - __builtin_offsetof(struct mount, mnt));
	loop(2 * PATH_LEVELS, CALLBACK(LINKED_WRITE_ELEMENT), w, 0);
	return w->done;
}

static always_inline void write_object(struct record *record, struct notice *r, struct path_writer *w)
{
	u64 superblock = 0;

	record->number = r->number;
	record->protocol = r->protocol;
	record->port = r->port;
	__builtin_memcpy(record->address, r->address, sizeof(record->address));
	record->object_bytes = 0;
	record->device = 0;
	if (!r->dentry)
		return;
	READ(superblock, struct dentry, r->dentry, d_sb);
	READ(record->device, struct super_block, superblock, s_dev);
	w->to = record->object;
	w->used = &record->object_bytes;
	w->limit = OBJECT_BYTES;
	if (!write_path(w, r->dentry, r->mount))
		record->flags |= RECORD_OBJECT_TRUNCATED;
}

static always_inline void write_identity(struct record *record, u64 task)
{
	u64 leader = 0, other = 0, namespaces = 0;
	u32 level = 0;

	READ(leader, struct task_struct, task, group_leader);
	READ(record->pid, struct task_struct, task, tgid);
	READ(record->process_start_ns, struct task_struct, leader, start_boottime);
	READ(other, struct task_struct, task, real_parent);
	READ(record->parent, struct task_struct, other, tgid);
	READ(other, struct task_struct, task, cred);
	READ(record->uid, struct cred, other, uid);
	READ(record->gid, struct cred, other, gid);
	READ(((u64 *)record->comm)[0], struct task_struct, task, comm[0]);
	READ(((u64 *)record->comm)[1], struct task_struct, task, comm[8]);
	READ(other, struct task_struct, leader, thread_pid);
	READ(level, struct pid, other, level);
	other += __builtin_offsetof(struct pid, numbers) + (level & 31) * sizeof(struct upid);
	READ(record->namespace_pid, struct upid, other, nr);
	READ(other, struct task_struct, task, cgroups);
	READ(other, struct css_set, other, dfl_cgrp);
	READ(other, struct cgroup, other, kn);
	READ(record->cgroup, struct kernfs_node, other, id);
}

static always_inline void write_program(struct record *record, struct notice *r, u64 task, struct path_writer *w)
{
	u64 mm = 0, file = 0, start = 0, end = 0, dentry = 0, mount = 0;

	record->executable_bytes = 0;
	record->arguments_bytes = 0;
	READ(mm, struct task_struct, task, mm);
	if (!mm)
		return;
	READ(file, struct mm_struct, mm, exe_file);
	READ(dentry, struct file, file, f_path.dentry);
	READ(mount, struct file, file, f_path.mnt);
	w->to = record->executable;
	w->used = &record->executable_bytes;
	w->limit = EXECUTABLE_BYTES;
	if (!write_path(w, dentry, mount))
		record->flags |= RECORD_EXECUTABLE_TRUNCATED;
	if (r->flags & RECORD_FROM_PACKET) /* a packet may leave while another process runs */
		return;
	READ(start, struct mm_struct, mm, arg_start);
	READ(end, struct mm_struct, mm, arg_end);
	end -= start;
	if (end > ARGUMENTS_BYTES) {
		record->flags |= RECORD_ARGUMENTS_TRUNCATED;
		end = ARGUMENTS_BYTES;
	}
	if (end && !read_user(record->arguments, end & 0xff, start))
		record->arguments_bytes = end;
}

/* One record for r->rule and r->verdict. */
FUNCTION(emit)(struct notice *r)
{
	struct path_writer w = {};
	struct repeat_key key = {};
	struct record *record;
	u64 task, leader = 0, started = 0, now = boot_time_ns();
	u32 group = 0;

	if (!r)
		return 0;
	count_violation(r);
	task = current_task();
	READ(group, struct task_struct, task, tgid);
	READ(leader, struct task_struct, task, group_leader);
	READ(started, struct task_struct, leader, start_boottime);
	key.container = r->container;
	key.set = r->set;
	key.rule = r->rule;
	key.verdict = r->verdict;
	key.operation = r->operation;
	key.object = r->object;
	key.subject = (u64)group << 32 | (u32)started;
	if (!first_in_window(&key, now))
		return 0;
	record = ring_reserve(MAP(events), sizeof(*record), 0);
	if (!record) {
		add_to_repeats(&key, now);
		return 0;
	}
	record->time_ns = now;
	record->repeat = key;
	record->epoch = r->epoch;
	record->flags = r->flags;
	record->pad = 0;
	record->address_pad = 0;
	write_identity(record, task);
	write_object(record, r, &w);
	write_program(record, r, task, &w);
	ring_submit(record, 0);
	count(STATISTIC_RECORDS);
	return 0;
}
#define EMIT(r) ((u64 (*)(struct notice *))LINKED_EMIT)(r)

/* The records that a decision asks for: of the rule that decided and of the Audit rule that matched. */
FUNCTION(report)(struct notice *r)
{
	if (!r)
		return 0;
	r->rule = r->decision >> DECISION_RULE_SHIFT & DECISION_RULE_MASK;
	r->verdict = verdict_of(r->decision);
	if (r->verdict != VERDICT_ALLOW)
		EMIT(r);
	r->rule = r->decision >> DECISION_AUDIT_SHIFT & DECISION_RULE_MASK;
	r->verdict = VERDICT_AUDIT;
	if (r->rule)
		EMIT(r);
	return 0;
}
#define REPORT(r) ((u64 (*)(struct notice *))LINKED_REPORT)(r)

static always_inline void notice_for(struct notice *r, struct ruling *ruling, u64 decision, u32 operation)
{
	r->decision = decision;
	r->container = ruling->container;
	r->epoch = ruling->epoch;
	r->set = ruling->set;
	r->flags = ruling->flags;
	r->operation = operation;
}

/* A number that stands for a dentry: its address and the hash of its name. */
static always_inline u64 object_of(u64 dentry)
{
	u64 hash = 0;

	READ(hash, struct dentry, dentry, d_name.hash_len);
	return dentry ^ hash;
}

#endif
