#define HAVE_CGROUP_STORAGE 1
#include "file.bpf.c"
#include "exec.bpf.c"
#include "create.bpf.c"
#include "relocate.bpf.c"
#include "capability.bpf.c"
#include "network_kill.bpf.c"
#include "inherit.bpf.c"
#include "egress.bpf.c"
