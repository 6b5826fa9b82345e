/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who acts: the class that a set gives to the program that a process runs (abi.h, "Who acts").
 *
 * It is settled when the process executes, from the path of the file whose code it then runs (of a script that is the
 * interpreter), and kept on the process's first thread, so that its threads share it; a child begins with a copy. A
 * process that is older than the set, or than its mount table, has its class worked out once from the file that it
 * executed. Nothing here costs a set anything that does not ask who acts.
 */
#ifndef BULKHEAD_SUBJECT_H
#define BULKHEAD_SUBJECT_H

#include "path.h"

/* The argument of find_subject(). */
struct seeker {
	u64 epoch;
	u32 set;
	u32 pad;
};
_Static_assert(sizeof(struct seeker) == SEEKER_BYTES, "SEEKER_BYTES");

static always_inline struct process_memory *process_of(struct task_struct *leader)
{
	if (!FIELD(leader, bpf_storage)) /* nothing is kept on it: no call */
		return 0;
	return task_storage(MAP(processes), leader, 0, 0);
}

/* Write down who a process is from now on; 0 where it could not be. */
static always_inline int remember_subject(struct task_struct *leader, u64 epoch, u32 subject)
{
	struct process_memory *memory = task_storage(MAP(processes), leader, 0, STORAGE_CREATE);

	if (!memory) {
		count(STATISTIC_MEMORY_FAILED);
		return 0;
	}
	memory->subject = epoch << 32 | subject;
	return 1;
}

/* What is kept of a process under an epoch, or -1. */
static always_inline int known_subject(struct task_struct *leader, u64 epoch)
{
	struct process_memory *memory = process_of(leader);
	u64 subject;

	if (!memory)
		return -1;
	if (memory->tainted)
		return SUBJECT_UNKNOWN;
	subject = memory->subject;
	return subject >> 32 == epoch ? (int)(subject & (MAX_SUBJECTS - 1)) : -1;
}

/* The class of a program whose file's path ends in `state`. */
static always_inline u32 subject_in(u64 state, struct policy_set *set)
{
	if (state == STATE_UNKNOWN || state == STATE_NESTED)
		return SUBJECT_UNKNOWN;
	return outcome_in(state, set)->program;
}

/* The same from the file that a process executed, remembered. */
static always_inline u32 subject_of_executable(struct task_struct *leader, u64 epoch, struct policy_set *set)
{
#if HAVE_DIRECT_FILE_PATH
	struct mm_struct *memory = FIELD(leader, mm);
	struct file *file = memory ? FIELD(memory, exe_file) : 0;
	u32 subject;

	if (!file)
		return SUBJECT_UNKNOWN;
	subject = subject_in(resolve_file(file, epoch), set);
	if (subject != SUBJECT_UNKNOWN)
		remember_subject(leader, epoch, subject);
	return subject;
#else
	return SUBJECT_UNKNOWN;
#endif
}

static always_inline u32 subject_of(struct task_struct *leader, struct ruling *ruling, struct policy_set *set)
{
	int known = known_subject(leader, ruling->epoch);

	return known < 0 ? subject_of_executable(leader, ruling->epoch, set) : (u32)known;
}

/* A function of its own, so that it takes no room in every program. */
FUNCTION(find_subject)(struct seeker *who)
{
	struct task_struct *leader = FIELD(current_task_struct(), group_leader);
	struct policy_set *set;
	u32 index;

	if (!who)
		return SUBJECT_UNKNOWN;
	index = who->set;
	set = map_lookup(MAP(sets), &index);
	return set ? subject_of_executable(leader, who->epoch, set) : SUBJECT_UNKNOWN;
}
#define FIND_SUBJECT(who) ((u32)((u64 (*)(struct seeker *))LINKED_FIND_SUBJECT)(who))

/* The set by which the running process is judged, which is its subject's entry; `ruling` is the process's. */
static always_inline struct policy_set *current_set(struct ruling *ruling)
{
	struct seeker who = { .epoch = ruling->epoch, .set = ruling->set };
	struct policy_set *set = set_of(ruling);
	int known;

	if (!set || !(set->flags & SET_HAS_SUBJECTS))
		return set;
	known = known_subject(FIELD(current_task_struct(), group_leader), ruling->epoch);
	return set_for(ruling, known < 0 ? FIND_SUBJECT(&who) : (u32)known);
}

/* The running process's ruling and policy set; null where nothing is said about paths. */
static always_inline struct policy_set *current_path_set(struct ruling *ruling)
{
	struct policy_set *set;

	if (!current_ruling(ruling))
		return 0;
	set = current_set(ruling);
	return set && set->flags & SET_HAS_PATHS ? set : 0;
}

/*
 * The running process begins to run code that is not its program's: it is not itself any more until it executes again.
 * So is the one whose memory it shares, as a child of vfork() does. 0, or -1 where that cannot be noted: what the
 * process is about to do must then be refused. To be called where the set asks who acts.
 */
static always_inline int taint(void)
{
	struct task_struct *task = current_task_struct();
	struct task_struct *leader = FIELD(task, group_leader);
	struct task_struct *parent = FIELD(FIELD(leader, real_parent), group_leader);
	struct process_memory *memory = task_storage(MAP(processes), leader, 0, STORAGE_CREATE);

	if (!memory)
		return -1;
	memory->tainted = 1;
	if (FIELD(parent, mm) != FIELD(task, mm))
		return 0;
	memory = task_storage(MAP(processes), parent, 0, STORAGE_CREATE);
	if (!memory)
		return -1;
	memory->tainted = 1;
	return 0;
}

#endif
