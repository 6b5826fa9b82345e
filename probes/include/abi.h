/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What crosses the boundary between the kernel programs and user space: the only truth about it.
 *
 * Python's view (agent/bulkhead/abi/generated.py) is made from this file by tools/gen_abi.py. Integers are in the
 * machine's byte order unless a comment says "network order"; times are nanoseconds of CLOCK_BOOTTIME; padding is
 * explicit and zero. Names of enumerators are shared with Python as they are.
 */
#ifndef BULKHEAD_ABI_H
#define BULKHEAD_ABI_H

#define ABI_VERSION 8u /* raised when a map comes, goes or changes: programs of another version never share maps */

/* Limits. Each has its reason in docs/limits.md. */
#define MAX_CONTAINERS 2048u /* containers under policy on one node; index 0 means "none" */
#define MAX_SETS 4096u       /* policy sets held at once, those being replaced included, once a class of subjects */
#define MAX_SUBJECTS 64u     /* classes of acting programs that one policy set tells apart */
#define MAX_OUTCOMES 65536u  /* distinct answers of all path automata together */
#define ARENA_SLOTS 1572864u /* automaton slots of 8 bytes of all policy sets together */
#define ARENA_TAIL 256u      /* slots after the last row, so that adding a byte never leaves the arena */
#define MAX_ANCHORS 65536u   /* (container, mount) pairs */
#define MAX_LINKS 16384u     /* files of which rules cover one of several names, of all containers together */
#define MAX_LAYERS 65536u    /* (container, file system) pairs */
#define MAX_CGROUPS 16384u   /* cgroups of containers, children included; only without cgroup storage */
#define MAX_PREFIXES 262144u /* network prefixes of all policy sets together */
#define MAX_PORTS 262144u    /* port prefixes of all policy sets together */
#define MAX_GUARDED 8192u    /* BPF objects of ours: three links a container, and some hundred */
#define MAX_COUNTERS 65536u  /* (container, rule, verdict) triples that were ever reported */
#define MAX_REPEATS 16384u   /* violations being aggregated at one moment */
#define EVENT_BUFFER_BYTES 4194304u
#define PATH_LEVELS 2048u  /* directories between a file and a remembered directory or mount root */
#define NAME_BYTES 255u    /* of one path element */
#define OBJECT_BYTES 1024u /* of a reported path; longer ones carry RECORD_OBJECT_TRUNCATED */
#define EXECUTABLE_BYTES 1024u
#define ARGUMENTS_BYTES 128u
#define COMM_BYTES 16u
#define CAPABILITIES 64u /* a kernel has 41 of them today */
#define PRIVILEGED_OPERATIONS 16u
#define ADDRESS_FAMILIES 64u /* AF_*: a kernel has 46 of them today */
#define SOCKET_KINDS 16u     /* SOCK_*, by what fits under SOCK_TYPE_MASK */
#define SOCKET_ROWS 12u      /* families that a policy can name, and one for all others */
#define SOCKET_COLUMNS 8u    /* types that a policy can name, and one for all others */
#define SOCKET_CELLS 96u     /* SOCKET_ROWS * SOCKET_COLUMNS */
#define SOCKET_DECISIONS 32u /* different decisions about sockets of one policy set */
#define REPEAT_WINDOW_NS 1000000000ull

/* What an access is. The first PATH_OPERATIONS are decided by path. The names are the words of the policy. */
enum operation {
	OPERATION_EXEC = 0,
	OPERATION_READ = 1,
	OPERATION_WRITE = 2,
	OPERATION_CREATE = 3,
	OPERATION_DELETE = 4,
	OPERATION_RENAME = 5,
	OPERATION_LINK = 6,
	OPERATION_ATTRIBUTES = 7,
	OPERATION_MAP = 8,
	OPERATION_EGRESS = 16,
	OPERATION_INGRESS = 17,
	OPERATION_SOCKET = 18,
	OPERATION_CAPABILITY = 19,
	OPERATION_TAMPERING = 31, /* no word of policies: refused to all containers under one */
	OPERATION_MOUNT = 32,
	OPERATION_PTRACE = 33,
	OPERATION_LOAD_MODULE = 34,
	OPERATION_BPF = 35,
	OPERATION_USER_NAMESPACE = 36,
	OPERATION_PERF_EVENT = 37,
	OPERATION_IO_URING = 38,
	OPERATION_KEYRING = 39,
	OPERATION_SET_TIME = 40,
	OPERATION_CHROOT = 41,
	OPERATION_SET_NAMESPACE = 42,
	OPERATION_RAW_DEVICE = 43,
	OPERATION_PROC_MEM = 44,
	OPERATION_KERNEL_SETTINGS = 45,
};
#define PATH_OPERATIONS 9u
#define OPERATION_PRIVILEGED 32u /* the first of PRIVILEGED_OPERATIONS, which are decided by the set alone */

