// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Opens a permitted and a forbidden file again and again, one process on each processor, until a third file appears.
 * Prints two numbers: tries, and wrong verdicts among them.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "may_open.h"

#define PROCESSORS 2

struct counts {
	unsigned long tries, wrong;
};

static void hammer(int processor, char **paths, struct counts *counts)
{
	cpu_set_t only;
	CPU_ZERO(&only);
	CPU_SET(processor, &only);
	sched_setaffinity(0, sizeof(only), &only); /* fails where there is one processor */
	while (access(paths[2], F_OK)) {
		counts->wrong += !may_open(paths[0]) + may_open(paths[1]);
		counts->tries += 2;
	}
}

int main(int argc, char **argv)
{
	struct counts *counts =
		mmap(NULL, sizeof(*counts) * PROCESSORS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (argc != 4 || counts == MAP_FAILED)
		return 2;
	for (int processor = 0; processor < PROCESSORS; processor++) {
		if (fork() == 0) {
			hammer(processor, argv + 1, &counts[processor]);
			return 0;
		}
	}
	int status = 0, failed = 0;
	while (wait(&status) > 0)
		failed |= status;
	for (int processor = 0; processor < PROCESSORS; processor++)
		printf("%lu %lu\n", counts[processor].tries, counts[processor].wrong);
	return failed != 0;
}
