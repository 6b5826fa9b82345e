// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook           enforces                                                                    fails
 * mmap_file      exec: mapping a file executable is executing it; files: Map                  closed: an unresolved path is
 * file_mprotect  the same, where a mapping that was not executable becomes so                 judged by the strictest rule
 *
 * A program's own file was judged by bprm_check_security. A library of the image is judged by rules alone where a
 * program maps it that was started with a loader: an allow-list need not list libraries. A program without one (static,
 * or the loader itself, started with a program as its argument) may map what is listed. Memory of no file is not judged.
 *
 * Where rules have `by`, a program that maps code which is not the image's is not itself any more: a library is named by
 * whoever chose its environment. Loaders map private; what is mapped shared (as compilers do) is the program's own deed.
 * Such a library needs no code, for its data say what the loader calls: so it is seen also by the flag with which loaders
 * map the whole of it first.
 *
 * From 6.7 on, file_mprotect sees an overlay's file as the one below: its path is not known then.
 */
#include "include/judge.h"
#include "include/provenance.h"
#include "include/syscall.h"

#define S_IFREG 0100000u
#define PROT_READ 1u
#define PROT_EXEC 4u
#define READ_IMPLIES_EXEC 0x0400000u /* of personality(2) */
#define VM_EXEC 4u
#define VM_MAYSHARE 0x80u
#define MAP_TYPE 0x0fu
#define MAP_PRIVATE 2u
#define MAP_DENYWRITE 0x0800u /* means nothing to the kernel; glibc's loader says it, and nothing else does */
#define AT_BASE 7u
#define AUXV_WORDS 32u /* of 64 bits: AT_BASE is among the first ten pairs */

/* How the kernel started the program that owns the memory. */
enum start {
	START_UNFINISHED, /* it is about to: what is mapped is the loader */
	START_WITH_LOADER,
	START_BARE,
};

/*
 * From the vector that the kernel leaves in each program's memory: AT_BASE is the loader's address, 0 where there is
 * none. Programs of 32 bits have entries of half the size: the second half of their first entry is a value, that of
 * others the upper half of a type. A process can put a vector of its own there (PR_SET_MM_MAP), and have no more than
 * what each program with a loader may.
 */
static always_inline u32 start_of(struct mm_struct *mm)
{
	u64 *vector = (u64 *)FIELD_ADDRESS(mm, saved_auxv);
	u64 first = vector[0];

	if (is_executing())
		return START_UNFINISHED;
#pragma unroll
	for (u32 i = 0; i < AUXV_WORDS; i++) {
		u64 type = vector[i];

		if (first >> 32 && (u32)type == AT_BASE)
			return type >> 32 ? START_WITH_LOADER : START_BARE;
		if (!(first >> 32) && !(i & 1) && type == AT_BASE)
			return vector[i + 1] ? START_WITH_LOADER : START_BARE;
	}
	return START_BARE;
}

static always_inline void taint(struct task_struct *leader)
{
	struct process_memory *memory = task_storage(MAP(processes), leader, 0, STORAGE_CREATE);

	if (memory)
		memory->tainted |= TAINTED_CODE;
	else
		count(STATISTIC_MEMORY_FAILED);
}

/* A loader maps a library that no part of is executable, as yet. */
static always_inline int notice_library(struct file *file)
{
	struct task_struct *leader = FIELD(current_task_struct(), group_leader);
	struct ruling ruling;
	struct policy_set *set;

	if (!find_ruling(&ruling))
		return 0;
	set = set_of(&ruling);
	if (set && set->flags & SET_HAS_SUBJECTS && !is_of_image(&ruling, FIELD(file, f_inode)))
		taint(leader);
	return 0;
}

/* The stricter of what exec and files say about the mapping. */
static always_inline int decide_mapping(struct file *file, struct mm_struct *mm, int is_private)
{
	struct task_struct *leader = FIELD(current_task_struct(), group_leader);
	struct inode *inode = FIELD(file, f_inode);
	struct ruling ruling;
	struct policy_set *set = find_set_with(&ruling, SET_HAS_PATHS | SET_HAS_SUBJECTS);
	u64 state, decision, map = 0;
	u32 start, question, flags = 0, operation = OPERATION_EXEC;

	FOLLOWED(leader);
	if (!set || (FIELD(inode, i_mode) & S_IFMT) != S_IFREG)
		return 0;
	state = state_of_code(file, ruling.epoch);
	if (state == STATE_SILENT && !(set->flags & SET_HAS_SUBJECTS))
		return 0;
	start = start_of(mm);
	question = question_of_exec(&ruling, set, state, inode);
	if (is_private && question != OPERATION_EXEC && set->flags & SET_HAS_SUBJECTS)
		taint(leader);
	if (question == OPERATION_EXEC && start != START_BARE)
		question = QUESTION_LIBRARY;
	decision = decision_in(state, set, question, &flags);
	if (start != START_UNFINISHED)
		map = decision_in(state, set, OPERATION_MAP, &flags);
	if (verdict_of(map) > verdict_of(decision) || !decision) {
		decision = map;
		operation = OPERATION_MAP;
	}
	if (!decision)
		return 0;
	return act_on_file(&ruling, decision, operation, file, flags);
}

/* Whether a mapping becomes executable: also one that a program asks for whose memory that can be read can be executed. */
static always_inline int asks_to_execute(u64 protection)
{
	if (!HAVE_BPF_LSM && protection & PROT_READ && FIELD(current_task_struct(), personality) & READ_IMPLIES_EXEC)
		return 1;
	return protection & PROT_EXEC ? 1 : 0;
}

PROGRAM(mmap_file)(u64 *ctx)
{
	struct file *file = (void *)ctx[0];
	u64 flags = ctx[MMAP_FLAGS];
	struct mm_struct *mm;

	if (!file)
		return 0;
	if (!asks_to_execute(ctx[MMAP_PROTECTION]))
		return flags & MAP_DENYWRITE ? notice_library(file) : 0;
	mm = FIELD(current_task_struct(), mm);
	if (!mm || (FIELD(mm, exe_file) == file && is_executing())) /* later it may be what PR_SET_MM_EXE_FILE says */
		return 0;
	return decide_mapping(file, mm, (flags & MAP_TYPE) == MAP_PRIVATE);
}

PROGRAM(file_mprotect)(u64 *ctx)
{
	struct vm_area_struct *area = (void *)ctx[0];
	u64 protection = ctx[2];
	struct mm_struct *mm;
	struct file *file;

	if (!(protection & PROT_EXEC) || FIELD(area, vm_flags) & VM_EXEC)
		return 0;
	file = FIELD(area, vm_file);
	mm = FIELD(area, vm_mm);
	if (!file || !mm)
		return 0;
	return decide_mapping(file, mm, !(FIELD(area, vm_flags) & VM_MAYSHARE));
}
