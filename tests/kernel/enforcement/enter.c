/* enter FOLDER PROGRAM ARGUMENTS...: goes into a cgroup and executes a program there, as a shell would, but sooner. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NOT_ENTERED = 99, NOT_EXECUTED = 126, NOT_FOUND = 127 };

int main(int argc, char **argv)
{
	int folder, processes;

	if (argc < 3)
		return NOT_ENTERED;
	folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	processes = openat(folder, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (processes < 0 || write(processes, "0", 1) != 1)
		return NOT_ENTERED;
	close(processes);
	close(folder);
	execvp(argv[2], argv + 2);
	fprintf(stderr, "%s: %s\n", argv[2], strerror(errno));
	return errno == ENOENT ? NOT_FOUND : NOT_EXECUTED;
}
