/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The path automaton: from a state and the name of one path element to the next state. abi.h has the layout.
 *
 * Indices are 64 bits wide: given 32, LLVM 14 checks one copy of the register and uses another, and the verifier
 * refuses it.
 */
#ifndef BULKHEAD_AUTOMATON_H
#define BULKHEAD_AUTOMATON_H

#include "kernel.h"

#define ARENA_LIMIT ((ARENA_SLOTS - ARENA_TAIL) * 8ull)
#define PIECE_BYTES 32

static always_inline int is_sink(u64 state)
{
	return (int)state < 0;
}

/* One element of a path; `name` is a kernel address. The argument of a global function, so scalars only. */
struct element {
	u64 name;
	u32 bytes;
	u32 state;
};
_Static_assert(sizeof(struct element) == ELEMENT_BYTES, "ELEMENT_BYTES");

#define STEP_BYTE(byte)                                                                                                \
	do {                                                                                                           \
		u64 offset_ = (u64)(byte) << 3;                                                                        \
		struct arena_slot *slot_;                                                                              \
		offset_ += state;                                                                                      \
		slot_ = (void *)((char *)arena + offset_);                                                             \
		if (slot_->check != state)                                                                             \
			slot_ = (void *)((char *)arena + state);                                                       \
		state = slot_->next;                                                                                   \
	} while (0)

#define STEP_ONE(i)                                                                                                    \
	if (left == (i) || state >= ARENA_LIMIT)                                                                       \
		return state;                                                                                          \
	STEP_BYTE(name[i]);
#define STEP_FOUR(i) STEP_ONE(i) STEP_ONE((i) + 1) STEP_ONE((i) + 2) STEP_ONE((i) + 3)
#define STEP_SIXTEEN(i) STEP_FOUR(i) STEP_FOUR((i) + 4) STEP_FOUR((i) + 8) STEP_FOUR((i) + 12)

/*
 * The state after '/' and the name. A global function: verified once, whatever calls it. The name is read in pieces,
 * because stacks are small; a short name lies inside the dentry and a longer one fills the first piece, so that piece
 * is read whole.
 */
FUNCTION(step)(struct element *e)
{
	struct arena *arena;
	u8 name[PIECE_BYTES];
	u64 state, left, address;
	u32 zero = 0, piece = PIECE_BYTES;

	if (!e)
		return STATE_UNKNOWN;
	state = e->state;
	left = e->bytes;
	address = e->name;
	if (is_sink(state))
		return state;
	arena = map_lookup(MAP(arena), &zero);
	if (!arena || state >= ARENA_LIMIT || left > NAME_BYTES)
		return STATE_UNKNOWN;
	STEP_BYTE('/');
	for (u32 i = 0; i <= NAME_BYTES / PIECE_BYTES; i++) {
		if (read_kernel(name, piece, address)) {
			count(STATISTIC_NAME_UNREADABLE);
			return STATE_UNKNOWN;
		}
		STEP_SIXTEEN(0)
		STEP_SIXTEEN(16)
		left -= PIECE_BYTES;
		address += PIECE_BYTES;
		piece = left < PIECE_BYTES ? left : PIECE_BYTES;
		asm volatile("" : "+r"(piece));
		if (!piece || piece > PIECE_BYTES)
			break;
	}
	return state;
}
#define STEP(e) ((u32)((u64 (*)(struct element *))LINKED_STEP)(e))

/* What a state answers: an index into `outcomes`. */
static always_inline u64 outcome_of(u64 state)
{
	struct arena *arena;
	u32 zero = 0;

	if (is_sink(state))
		return state & ~STATE_SINK;
	arena = map_lookup(MAP(arena), &zero);
	asm volatile("" : "+r"(state));
	if (!arena || state >= ARENA_LIMIT)
		return ~STATE_SINK;
	return ((struct arena_slot *)((char *)arena + state))->check & ~STATE_SINK;
}

#endif
