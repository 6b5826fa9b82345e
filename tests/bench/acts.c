/*
 * Does one act many times, in a cgroup and perhaps under an AppArmor profile, and prints the least nanoseconds an act of
 * several rounds. In a virtual machine whose clock counts instructions a nanosecond is an instruction.
 *
 * acts CGROUP PROFILE ACT COUNT ROUNDS [PATH]      PROFILE "-": none
 *
 * ACT: open     open and close PATH
 *      each     open and close PATH/00000000, PATH/00000001, ...: a file of its own each time
 *      deep     the same for PATH/00000000/a/b/c/f, ...: four directories of its own each time
 *      pread    read one byte of PATH, which is open
 *      capable  sethostname(2) with a length that is refused after the capability was checked
 *      exec     a child that executes this program, and is waited for
 *      connect  connect by TCP on loopback, accept, close
 *      stdin    open each path that is read from stdin, one a line (COUNT, ROUNDS ignored, nothing printed)
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *path, *self;
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

static void act_numbered(unsigned i, const char *rest)
{
	char name[256];

	snprintf(name, sizeof(name), "%s/%08u%s", path, i, rest);
	open_close(name);
}

static void act_each(unsigned i)
{
	act_numbered(i, "");
}

static void act_deep(unsigned i)
{
	act_numbered(i, "/a/b/c/f");
}

static void act_pread(unsigned i)
{
	char byte;

	(void)i;
	check(pread(opened, &byte, 1, 0) == 1, path);
}

static void act_capable(unsigned i)
{
	(void)i;
	check(syscall(SYS_sethostname, "", -1) < 0, "sethostname");
}

static void act_exec(unsigned i)
{
	pid_t child = vfork();
	int status;

	(void)i;
	if (!child) {
		execl(self, self, (char *)NULL);
		_exit(2);
	}
	check(child > 0 && waitpid(child, &status, 0) == child && status == 0, self);
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
	{ "open", act_open },       { "each", act_each }, { "deep", act_deep },       { "pread", act_pread },
	{ "capable", act_capable }, { "exec", act_exec }, { "connect", act_connect },
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void measure(void (*act)(unsigned i), unsigned count, unsigned rounds)
{
	uint64_t least = UINT64_MAX;

	while (rounds--) {
		uint64_t began = now_ns(), took;

		for (unsigned i = 0; i < count; i++)
			act(i);
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
	opened = *path ? open(path, O_RDONLY) : -1;
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
