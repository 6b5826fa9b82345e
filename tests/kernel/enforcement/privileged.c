/*
 * One privileged act, by name: `privileged ACT [ARGUMENT]`. Exit status 0 where it worked; else its error as text.
 * Acts that cannot be finished here (a module that is none) fail with another error than EPERM where they are allowed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "perform.h"

#define OPEN_TREE_CLONING 1
#define PROCESS_KEYRING (-2)
#define JOIN_SESSION_KEYRING 1
#define MOUNT_NODEV 4

static const char *argument = "";

static int do_mount(void) { return mount("none", argument, "tmpfs", 0, ""); }
static int do_bind(void) { return mount(argument, argument, 0, MS_BIND, 0); }
static int do_remount(void) { return mount("none", argument, 0, MS_REMOUNT | MS_BIND | MS_NODEV, 0); }
static int do_umount(void) { return umount2(argument, MNT_DETACH); }
static int do_pivot_root(void) { return syscall(SYS_pivot_root, argument, argument); }
static int do_fsopen(void) { return syscall(SYS_fsopen, "tmpfs", 0); }
static int do_fspick(void) { return syscall(SYS_fspick, AT_FDCWD, argument, 0); }
static int do_open_tree(void) { return syscall(SYS_open_tree, AT_FDCWD, argument, OPEN_TREE_CLONING); }
static int do_move_mount(void) { return syscall(SYS_move_mount, AT_FDCWD, argument, AT_FDCWD, argument, 0); }

static int do_mount_setattr(void)
{
	unsigned long long attributes[4] = { MOUNT_NODEV };

	return syscall(442, AT_FDCWD, argument, 0, attributes, sizeof(attributes));
}

/* A child that waits to be killed. */
static pid_t child(void)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	return pid;
}

static int ended(pid_t pid, int result)
{
	int error = errno;

	kill(pid, SIGKILL);
	waitpid(pid, 0, 0);
	errno = error;
	return result;
}

static int do_attach(void)
{
	pid_t pid = child();

	return ended(pid, ptrace(PTRACE_ATTACH, pid, 0, 0));
}

static int do_read_memory(void)
{
	pid_t pid = child();
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)&argument, 1 };

	return ended(pid, process_vm_readv(pid, &here, 1, &there, 1, 0));
}

static int do_get_descriptor(void)
{
	pid_t pid = child();
	int process = syscall(SYS_pidfd_open, pid, 0);

	return ended(pid, syscall(438, process, 0, 0));
}

static int do_traceme(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0); }
static char nothing[4096];

static int do_init_module(void) { return syscall(SYS_init_module, nothing, sizeof(nothing), ""); }
static int do_finit_module(void) { return syscall(SYS_finit_module, open("/proc/self/exe", O_RDONLY), "", 0); }
static int do_kexec_load(void) { return syscall(SYS_kexec_load, 0, 0, 0, 0); }

static int do_bpf(void)
{
	union bpf_attr attributes = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));
}

static int do_unshare_user(void) { return unshare(CLONE_NEWUSER); }

static int do_clone_user(void)
{
	pid_t pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		_exit(0);
	return pid < 0 ? -1 : ended(pid, 0);
}

/* The clock of a processor: emulated guests do not bear events on tasks. */
static int do_perf(void)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attributes), .config = PERF_COUNT_SW_CPU_CLOCK, .disabled = 1
	};

	return syscall(SYS_perf_event_open, &attributes, -1, 0, -1, 0);
}

static int do_io_uring(void)
{
	struct io_uring_params parameters = { 0 };

	return syscall(SYS_io_uring_setup, 4, &parameters);
}

static int do_add_key(void) { return syscall(SYS_add_key, "user", "k", "v", 1, PROCESS_KEYRING); }
static int do_join_keyring(void) { return syscall(SYS_keyctl, JOIN_SESSION_KEYRING, 0); }

static int do_settime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return clock_settime(CLOCK_REALTIME, &now);
}

static int do_adjtime(void)
{
	struct timex change = { .modes = 0 };

	adjtimex(&change);
	change.modes = ADJ_FREQUENCY;
	return adjtimex(&change);
}

static int do_read_clock(void)
{
	struct timex change = { .modes = 0 };

	return adjtimex(&change);
}

static int do_chroot(void) { return chroot("/"); }
static int do_setns(void) { return setns(open("/proc/self/ns/uts", O_RDONLY), 0); }
static int do_unshare_mounts(void) { return unshare(CLONE_NEWNS); }
static int do_mknod_block(void) { return mknod(argument, S_IFBLK | 0600, makedev(7, 0)); }
static int do_mknod_memory(void) { return mknod(argument, S_IFCHR | 0600, makedev(1, 1)); }
static int do_mknod_flash(void) { return mknod(argument, S_IFCHR | 0600, makedev(90, 0)); }
static int do_mknod_snapshot(void) { return mknod(argument, S_IFCHR | 0600, makedev(10, 231)); }
static int do_mknod_null(void) { return mknod(argument, S_IFCHR | 0600, makedev(1, 3)); }
static int do_read(void) { return open(argument, O_RDONLY | O_NONBLOCK); }
static int do_write(void) { return open(argument, O_WRONLY | O_NONBLOCK); }
static int do_userfaultfd(void) { return syscall(SYS_userfaultfd, 1); }

/* socket "FAMILY TYPE PROTOCOL", numbers */
static int do_socket(void)
{
	int family = 0, type = 0, protocol = 0;

	sscanf(argument, "%d %d %d", &family, &type, &protocol);
	return socket(family, type, protocol);
}

static int do_socketpair(void)
{
	int ends[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

#define ACT(name) { #name, do_##name }
static const struct act acts[] = {
	ACT(mount), ACT(bind), ACT(remount), ACT(umount), ACT(pivot_root), ACT(fsopen), ACT(fspick), ACT(open_tree),
	ACT(move_mount), ACT(mount_setattr), ACT(attach), ACT(read_memory), ACT(get_descriptor), ACT(traceme),
	ACT(init_module), ACT(finit_module), ACT(kexec_load), ACT(bpf), ACT(unshare_user), ACT(clone_user), ACT(perf),
	ACT(io_uring), ACT(add_key), ACT(join_keyring), ACT(settime), ACT(adjtime), ACT(read_clock), ACT(chroot),
	ACT(setns), ACT(unshare_mounts), ACT(mknod_block), ACT(mknod_memory), ACT(mknod_flash),
	ACT(mknod_snapshot), ACT(mknod_null), ACT(read), ACT(write),
	ACT(userfaultfd), ACT(socket), ACT(socketpair),
};

int main(int argc, char **argv)
{
	if (argc > 2)
		argument = argv[2];
	return perform(acts, sizeof(acts) / sizeof(*acts), argc > 1 ? argv[1] : "");
}
