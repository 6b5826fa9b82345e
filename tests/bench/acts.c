/*
 * Does one act many times, in a cgroup and perhaps under an AppArmor profile, and prints the least nanoseconds an act of
 * several rounds. In a virtual machine whose clock counts instructions a nanosecond is an instruction. A round should be
 * shorter than the 4,000,000 instructions between two ticks of the kernel's clock: then there are rounds without one.
 *
 * acts CGROUP PROFILE ACT COUNT ROUNDS [PATH]      PROFILE "-": none
 *
 * ACT: open     open and close PATH
 *      each     open and close PATH/00000000, PATH/00000001, ...: a file of its own each time
 *      long     the same with names of 32 bytes
 *      deep     the same for PATH/00000000/a/b/c/d/e/g/h/i/j/f, ...: ten directories of its own each time
 *      refused  open PATH/00000000, ..., each of which fails
 *      create   create PATH.new, close and unlink it
 *      rename   PATH.old to PATH.moved and, the next time, back
 *      chmod    of PATH, to another mode each time
 *      pread    read one byte of PATH, which is open
 *      pwrite   write one byte to it
 *      capable  sethostname(2) with a length that is refused after the capability was checked
 *      fork     a child by vfork(2) that exits, and is waited for
 *      exec     the same, but it executes this program, which exits
 *      connect  connect by TCP on loopback, accept, close
 *      stdin    open each path that is read from stdin, one a line (COUNT, ROUNDS ignored, nothing printed)
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *path, *self;
static char new_path[512], old_path[512], moved_path[512];
static int opened, listener;
static struct sockaddr_in address = { .sin_family = AF_INET };

static void check(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static void write_text(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), file);
	close(fd);
}

static void open_close(const char *name)
{
	int fd = open(name, O_RDONLY);

	check(fd >= 0, name);
	close(fd);
}

static void act_open(unsigned i)
{
	(void)i;
	open_close(path);
}

static const char *numbered(unsigned i, const char *rest)
{
	static char name[512];

	snprintf(name, sizeof(name), "%s/%08u%s", path, i, rest);
	return name;
}

static void act_each(unsigned i)
{
	open_close(numbered(i, ""));
}

static void act_long(unsigned i)
{
	open_close(numbered(i, "-is-a-name-of-32-bytes.x"));
}

static void act_deep(unsigned i)
{
	open_close(numbered(i, "/a/b/c/d/e/g/h/i/j/f"));
}

static void act_refused(unsigned i)
{
	check(open(numbered(i, ""), O_RDONLY) < 0, "an open that should fail");
}

static void act_create(unsigned i)
{
	int fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	(void)i;
	check(fd >= 0, new_path);
	close(fd);
	check(unlink(new_path) == 0, new_path);
}

static void act_rename(unsigned i)
{
	check(rename(i & 1 ? moved_path : old_path, i & 1 ? old_path : moved_path) == 0, old_path);
}

static void act_chmod(unsigned i)
{
	check(chmod(path, i & 1 ? 0644 : 0600) == 0, path);
}

static void act_pread(unsigned i)
{
	char byte;

	(void)i;
	check(pread(opened, &byte, 1, 0) == 1, path);
}

static void act_pwrite(unsigned i)
{
	(void)i;
	check(pwrite(opened, "t", 1, 0) == 1, path);
}

static void act_capable(unsigned i)
{
	(void)i;
	check(syscall(SYS_sethostname, "", -1) < 0, "sethostname");
}

static void wait_for(pid_t child)
{
	int status;

	check(child > 0 && waitpid(child, &status, 0) == child && status == 0, self);
}

static void act_fork(unsigned i)
{
	pid_t child = vfork();

	(void)i;
	if (!child)
		_exit(0);
	wait_for(child);
}

static void act_exec(unsigned i)
{
	pid_t child = vfork();

	(void)i;
	if (!child) {
		execl(self, self, (char *)NULL);
		_exit(2);
	}
	wait_for(child);
}

static void act_connect(unsigned i)
{
	struct linger at_once = { 1, 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int other;

	(void)i;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)); /* no TIME_WAIT: ports do not run out */
	check(connect(fd, (void *)&address, sizeof(address)) == 0, "connect");
	other = accept(listener, NULL, NULL);
	check(other >= 0, "accept");
	close(fd);
	close(other);
}

static void listen_on_loopback(void)
{
	socklen_t bytes = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	check(bind(listener, (void *)&address, bytes) == 0 && listen(listener, 16) == 0, "listen");
	check(getsockname(listener, (void *)&address, &bytes) == 0, "getsockname");
}

static void open_what_is_asked(void)
{
	char name[4096];

	while (fgets(name, sizeof(name), stdin)) {
		name[strcspn(name, "\n")] = 0;
		close(open(name, O_RDONLY));
	}
}

static const struct {
	const char *name;
	void (*act)(unsigned i);
} acts[] = {
	{ "open", act_open },       { "each", act_each },     { "long", act_long },       { "deep", act_deep },
	{ "refused", act_refused }, { "create", act_create }, { "rename", act_rename },   { "chmod", act_chmod },
	{ "pread", act_pread },     { "pwrite", act_pwrite }, { "capable", act_capable }, { "connect", act_connect },
	{ "fork", act_fork },       { "exec", act_exec },
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* How many free pages the kernel has at hand decides about thousands of instructions of an exec: leave it others. */
static void change_free_pages(unsigned pages)
{
	size_t bytes = (pages + 1) * (size_t)sysconf(_SC_PAGESIZE);
	void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	check(room != MAP_FAILED && munmap(room, bytes) == 0, "mmap");
}

static void measure(void (*act)(unsigned i), unsigned count, unsigned rounds)
{
	uint64_t least = UINT64_MAX;
	unsigned number = 0; /* goes on from round to round: each can have files of its own */

	while (rounds--) {
		uint64_t began, took;

		change_free_pages(rounds % 256);
		began = now_ns();
		for (unsigned i = 0; i < count; i++)
			act(number++);
		took = now_ns() - began;
		if (took < least)
			least = took;
	}
	printf("%.1f\n", (double)least / count);
}

int main(int argc, char **argv)
{
	char procs[512], command[256];

	if (argc == 1) /* a child of the act exec */
		return 0;
	check(argc >= 6, "arguments");
	self = argv[0];
	path = argc > 6 ? argv[6] : "";
	listen_on_loopback();
	opened = *path ? open(path, O_RDWR) : -1; /* a directory is not: no act needs that */
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	snprintf(old_path, sizeof(old_path), "%s.old", path);
	snprintf(moved_path, sizeof(moved_path), "%s.moved", path);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", argv[1]);
	write_text(procs, "0");
	if (strcmp(argv[2], "-")) {
		snprintf(command, sizeof(command), "changeprofile %s", argv[2]);
		write_text("/proc/self/attr/apparmor/current", command);
	}
	if (!strcmp(argv[3], "stdin"))
		open_what_is_asked();
	for (unsigned i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		if (!strcmp(argv[3], acts[i].name))
			measure(acts[i].act, atoi(argv[4]), atoi(argv[5]));
	return 0;
}
