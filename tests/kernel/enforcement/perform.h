/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One of a program's acts, by its name: exit status 0 where it worked, 1 and its error as text where not. */
#include <stdio.h>
#include <string.h>

struct act {
	const char *name;
	int (*act)(void);
};

static int perform(const struct act *acts, unsigned count, const char *name)
{
	for (unsigned n = 0; n < count; n++) {
		if (strcmp(acts[n].name, name))
			continue;
		if (acts[n].act() >= 0)
			return 0;
		perror(name);
		return 1;
	}
	fprintf(stderr, "no such act\n");
	return 2;
}
