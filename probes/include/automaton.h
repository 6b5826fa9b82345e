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

/* The state after the first bytes of a name, PIECE_BYTES of them at most. */
static always_inline u64 step_bytes(struct arena *arena, u64 state, u64 address, u64 left)
{
	u8 name[PIECE_BYTES];

	if (read_kernel(name, left, address)) {
		count(STATISTIC_NAME_UNREADABLE);
		return STATE_UNKNOWN;
	}
	STEP_SIXTEEN(0)
	STEP_SIXTEEN(16)
	return state;
}

/* What is left of a name. The argument of a global function, too. */
struct rest {
	u64 address;
	u64 left;
	u64 state;
};
_Static_assert(sizeof(struct rest) == REST_BYTES, "REST_BYTES");

/* Step over a piece of a name; whether that was all. Names are read in pieces, because stacks are small. */
FUNCTION(step_piece)(struct rest *r)
{
	struct arena *arena = MAP_VALUE(arena);
	u64 state, left, bytes;

	if (!r)
		return 1;
	state = r->state;
	left = r->left;
	bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
	asm volatile("" : "+r"(bytes)); /* keeps it in the register whose bounds are checked */
	if (state >= ARENA_LIMIT || !bytes || bytes > PIECE_BYTES)
		return 1;
	r->state = step_bytes(arena, state, r->address, bytes);
	r->address += PIECE_BYTES;
	r->left = left - bytes;
	return left == bytes;
}
#define STEP_PIECE(r) ((u64 (*)(struct rest *))LINKED_STEP_PIECE)(r)

/* The state after '/' and the name. Global functions, like the one above, are verified once, whatever calls them. */
FUNCTION(step)(struct element *e)
{
	struct arena *arena;
	struct rest r;
	u64 state;
	int piece;

	if (!e)
		return STATE_UNKNOWN;
	state = e->state;
	if (is_sink(state))
		return state;
	arena = MAP_VALUE(arena);
	if (state >= ARENA_LIMIT || e->bytes > NAME_BYTES)
		return STATE_UNKNOWN;
	STEP_BYTE('/');
	r.address = e->name;
	r.left = e->bytes;
	r.state = state;
#pragma unroll
	for (piece = 0; piece <= NAME_BYTES / PIECE_BYTES; piece++)
		if (STEP_PIECE(&r))
			break;
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