/* What else an outcome answers, behind the operations. EXEC itself is about files of the container's image. */
enum question {
	QUESTION_EXEC_WRITTEN = 9,   /* a file that was not in the image */
	QUESTION_EXEC_FILELESS = 10, /* a file that no path leads to; it was not in the image either */
	QUESTION_LIBRARY = 11, /* a library of the image, mapped by an allowed program: explicit rules, no default */
};
#define PATH_QUESTIONS 12u /* operations included */

/* What is done about an access, in order of strictness. */
enum verdict {
	VERDICT_ALLOW = 0,
	VERDICT_AUDIT = 1,
	VERDICT_WOULD_DENY = 2,
	VERDICT_DENY = 3,
	VERDICT_KILL = 4,
};

/*
 * A decision is one 64-bit word, so that it is read and replaced whole; 0 allows in silence.
 *   bits  0..3   enum verdict: ALLOW, WOULD_DENY, DENY or KILL
 *   bits  4..31  number of the rule that decided, counted from 1 within the policy set; 0 where the verdict is ALLOW
 *   bits 32..59  number of the first Audit rule (or default) that matched, or 0: reported whatever the verdict is
 */
#define DECISION_VERDICT_MASK 0xfull
#define DECISION_RULE_SHIFT 4u
#define DECISION_RULE_MASK 0xfffffffull
#define DECISION_AUDIT_SHIFT 32u

/*
 * Path automata. A state is the byte offset of its row's header in the arena, or, from STATE_SINK up, a state that is
 * never left: STATE_SINK | outcome. A row is displaced: the entry for byte b stands at header + 8 * b and belongs to
 * the row only if its `check` is the row's state. The header's `next` is the default, its `check` is
 * STATE_SINK | outcome. Offset 0 is never a state.
 */
#define STATE_SINK 0x80000000u
#define STATE_UNKNOWN 0xffffffffu  /* not a state: the path could not be resolved */
#define STATE_NAMELESS 0xfffffffeu /* not a state: no path leads to the object (pipes, memory files) */
#define STATE_NESTED 0xfffffffdu   /* not a state: a file system's own access to the layer below it */
#define OUTCOME_SILENT 0u          /* the outcome that allows every operation in silence */

struct arena_slot {
	__u32 next;  /* state */
	__u32 check; /* state of the row that owns the slot; in a header STATE_SINK | outcome */
};

struct arena {
	struct arena_slot slots[ARENA_SLOTS];
};

/*
 * Who acts. A set with rules about some programs only (`by`) sorts these into classes, its subjects. Everything that it
 * decides is there once a subject: subject s has the entry `sets[set + s]`, and of an outcome the entry
 * `outcomes[outcome + s]`, save OUTCOME_SILENT, which is everyone's. A set that does not ask has one subject, 0.
 */
#define SUBJECT_OTHER 0u   /* none of the programs that the set names */
#define SUBJECT_UNKNOWN 1u /* not to be found out, or not itself any more: judged by whatever could hold for it */

struct outcome {
	__u64 decisions[PATH_QUESTIONS]; /* by enum operation and enum question */
	__u64 blocked;                   /* bit N: decision N denies or kills */
	__u64 strictest; /* the strictest decision, named where a move is refused; 0 where none blocks */
	__u32 program;   /* subject that a program is which is executed from here */
	__u32 pad;
};

/*
 * A container's ruling: what its accesses are judged by. One word, so that an update is one store. High half: epoch,
 * unique to (container, set, mount table), tags what inodes remember. Low half: index in `sets`. The whole word is 0
 * where no policy applies.
 */
#define RULING_EPOCH_SHIFT 32u

#define SET_MAY_BLOCK 1u /* some decision of the set denies or kills */
#define SET_HAS_PATHS 2u /* exec or files say something */
#define SET_HAS_NETWORK 4u
#define SET_HAS_CAPABILITIES 8u
#define SET_HAS_OPERATIONS 16u
#define SET_HAS_SPECIAL_FILES 32u /* operations says something of files: RawDevice, ProcMem, KernelSettings */
#define SET_HAS_SOCKETS 64u
#define SET_HAS_SUBJECTS 128u   /* it matters who acts */
#define SET_HAS_PROVENANCE 256u /* executing depends on where the file comes from */

