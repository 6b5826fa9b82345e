/*
 * One act by an unusual system call, or an unusual use of one: `unusual ACT PATH [OTHER]`. Exit status 0 where it worked;
 * else its error as text.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perform.h"

#define KERNEL_OPENS_FOR_EXECUTING 0x20 /* a flag of the kernel's own, FMODE_EXEC, which most system calls filter out */
#define EXT4_IOC_SETVERSION _IOW('f', 4, long)
#define SYS_FCHMODAT2 452
#define SYS_SETXATTRAT 463
#define SYS_REMOVEXATTRAT 466
#define PAGE 4096

static const char *path = "", *other = "";

static const char *name_of(const char *file)
{
	return strrchr(file, '/') + 1;
}

static int directory_of(const char *file)
{
	char *directory = strdup(file);

	*strrchr(directory, '/') = 0;
	return open(directory, O_PATH);
}

static int resolved(unsigned long long how_to)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = how_to };

	return syscall(SYS_openat2, directory_of(path), name_of(path), &how, sizeof(how));
}

static int do_beneath(void)
{
	return resolved(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}
static int do_in_root(void)
{
	return resolved(RESOLVE_IN_ROOT | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
}
static int do_cached(void)
{
	close(open(path, O_PATH));
	return resolved(RESOLVE_CACHED);
}
static int do_neither(void)
{
	return open(path, O_ACCMODE);
} /* for ioctl alone */
static int do_append(void)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
}
static int do_exclusive(void)
{
	return open(path, O_RDONLY | O_CREAT | O_EXCL, 0600);
}
static int do_chmod_at(void)
{
	return syscall(SYS_FCHMODAT2, open(path, O_PATH), "", 0640, AT_EMPTY_PATH);
}
static int do_chown_at(void)
{
	return fchownat(open(path, O_PATH), "", 1, 1, AT_EMPTY_PATH);
}
static int do_times_at(void)
{
	return utimensat(open(path, O_PATH), "", 0, AT_EMPTY_PATH);
}
static int do_link_at(void)
{
	return linkat(open(path, O_PATH), "", AT_FDCWD, other, AT_EMPTY_PATH);
}
static int do_noreplace(void)
{
	return renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_NOREPLACE);
}
static int do_whiteout(void)
{
	return renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_WHITEOUT);
}
static int do_account(void)
{
	int result = acct(path);
	acct(0);
	return result;
}

static int do_setxattr_at(void)
{
	struct {
		unsigned long long value;
		unsigned size, flags;
	} given = { (unsigned long)"x", 1, 0 };

	return syscall(SYS_SETXATTRAT, directory_of(path), name_of(path), 0, "trusted.x", &given, sizeof(given));
}

static int do_removexattr_at(void)
{
	return syscall(SYS_REMOVEXATTRAT, directory_of(path), name_of(path), 0, "trusted.y");
}

/* A file without a name, which gets one. */
static int do_link_nameless(void)
{
	char file[64];
	int made = open(path, O_TMPFILE | O_RDWR, 0600);

	if (made < 0)
		return -1;
	snprintf(file, sizeof(file), "/proc/self/fd/%d", made);
	return linkat(AT_FDCWD, file, AT_FDCWD, other, AT_SYMLINK_FOLLOW);
}

static int do_version(void)
{
	long version = 7;

	return ioctl(open(path, O_RDONLY), EXT4_IOC_SETVERSION, &version);
}

static int do_queue(void)
{
	return mq_open(name_of(path) - 1, O_RDONLY);
}
static int do_queue_for_executing(void)
{
	return syscall(SYS_mq_open, name_of(path), O_RDWR | KERNEL_OPENS_FOR_EXECUTING, 0, 0);
}
static int do_queue_create(void)
{
	return mq_open(name_of(path) - 1, O_RDWR | O_CREAT, 0600, 0);
}
static int do_queue_unlink(void)
{
	return mq_unlink(name_of(path) - 1);
}

