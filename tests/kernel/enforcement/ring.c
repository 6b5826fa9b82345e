/*
 * One act by io_uring, or with `async-` before its name in a worker of the ring: `ring ACT PATH [OTHER]`. Exit status 0
 * where it worked; else its error as text.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define RING_BYTES 4096

static struct io_uring_sqe *entry;
static struct io_uring_params parameters;
static char *ring;
static int descriptor;

static unsigned *in_ring(unsigned offset) { return (unsigned *)(ring + offset); }

static int set_up(void)
{
	struct io_uring_rsrc_register table = { .nr = 4, .flags = IORING_RSRC_REGISTER_SPARSE };

	descriptor = syscall(SYS_io_uring_setup, 1, &parameters);
	if (descriptor < 0)
		return -1;
	ring = mmap(0, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, IORING_OFF_SQ_RING);
	entry = mmap(0, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, IORING_OFF_SQES);
	return syscall(SYS_io_uring_register, descriptor, IORING_REGISTER_FILES2, &table, sizeof(table));
}

/* Hand in the one entry; its result. */
static int submitted(void)
{
	struct io_uring_cqe *done = (void *)(ring + parameters.cq_off.cqes);

	*in_ring(parameters.sq_off.array) = 0;
	__atomic_add_fetch(in_ring(parameters.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, descriptor, 1, 1, IORING_ENTER_GETEVENTS, 0, 0) < 0)
		return -1;
	errno = done->res < 0 ? -done->res : 0;
	return done->res < 0 ? -1 : done->res;
}

static const struct {
	const char *name;
	unsigned char code;
} acts[] = {
	{ "open", IORING_OP_OPENAT }, { "open_direct", IORING_OP_OPENAT }, { "unlink", IORING_OP_UNLINKAT },
	{ "rename", IORING_OP_RENAMEAT }, { "link", IORING_OP_LINKAT }, { "symlink", IORING_OP_SYMLINKAT },
	{ "mkdir", IORING_OP_MKDIRAT }, { "setxattr", IORING_OP_SETXATTR }, { "socket", IORING_OP_SOCKET },
	{ "connect", IORING_OP_CONNECT }, { "send", IORING_OP_SENDMSG },
};

/* Connect to a unix socket at a path or to a port of this machine, or send it a datagram. */
static int reach(unsigned char code, const char *where)
{
	static struct sockaddr_un path = { .sun_family = AF_UNIX };
	static struct sockaddr_in port = { .sin_family = AF_INET };
	static struct iovec byte = { "x", 1 };
	static struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1 };
	int is_path = *where == '/', connects = code == IORING_OP_CONNECT;
	void *name = is_path ? (void *)&path : (void *)&port;
	unsigned bytes = is_path ? sizeof(path) : sizeof(port);

	strncpy(path.sun_path, where, sizeof(path.sun_path) - 1);
	port.sin_port = htons(atoi(where));
	port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	message.msg_name = name;
	message.msg_namelen = bytes;
	entry->opcode = code;
	entry->fd = socket(is_path ? AF_UNIX : AF_INET, connects ? SOCK_STREAM : SOCK_DGRAM, 0);
	entry->addr = connects ? (unsigned long)name : (unsigned long)&message;
	if (connects)
		entry->off = bytes;
	else
		entry->len = 1;
	return submitted();
}

static int act_on(unsigned char code, const char *name, const char *path, const char *other)
{
	if (code == IORING_OP_CONNECT || code == IORING_OP_SENDMSG)
		return reach(code, path);
	entry->opcode = code;
	entry->fd = AT_FDCWD;
	entry->addr = (unsigned long)path;
	if (code == IORING_OP_RENAMEAT || code == IORING_OP_LINKAT) {
		entry->off = (unsigned long)other;
		entry->len = AT_FDCWD;
	} else if (code == IORING_OP_SYMLINKAT) {
		entry->addr = (unsigned long)"elsewhere";
		entry->off = (unsigned long)other;
	} else if (code == IORING_OP_MKDIRAT) {
		entry->addr = (unsigned long)other;
		entry->len = 0700;
	} else if (code == IORING_OP_SETXATTR) {
		entry->fd = 0;
		entry->addr = (unsigned long)"trusted.x";
		entry->off = (unsigned long)"x";
		entry->addr3 = (unsigned long)path;
		entry->len = 1;
	} else if (code == IORING_OP_SOCKET) {
		entry->fd = AF_PACKET;
		entry->off = SOCK_RAW;
		entry->addr = 0;
	} else if (!strcmp(name, "open_direct")) {
		entry->file_index = 1;
	}
	return submitted();
}

int main(int argc, char **argv)
{
	int in_worker = argc > 1 && !strncmp(argv[1], "async-", 6);
	const char *name = argc > 1 ? argv[1] + 6 * in_worker : "", *path = argc > 2 ? argv[2] : "";

	for (unsigned n = 0; n < sizeof(acts) / sizeof(*acts); n++) {
		if (strcmp(acts[n].name, name))
			continue;
		if (set_up()) {
			perror("ring");
			return 2;
		}
		entry->flags = in_worker ? IOSQE_ASYNC : 0;
		if (act_on(acts[n].code, name, path, argc > 3 ? argv[3] : "") >= 0)
			return 0;
		perror(name);
		return 1;
	}
	fprintf(stderr, "no such act\n");
	return 2;
}
