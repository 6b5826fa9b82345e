/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What inodes remember: directories the state after their path, files and directories the outcome.
 *
 * A word is true for one epoch, so a new policy forgets everything by being another epoch. It is also true for one
 * value of `moves` only, which counts the directories that somebody moved who is not judged by the same set: what lies
 * below such a directory cannot be found to be told, so everything is forgotten.
 */
#ifndef BULKHEAD_MEMORY_H
#define BULKHEAD_MEMORY_H

#include "ruling.h"
#include "storage.h"

static always_inline u64 moves_now(void)
{
	return *(volatile u64 *)MAP_VALUE(moves);
}

static always_inline void forget_everything(void)
{
	__sync_fetch_and_add((u64 *)MAP_VALUE(moves), 1);
}

static always_inline struct inode_memory *new_memory_of(struct inode *inode)
{
	struct inode_memory *memory = new_memory(inode);

	if (!memory)
		count(STATISTIC_MEMORY_FAILED);
	return memory;
}

/* The word of an epoch, or 0: no epoch is 0. */
static always_inline u64 recall(struct inode_memory *memory, const u64 *words, u64 epoch, u64 moves)
{
	u64 word = words[0];

	if (memory->moves != moves)
		return 0;
	if (word >> 32 == epoch)
		return word;
	word = words[1];
	return word >> 32 == epoch ? word : 0;
}

static always_inline void forget(struct inode_memory *memory)
{
	memory->directories[0] = memory->directories[1] = 0;
	memory->verdicts[0] = memory->verdicts[1] = 0;
}

/* Remember a word that was worked out when `moves` had the given value. */
static always_inline void note(struct inode_memory *memory, u64 *words, u64 word, u64 moves)
{
	u64 before;

	if (memory->moves != moves) {
		forget(memory);
		memory->moves = moves;
	}
	before = words[0];
	if (before >> 32 != word >> 32)
		words[1] = before;
	words[0] = word;
	if (*(volatile u64 *)&memory->moves != moves) /* somebody else began anew meanwhile: the word is older */
		forget(memory);
}

#endif