/* The descriptor that comes with an event about the file, which somebody else opens. */
static int do_watch(void)
{
	struct fanotify_event_metadata event;
	int group = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY);

	if (group < 0 || fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, path))
		return -1;
	printf("watching\n");
	fflush(stdout);
	if (read(group, &event, sizeof(event)) < 0)
		return -1;
	return event.fd;
}

/* Ends in a core dump in the directory. */
static int do_dump(void)
{
	if (chdir(path))
		return -1;
	if (!fork())
		abort();
	wait(0);
	return access("core", F_OK);
}

static void *map(int file)
{
	return mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
}
static int mapped(void *at)
{
	return at == MAP_FAILED ? -1 : 0;
}
static int do_map(void)
{
	return mapped(map(open(path, O_RDONLY)));
}

static int do_protect_with_key(void)
{
	void *at = mmap(0, PAGE, PROT_READ, MAP_PRIVATE, open(path, O_RDONLY), 0);

	return syscall(SYS_pkey_mprotect, at, PAGE, PROT_READ | PROT_EXEC, -1);
}

/* After saying that exec is not done yet, by a vector of zeros. */
static int do_map_as_if_starting(void)
{
	static unsigned long zeros[8];
	char line[4096];
	unsigned long long field[52] = {};
	FILE *stat = fopen("/proc/self/stat", "r");
	char *at;
	struct prctl_mm_map all = { .auxv = (void *)zeros, .auxv_size = sizeof(zeros), .exe_fd = -1 };

	if (!fgets(line, sizeof(line), stat))
		return -1;
	at = strrchr(line, ')') + 2;
	for (int i = 3; i < 52 && (at = i == 3 ? strtok(at, " ") : strtok(0, " ")); i++)
		field[i] = strtoull(at, 0, 10);
	all.start_code = field[26], all.end_code = field[27], all.start_stack = field[28];
	all.start_data = field[45], all.end_data = field[46], all.start_brk = field[47],
	all.brk = (unsigned long)sbrk(0);
	all.arg_start = field[48], all.arg_end = field[49], all.env_start = field[50], all.env_end = field[51];
	return prctl(PR_SET_MM, PR_SET_MM_MAP, &all, sizeof(all), 0) ? -1 : do_map();
}

static int do_shared_memory(void)
{
	int made = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0700);
	void *at = shmat(made, 0, SHM_EXEC);
	int error = errno;

	shmctl(made, IPC_RMID, 0);
	errno = error;
	return mapped(at);
}

static int do_memory_file(void)
{
	int made = memfd_create("x", 0);

	return ftruncate(made, PAGE) ?: mapped(map(made));
}

static const struct act acts[] = {
	{ "beneath", do_beneath },
	{ "in_root", do_in_root },
	{ "cached", do_cached },
	{ "neither", do_neither },
	{ "append", do_append },
	{ "exclusive", do_exclusive },
	{ "chmod_at", do_chmod_at },
	{ "chown_at", do_chown_at },
	{ "times_at", do_times_at },
	{ "link_at", do_link_at },
	{ "noreplace", do_noreplace },
	{ "whiteout", do_whiteout },
	{ "account", do_account },
	{ "setxattr_at", do_setxattr_at },
	{ "removexattr_at", do_removexattr_at },
	{ "link_nameless", do_link_nameless },
	{ "version", do_version },
	{ "queue", do_queue },
	{ "queue_for_executing", do_queue_for_executing },
	{ "queue_create", do_queue_create },
	{ "queue_unlink", do_queue_unlink },
	{ "watch", do_watch },
	{ "dump", do_dump },
	{ "map", do_map },
	{ "protect_with_key", do_protect_with_key },
	{ "map_as_if_starting", do_map_as_if_starting },
	{ "shared_memory", do_shared_memory },
	{ "memory_file", do_memory_file },
};

int main(int argc, char **argv)
{
	path = argc > 2 ? argv[2] : "";
	other = argc > 3 ? argv[3] : "";
	return perform(acts, sizeof(acts) / sizeof(*acts), argc > 1 ? argv[1] : "");
}
