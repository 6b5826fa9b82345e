/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a file can be opened for reading. Refused is EPERM; whatever else goes wrong ends the program. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int may_open(const char *path)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0) {
		if (errno != EPERM) {
			perror(path);
			exit(1);
		}
		return 0;
	}
	close(descriptor);
	return 1;
}
