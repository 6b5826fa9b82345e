// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook          enforces                                              fails
 * file_open     files: Read, Write of what is opened; Create by        closed: an unresolved path is judged by the
 *               O_TMPFILE, which has no name to judge by inode_create  strictest rule
 *               … and files of cgroups and of the agent's process (tampering.h)
 *               operations: RawDevice, ProcMem, KernelSettings         open only where no policy set is bound
 * file_receive  Read, Write of a descriptor that comes from another    closed
 *               process: over a unix socket, by pidfd_getfd
 *
 * The verdict is remembered on the inode from the second open on: then one costs two storage look-ups, not a walk.
 */
#include "include/judge.h"
#include "include/provenance.h"
#include "include/special.h"
#include "include/syscall.h"
#include "include/tampering.h"

#define FMODE_READ 1u
#define FMODE_EXEC 32u
#define FMODE_PATH 0x4000u
#define O_TRUNC 01000u
#define O_TMPFILE 020000000u

static always_inline u32 operations_of(struct file *file)
{
	u32 operations = 0;

	if (FIELD(file, f_mode) & FMODE_WRITE || FIELD(file, f_flags) & O_TRUNC)
		operations = 1u << OPERATION_WRITE;
	if (FIELD(file, f_mode) & FMODE_READ || !operations)
		operations |= 1u << OPERATION_READ;
	if (FIELD(file, f_flags) & O_TMPFILE)
		operations |= 1u << OPERATION_CREATE;
	return operations;
}

/* The strictest of what was decided about the operations of one open. */
struct strictest {
	u64 decision;
	u32 operation;
	u32 flags;
};

static always_inline void add_operation(struct strictest *s, u64 state, struct policy_set *set, u32 asked,
                                        u32 operation)
{
	u64 decision;

	if (!(asked & 1u << operation))
		return;
	decision = decision_in(state, set, operation, &s->flags);
	if (s->decision && verdict_of(decision) <= verdict_of(s->decision))
		return;
	s->decision = decision;
	s->operation = operation;
}

static always_inline void decide_operations(struct strictest *s, u64 state, struct policy_set *set, struct file *file)
{
	u32 asked = operations_of(file);

	add_operation(s, state, set, asked, OPERATION_READ);
	add_operation(s, state, set, asked, OPERATION_WRITE);
	add_operation(s, state, set, asked, OPERATION_CREATE);
}

static always_inline void decide_open(struct strictest *s, struct file *file, struct policy_set *set,
                                      struct ruling *ruling)
{
	u64 state = state_of_file(file, ruling->epoch);

	if (state == STATE_SILENT)
		return;
	if (FIELD(file, f_flags) & FMODE_EXEC && is_executing()) { /* some calls, such as mq_open, take any flags */
		s->operation = OPERATION_EXEC;
		s->decision = decide_open_of_program(ruling, set, state, file, &s->flags);
		return;
	}
	decide_operations(s, state, set, file);
}

PROGRAM(file_open)(u64 *ctx)
{
	struct file *file = (void *)ctx[0];
	struct strictest s = { .operation = OPERATION_TAMPERING };
	u64 container = current_container();
	struct ruling ruling;
	struct policy_set *set;

	if (!container)
		return 0;
	s.decision = decide_guarded_file(file, container, &ruling);
	if (!s.decision) {
		set = set_in(container, &ruling, SET_HAS_PATHS | SET_HAS_SPECIAL_FILES);
		if (!set)
			return 0;
		if (FIELD(file, f_mode) & FMODE_WRITE)
			note_writing(set, FIELD(file, f_inode));
		if (set->flags & SET_HAS_SPECIAL_FILES && open_special(&ruling, set, file))
			return RETURN(-EPERM);
		if (set->flags & SET_HAS_PATHS)
			decide_open(&s, file, set, &ruling);
	}
	if (!s.decision)
		return 0;
	return act_on_file(&ruling, s.decision, s.operation, file, s.flags);
}

PROGRAM(file_receive)(u64 *ctx)
{
	struct file *file = (void *)ctx[0];
	struct strictest s = {};
	struct ruling ruling;
	struct policy_set *set = find_path_set(&ruling);
	u64 state;

	if (!set || FIELD(file, f_mode) & FMODE_PATH) /* nothing can be done by it before it is opened */
		return 0;
	state = state_of_file(file, ruling.epoch);
	if (state == STATE_SILENT || state == STATE_NAMELESS) /* a pipe or socket is no file of a path */
		return 0;
	decide_operations(&s, state, set, file);
	if (!s.decision)
		return 0;
	return act_on_file(&ruling, s.decision, s.operation, file, s.flags);
}
