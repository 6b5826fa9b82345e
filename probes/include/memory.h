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

#define HASH_FACTOR 0x9e3779b97f4a7c15ull
#define SEEN_SHIFT 49u /* leaves an index into `seen` */
_Static_assert(SEEN_SLOTS == 1ull << (64 - SEEN_SHIFT), "SEEN_SLOTS");

#define TORN (0xffffffffull << 32) /* a word of no epoch */

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

/*
 * Whether what remembers nothing was asked about before. Much is opened or passed once only, and the kernel's room for a
 * memory costs more than the whole decision; so a file or directory gets it the second time.
 */
static always_inline int seen_before(struct inode *inode)
{
	u64 name = (u64)FIELD(inode, i_generation) << 32 ^ FIELD(inode, i_ino); /* of many that get one place in turn */
	u64 hash = (address_of(inode) ^ name) * HASH_FACTOR;
	u32 *tag = (u32 *)MAP_VALUE(seen) + (hash >> SEEN_SHIFT);

	if (*tag == (u32)hash)
		return 1;
	*tag = (u32)hash;
	return 0;
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

/*
 * Forget what was noted while it changed. What lies below a directory may remember more than is written on it then:
 * whoever moves it next is to know (relocate.bpf.c).
 */
static always_inline void tear(struct inode_memory *memory)
{
	forget(memory);
	memory->directories[0] = TORN;
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
		tear(memory);
}

#endif
