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

/* The state after the first bytes of a name, or all of it; `bytes` says how many can be read, PIECE_BYTES at most. */
static always_inline u64 step_bytes(struct arena *arena, u64 state, u64 address, u64 left, u32 bytes)
{
	u8 name[PIECE_BYTES];

	if (read_kernel(name, bytes, address)) {
		count(STATISTIC_NAME_UNREADABLE);
		return STATE_UNKNOWN;
	}
	STEP_SIXTEEN(0)
	STEP_SIXTEEN(16)
	return state;
}

/* What is left of a long name. */
struct rest {
	u64 address;
	u64 left;
	u64 state;
};

/*
 * bpf_loop callback: one piece of it. Old verifiers look at the first call only, so that a check that this one passes
 * would be left out of all others: hence the copies.
 */
FUNCTION(step_piece)(u64 i, struct rest *r)
{
	u64 state = copied(r->state), left = copied(r->left);
	u32 bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
	struct arena *arena = MAP_VALUE(arena);

	asm volatile("" : "+r"(bytes));
	if (state >= ARENA_LIMIT || !bytes || bytes > PIECE_BYTES)
		return 1;
	r->state = step_bytes(arena, state, r->address, left, bytes);
	r->address += PIECE_BYTES;
	r->left = left - bytes;
	return 0;
}

/*
 * The state after '/' and the name. A global function: verified once, whatever calls it. The name is read in pieces,
 * because stacks are small; a short name lies inside the dentry and a longer one fills the first piece, so that piece
 * is read whole. The others are a callback's, so that the verifier looks at one and not at each.
 */
FUNCTION(step)(struct element *e)
{
	struct arena *arena;
	struct rest r;
	u64 state;

	if (!e)
		return STATE_UNKNOWN;
	state = e->state;
	if (is_sink(state))
		return state;
	arena = MAP_VALUE(arena);
	if (state >= ARENA_LIMIT || e->bytes > NAME_BYTES)
		return STATE_UNKNOWN;
	STEP_BYTE('/');
	r.state = step_bytes(arena, state, e->name, e->bytes, PIECE_BYTES);
	if (e->bytes <= PIECE_BYTES)
		return r.state;
	r.address = e->name + PIECE_BYTES;
	r.left = e->bytes - PIECE_BYTES;
	loop(NAME_BYTES / PIECE_BYTES, CALLBACK(LINKED_STEP_PIECE), &r, 0);
	return r.state;
}
#define STEP(e) ((u32)((u64 (*)(struct element *))LINKED_STEP)(e))

/* What a state answers: an index into `outcomes`. */
static always_inline u64 outcome_of(u64 state)
{
	struct arena *arena;

	if (is_sink(state))
		return state & ~STATE_SINK;
	arena = MAP_VALUE(arena);
	asm volatile("" : "+r"(state));
	if (state >= ARENA_LIMIT)
		return ~STATE_SINK;
	return ((struct arena_slot *)((char *)arena + state))->check & ~STATE_SINK;
}

#endif
