/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A program that acts in the ways that test_subjects.py asks about; copies of it are different programs. Says what came
 * of each act as the name of its error, or "ok".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int said(int result)
{
	dprintf(1, "%s\n", result < 0 ? strerrorname_np(errno) : "ok");
	return result < 0;
}

static int read_file(const char *path)
{
	int file = open(path, O_RDONLY);

	if (file >= 0)
		close(file);
	return said(file);
}

static void *read_in_thread(void *path)
{
	return (void *)(long)read_file(path);
}

static int in_thread(const char *path)
{
	pthread_t thread;
	void *result = 0;

	pthread_create(&thread, 0, read_in_thread, (void *)path);
	pthread_join(thread, &result);
	return result != 0;
}

static int in_child(const char *path)
{
	pid_t child = fork();
	int status = 0;

	if (!child)
		_exit(read_file(path));
	waitpid(child, &status, 0);
	return status != 0;
}

static int in_vfork(const char *path)
{
	pid_t child = vfork();
	int status = 0;

	if (!child)
		_exit(read_file(path));
	waitpid(child, &status, 0);
	return status != 0;
}

/* In a process of its own that has the same memory. */
static int read_in_clone(void *path)
{
	return read_file(path);
}

static int in_clone(const char *path)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	pid_t child = clone(read_in_clone, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, (void *)path);
	int status = 0;

	waitpid(child, &status, 0);
	return status != 0;
}

static void *execute_in_thread(void *argv)
{
	execv(((char **)argv)[0], argv);
	return NULL;
}

/* Another thread than the first executes, and is the first then. */
static int execute_by_thread(char **argv)
{
	pthread_t thread;

	pthread_create(&thread, 0, execute_in_thread, argv);
	pthread_join(thread, NULL);
	return said(-1);
}

/* Says that it executed another file. Without anybody's objection the kernel finds that the old one is still mapped. */
static int pretend(const char *path)
{
	int file = open(path, O_RDONLY);

	return said(prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, file, 0, 0));
}

static int attach(pid_t pid)
{
	return said(ptrace(PTRACE_SEIZE, pid, 0, 0));
}

static int read_memory(pid_t pid, unsigned long address)
{
	char byte = 0;
	struct iovec mine = { &byte, 1 }, theirs = { (void *)address, 1 };

	return said(process_vm_readv(pid, &mine, 1, &theirs, 1, 0));
}

static int take_descriptor(pid_t pid)
{
	return said(syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, pid, 0), 0, 0));
}

static int open_memory(pid_t pid)
{
	char path[64];
	int file;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	file = open(path, O_RDWR);
	return said(file);
}

/* A socket that is connected to a port of this machine. */
static int connected(int type, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int made = socket(AF_INET, type, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(made, (void *)&to, sizeof(to)) ? -1 : made;
}

static int talk(int made)
{
	char answer;

	if (made < 0 || send(made, "x", 1, 0) != 1 || recv(made, &answer, 1, 0) != 1)
		return said(-1);
	return said(0);
}

/* Talks, and gives the connection to another program, which talks on. */
static int hand_over(int port, const char *program)
{
	char number[16];
	int made = connected(SOCK_STREAM, port);

	talk(made);
	snprintf(number, sizeof(number), "%d", made);
	execl(program, program, "talk", number, NULL);
	return said(-1);
}

/* Talks on one connection whenever it is told to. */
static int talk_on(int port)
{
	int made = connected(SOCK_STREAM, port);
	char line[16];

	talk(made);
	while (fgets(line, sizeof(line), stdin))
		talk(made);
	return 0;
}

/* Runs a program that is traced from its first instruction. */
static int trace(char **argv)
{
	pid_t child = fork();
	int status = 0;

	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execv(argv[0], argv);
		_exit(126);
	}
	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status))
		ptrace(PTRACE_CONT, child, 0, 0);
	return status != 0;
}

/* Reads each path that it is told, line by line. */
static int serve(void)
{
	char path[4096];

	said(0);
	while (fgets(path, sizeof(path), stdin)) {
		path[strcspn(path, "\n")] = 0;
		read_file(path);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *act = argc > 1 ? argv[1] : "";
	const char *what = argc > 2 ? argv[2] : "";

	if (!strcmp(act, "read"))
		return read_file(what);
	if (!strcmp(act, "thread"))
		return in_thread(what);
	if (!strcmp(act, "fork"))
		return in_child(what);
	if (!strcmp(act, "vfork"))
		return in_vfork(what);
	if (!strcmp(act, "clone"))
		return in_clone(what);
	if (!strcmp(act, "thread-exec"))
		return execute_by_thread(argv + 2);
	if (!strcmp(act, "chown"))
		return said(chown(what, 1, 1));
	if (!strcmp(act, "namespace"))
		return said(unshare(CLONE_NEWUSER));
	if (!strcmp(act, "packets"))
		return said(socket(AF_PACKET, SOCK_RAW, 0));
	if (!strcmp(act, "pretend"))
		return pretend(what);
	if (!strcmp(act, "attach"))
		return attach(atoi(what));
	if (!strcmp(act, "memory"))
		return read_memory(atoi(what), strtoul(argv[3], 0, 0));
	if (!strcmp(act, "descriptor"))
		return take_descriptor(atoi(what));
	if (!strcmp(act, "mem"))
		return open_memory(atoi(what));
	if (!strcmp(act, "tcp"))
		return talk(connected(SOCK_STREAM, atoi(what)));
	if (!strcmp(act, "udp"))
		return talk(connected(SOCK_DGRAM, atoi(what)));
	if (!strcmp(act, "talk"))
		return talk(atoi(what));
	if (!strcmp(act, "talk-on"))
		return talk_on(atoi(what));
	if (!strcmp(act, "hand-over"))
		return hand_over(atoi(what), argv[3]);
	if (!strcmp(act, "trace"))
		return trace(argv + 2);
	if (!strcmp(act, "serve"))
		return serve();
	if (!strcmp(act, "exec"))
		execv(what, argv + 2);
	return said(-1);
}
