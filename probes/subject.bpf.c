// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                  does, where rules are about some programs (`by`)                     fails
 * bprm_committed_creds  settles who a process is from now on                                 closed: SUBJECT_UNKNOWN
 * sched_process_fork    (tracepoint) a child is who its parent is                            worked out from its executable
 * ptrace_access_check   no process attaches to another program's, reads or writes its memory, closed
 *                       or takes its descriptors
 * task_prctl            no process says that it executed another file (PR_SET_MM_EXE_FILE)   closed
 *
 * A process that is traced when it executes, by another program or from another container, is not itself: whoever
 * traces it decides what it does; nor is one that maps code which is not the image's (map.bpf.c). A tracer that is under
 * no policy is the node's administrator, who is not held off; nor are the node's own processes, from a container.
 */
#include "include/act.h"

#define PTRACE_MODE_ATTACH 2u
#define PR_SET_MM 35
#define PR_SET_MM_EXE_FILE 13
#define PR_SET_MM_MAP 14

/* The container that a thread's leader is in, or 0. */
static always_inline u32 container_of_task(struct task_struct *leader)
{
	u32 departed = departed_of(leader);

	if (departed)
		return departed;
	return container_of_cgroup(cgroup_of(leader));
}

/* Whether somebody is not held off: who is under no policy, and the node's own processes, from what is not the node's. */
static always_inline int administers(u32 actor, u32 container)
{
	return !actor || (is_of_node(actor) && !is_of_node(container));
}

/* Whether somebody who is not that subject of that container traces the running process. */
static always_inline int traced_by_another(struct ruling *ruling, u32 subject)
{
	struct task_struct *task = current_task_struct();
	struct task_struct *tracer = FIELD(FIELD(task, parent), group_leader);
	u32 container;

	if (!FIELD(task, ptrace))
		return 0;
	container = container_of_task(tracer);
	if (administers(container, ruling->container))
		return 0;
	return container != ruling->container || known_subject(tracer, ruling->epoch) != (int)subject;
}

static always_inline void forget_subject(struct task_struct *leader)
{
	struct process_memory *memory = process_of(leader);

	if (!memory)
		return;
	memory->subject = 0;
	memory->tainted = 0;
}

PROGRAM(bprm_committed_creds)(u64 *ctx)
{
	struct linux_binprm *bprm = (void *)ctx[0];
	struct task_struct *leader = FIELD(current_task_struct(), group_leader);
	struct policy_set *set;
	struct ruling ruling;
	u32 subject;

	forget_subject(leader);
	if (!find_ruling(&ruling))
		return 0;
	set = set_of(&ruling);
	if (!set || !(set->flags & SET_HAS_SUBJECTS))
		return 0;
	subject = subject_in(resolve_file(FIELD(bprm, file), ruling.epoch, 0), set);
	remember_subject(leader, ruling.epoch, subject, traced_by_another(&ruling, subject) ? TAINTED_TRACED : 0);
	return 0;
}

PROGRAM(fork_subject)(u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0];
	struct task_struct *child = (void *)ctx[1];
	struct task_struct *leader = FIELD(parent, group_leader);
	struct process_memory *memory = process_of(leader);

	if (!memory || leader == FIELD(child, group_leader))
		return 0;
	if (!task_storage(MAP(processes), child, memory, STORAGE_CREATE))
		count(STATISTIC_MEMORY_FAILED);
	return 0;
}

/* The name of the file that a process executed: for comparing, nothing is followed. */
static always_inline u64 name_of_executable(struct task_struct *task)
{
	struct mm_struct *memory = FIELD(VIEW(task_struct, task), mm);
	struct file *file = memory ? FIELD(memory, exe_file) : 0;

	return file ? (u64)FIELD(file, f_path.dentry) : 0;
}

/*
 * Whether the running process is the program that another is. One of which nothing is known yet under this epoch is
 * told by the very file that it executed: another process's path cannot be followed safely.
 */
static always_inline int is_same_program(struct task_struct *other, struct task_struct *its_leader, u64 epoch)
{
	struct task_struct *self = current_task_struct(), *leader = FIELD(self, group_leader);
	struct process_memory *memory;
	int mine, theirs;
	u64 name;

	FOLLOWED(leader);
	mine = known_subject(leader, epoch);
	theirs = known_subject(its_leader, epoch);
	memory = process_of(leader);
	if (mine >= 0 && theirs >= 0)
		return mine == theirs;
	if (mine == SUBJECT_UNKNOWN || theirs == SUBJECT_UNKNOWN || (memory && memory->tainted))
		return 0;
	name = name_of_executable(self);
	return name && name == name_of_executable(other);
}

static always_inline int refuse_borrowing(struct ruling *ruling, struct policy_set *set, u32 operation, u32 number)
{
	struct notice r = {};

	notice_for(&r, ruling, set->borrowing, operation);
	r.number = number;
	r.object = number;
	REPORT(&r);
	return act(set->borrowing);
}

PROGRAM(ptrace_subject)(u64 *ctx)
{
	struct task_struct *child = (void *)ctx[0];
	struct task_struct *leader = FIELD(child, group_leader);
	struct ruling ruling;
	struct policy_set *set;
	u32 mode = ctx[1], actor;

	if (!(mode & PTRACE_MODE_ATTACH))
		return 0;
	actor = FIND_CONTAINER();
	ruling.container = container_of_task(leader);
	if (!ruling.container || administers(actor, ruling.container) || !ruling_of_container(&ruling))
		return 0;
	set = set_of(&ruling);
	if (!set || !(set->flags & SET_HAS_SUBJECTS))
		return 0;
	if (actor == ruling.container && is_same_program(child, leader, ruling.epoch))
		return 0;
	return refuse_borrowing(&ruling, set, OPERATION_PTRACE, FIELD(leader, tgid));
}

PROGRAM(task_prctl)(u64 *ctx)
{
	int option = ctx[0];
	u64 what = ctx[1];
	struct ruling ruling;
	struct policy_set *set;

	if (option != PR_SET_MM || (what != PR_SET_MM_EXE_FILE && what != PR_SET_MM_MAP) || !find_ruling(&ruling))
		return 0;
	set = set_of(&ruling);
	if (!set || !(set->flags & SET_HAS_SUBJECTS))
		return 0;
	return refuse_borrowing(&ruling, set, OPERATION_EXEC, 0);
}