struct policy_set {
	__u32 flags;    /* SET_* */
	__u32 nameless; /* outcome of files that no path of the container names: pipes, memory files */
	__u32 subject;  /* whose entry this is */
	__u32 pad;
	struct outcome unresolved;               /* where a path cannot be resolved */
	__u64 network_unresolved;                /* decision where a packet cannot be read */
	__u64 borrowing;                         /* where a process would act as another's program */
	__u64 capabilities[CAPABILITIES];        /* decisions by capability number */
	__u64 operations[PRIVILEGED_OPERATIONS]; /* by enum operation, from OPERATION_PRIVILEGED on */
	__u64 sockets[SOCKET_DECISIONS];         /* different decisions about sockets, by what stands in socket_cells */
	__u8 socket_cells[SOCKET_CELLS];         /* row by row */
	__u8 socket_rows[ADDRESS_FAMILIES];      /* by AF_*; row 0 is of families that no rule names */
	__u8 socket_columns[SOCKET_KINDS];       /* by SOCK_*; column 0 is of types that no rule names */
};

/* Where a walk up a dentry path may begin: the root of a mount that the container has. */
struct anchor_key {
	__u32 epoch;
	__u32 anchor; /* number that user space gave to the inode, in inode_memory.anchor */
};

/*
 * A file with several names, one of which a rule covers. The value is the state after all of its covered names; it
 * answers for the file under every name. The inode's memory would not do: it goes when the inode leaves the cache.
 */
struct link_key {
	__u32 epoch;
	__u32 device; /* the kernel's dev_t, major << 20 | minor */
	__u64 inode;  /* number */
};

/*
 * What is remembered on an inode: a cache, never the only copy of anything but `anchor`. Of each kind the words of two
 * epochs, the later first: policy sets that share a file do not push one another out.
 */
#define REMEMBERED 2u
struct inode_memory {
	__u64 directories[REMEMBERED]; /* epoch << 32 | state after the path of this directory */
	__u64 verdicts[REMEMBERED];    /* epoch << 32 | outcome of this file */
	__u64 moves;                   /* value of the map `moves` at which the words were true */
	__u32 anchor;                  /* 0: not a mount root that user space announced */
	__u32 pad;
};

/* What is kept on a thread that left the cgroups of its container, and on those it started since. */
struct departure {
	__u32 container; /* index in `containers`: goes on judging it wherever it is */
	__u32 pad;
};

/*
 * What is remembered on a process (on its first thread), from its exec on; a child begins with a copy. A cache but for
 * `tainted`.
 */
#define TAINTED_TRACED 1u /* another program traced it when it executed: it is SUBJECT_UNKNOWN */
#define TAINTED_CODE 2u   /* it maps code that is not the image's: SUBJECT_UNKNOWN, unless it is SUBJECT_OTHER */
struct process_memory {
	__u64 subject; /* epoch << 32 | subject under that epoch */
	__u32 tainted; /* TAINTED_*, until it executes */
	__u32 pad;
};

/* Rules that every set has, beyond the numbers of its own: what tampering was refused with. */
enum built_in {
	BUILT_IN_AGENT = 0xfffff01,   /* the agent's process */
	BUILT_IN_OBJECTS = 0xfffff02, /* our maps, programs and links */
	BUILT_IN_PINS = 0xfffff03,    /* their names in the BPF file system */
	BUILT_IN_CGROUPS = 0xfffff04, /* files of cgroups that are not the container's own or below it */
	BUILT_IN_START = 0xfffff05,   /* executing in a container that no agent has told of: start: Strict */
};

/* What is guarded against tampering. The agent's process is marked in `agents`. */
struct guard {
	__u64 pins;        /* inode number of the folder of pins */
	__u32 pins_device; /* the kernel's dev_t of the folder of pins; 0: nothing is pinned */
	__u32 link_is_out; /* a container under a policy got a link of ours from a pin: none may change links any more */
};

enum guarded {
	GUARDED_MAP = 1,
	GUARDED_PROGRAM = 2,
	GUARDED_LINK = 3,
};

/* A BPF object of ours, by the kernel's number, which is never used again for another. */
struct guarded_key {
	__u32 kind; /* enum guarded */
	__u32 id;
};

/* Network. Addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; the longest prefix wins. */
struct prefix_key {
	__u32 prefix_bits; /* counts from `set`: 32 + bits of the address */
	__u32 set;         /* that of the subject */
	__u8 address[16];
};

/* The longest prefix wins: 32 bits are the class alone (no more is known), 48 the protocol, to 64 a range of ports. */
struct port_key {
	__u32 prefix_bits;
	__u32 peer_class; /* value of `prefixes` */
	__u8 protocol;    /* IPPROTO_* */
	__u8 pad;
	__u16 port; /* network order */
};

struct network_state {
	__u32 container; /* index in `containers` */
	__u32 pad;
	__u64 packets_allowed;
	__u64 packets_denied;
	__u64 bytes_allowed;
	__u64 bytes_denied;
};

