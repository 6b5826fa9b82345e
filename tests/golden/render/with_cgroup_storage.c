#define HAVE_BPF_LSM 1
#define HAVE_CGROUP_STORAGE 1
#define HAVE_STORAGE_CACHE 1
#define HAVE_IDMAPPED_SETATTR 1
#define HAVE_DIRECT_FILE_PATH 1
#define HAVE_TASK_FROM_PID 1
#define HAVE_READONLY_CAST 1
#define HAVE_BUSY_TASK_STORAGE 0
#include "file.bpf.c"
#include "exec.bpf.c"
#include "map.bpf.c"
#include "create.bpf.c"
#include "remove.bpf.c"
#include "relocate.bpf.c"
#include "forget.bpf.c"
#include "attributes.bpf.c"
#include "capability.bpf.c"
#include "mount.bpf.c"
#include "operation.bpf.c"
#include "socket.bpf.c"
#include "unix.bpf.c"
#include "network_kill.bpf.c"
#include "tampering.bpf.c"
#include "subject.bpf.c"
#include "inherit.bpf.c"
#include "start.bpf.c"
#include "depart.bpf.c"
#include "departed_socket.bpf.c"
#include "egress.bpf.c"
