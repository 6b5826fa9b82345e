// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * interrupt PERMITTED FORBIDDEN TRIES
 * One process opens a permitted file without a pause. Another takes the processor from it again and again, wherever it
 * is at that moment, and tries a forbidden one. Prints two numbers: tries, and how many of them succeeded.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "may_open.h"

#define LEAST_NS 20000
#define SPREAD_NS 100000

static void stay_on_one_processor(void)
{
	cpu_set_t only;
	CPU_ZERO(&only);
	CPU_SET(0, &only);
	if (sched_setaffinity(0, sizeof(only), &only)) {
		perror("sched_setaffinity");
		exit(1);
	}
}

static unsigned long interrupt(const char *path, unsigned long tries)
{
	struct sched_param first = { .sched_priority = 50 };
	unsigned long succeeded = 0;

	if (sched_setscheduler(0, SCHED_FIFO, &first)) {
		perror("sched_setscheduler");
		exit(1);
	}
	while (tries--) {
		struct timespec pause = { .tv_nsec = LEAST_NS + random() % SPREAD_NS };
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		succeeded += may_open(path);
	}
	return succeeded;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	stay_on_one_processor();
	pid_t interrupted = fork();
	if (interrupted == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			may_open(argv[1]);
	}
	unsigned long tries = strtoul(argv[3], NULL, 10);
	printf("%lu %lu\n", tries, interrupt(argv[2], tries));
	kill(interrupted, SIGKILL);
	return wait(NULL) != interrupted;
}