/* What is remembered on a socket: a cache. */
struct socket_memory {
	__u64 epoch;   /* under which its outgoing connection was judged */
	__u64 subject; /* epoch << 32 | subject of the process that used it last, where the set asks for that */
};

struct counter_key {
	__u32 container;
	__u32 set;
	__u32 rule;
	__u32 verdict; /* enum verdict */
};

struct repeat_key {
	__u32 container;
	__u32 set;
	__u32 rule;
	__u8 verdict;
	__u8 operation;
	__u16 pad;
	__u64 object; /* inode number and device, or a hash of address and port, or record.number: equal for equal objects */
	__u64 subject; /* thread group id << 32 | low half of its start time */
};

struct repeat {
	__u64 first_ns;
	__u64 last_ns;
	__u64 count; /* violations since the one that was reported by a record of its own */
};

#define RECORD_OBJECT_TRUNCATED 1u
#define RECORD_EXECUTABLE_TRUNCATED 2u
#define RECORD_ARGUMENTS_TRUNCATED 4u
#define RECORD_UNRESOLVED 8u /* the object could not be resolved: the strictest rule that could match decided */
#define RECORD_PATH_IN_FILE_SYSTEM 16u /* the object's path starts at its file system's root: `device` says which */
#define RECORD_FROM_PACKET 32u         /* the process is the one that was running, normally the sender */
#define RECORD_SUBJECT_UNKNOWN 64u     /* who acts was not known, in a set that asks */

/* One violation. `object` holds path elements, last one first, each {__u8 length, bytes}. */
struct record {
	__u64 time_ns;
	__u64 cgroup;
	__u64 process_start_ns;
	struct repeat_key repeat; /* finds the record when its repeats are swept */
	__u32 epoch;
	__u32 flags; /* RECORD_* */
	__u32 pid;   /* thread group id, as the host sees it */
	__u32 parent;
	__u32 namespace_pid; /* thread group id, as the container sees it */
	__u32 uid;
	__u32 gid;
	__u32 device;  /* of a path: the kernel's dev_t, major << 20 | minor */
	__u32 number;  /* of a capability; AF_* << 8 | SOCK_* of a socket; thread group id, for OPERATION_PTRACE */
	__u8 protocol; /* IPPROTO_*, for OPERATION_EGRESS */
	__u8 address_pad;
	__u16 port;       /* network order */
	__u8 address[16]; /* network order, IPv4 as ::ffff:a.b.c.d */
	__u8 comm[COMM_BYTES];
	__u16 object_bytes;
	__u16 executable_bytes;
	__u16 arguments_bytes;
	__u16 pad;
	__u8 executable[EXECUTABLE_BYTES]; /* path elements like `object` */
	__u8 arguments[ARGUMENTS_BYTES];   /* separated by NUL */
	__u8 object[OBJECT_BYTES];
};

/* Errors and limits, counted at the site. */
enum statistic {
	STATISTIC_RECORDS = 0,       /* written to the ring buffer */
	STATISTIC_RECORDS_LOST = 1,  /* the ring buffer had no room */
	STATISTIC_REPEATS_FULL = 2,  /* not aggregated, reported one by one instead */
	STATISTIC_COUNTERS_FULL = 3, /* counted here only */
	STATISTIC_MEMORY_FAILED = 4, /* an inode could not remember: decided anew each time */
	STATISTIC_DEPTH_EXCEEDED = 5,
	STATISTIC_NAME_UNREADABLE = 6,
	STATISTIC_RENAME_RACED = 7,
	STATISTIC_UNKNOWN_MOUNT = 8,
	STATISTIC_SIGNAL_FAILED = 9,
	STATISTIC_INHERIT_FAILED = 10, /* a child cgroup could not be bound */
	STATISTIC_PACKET_UNREADABLE = 11,
	STATISTIC_DEPARTURE_FAILED = 12, /* a thread left its container's cgroups, and its policy with them */
	STATISTIC_STARTS_REFUSED = 13,   /* executing in a container that no agent has told of */
	STATISTIC_STARTS_LAPSED = 14,    /* the same, let through: no agent had given a sign for too long */
	STATISTIC_START_FULL = 15,       /* a container that may start could not be noted */
};
#define STATISTICS 16u

struct statistics {
	__u64 values[STATISTICS]; /* by enum statistic */
};

/* What was loaded, for whoever comes next. */
struct instance {
	__u32 abi_version;
	__u32 next_epoch;  /* to give out: an epoch is never used twice while inodes may remember it */
	__u32 next_anchor; /* to give out: the number of an inode, see inode_memory.anchor */
	__u32 pad;
	__u8 bundle[32]; /* SHA-256 of the programs */
};

#endif
