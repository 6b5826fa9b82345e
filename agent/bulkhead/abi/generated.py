"""The kernel boundary in Python, made from probes/include/abi.h by tools/gen_abi.py: `make gen-abi`."""

from ctypes import Array, Structure, c_uint8, c_uint16, c_uint32, c_uint64
from enum import IntEnum
from typing import Final

from bulkhead.abi.maps import MapDefinition, MapFlag, MapType

ABI_VERSION: Final[int] = 8  # raised when a map comes, goes or changes: programs of another version never share maps
MAX_CONTAINERS: Final[int] = 2048  # containers under policy on one node; index 0 means "none"
MAX_SETS: Final[int] = 4096  # policy sets held at once, those being replaced included, once a class of subjects
MAX_SUBJECTS: Final[int] = 64  # classes of acting programs that one policy set tells apart
MAX_OUTCOMES: Final[int] = 65536  # distinct answers of all path automata together
ARENA_SLOTS: Final[int] = 1572864  # automaton slots of 8 bytes of all policy sets together
ARENA_TAIL: Final[int] = 256  # slots after the last row, so that adding a byte never leaves the arena
MAX_ANCHORS: Final[int] = 65536  # (container, mount) pairs
MAX_LINKS: Final[int] = 16384  # files of which rules cover one of several names, of all containers together
MAX_LAYERS: Final[int] = 65536  # (container, file system) pairs
MAX_CGROUPS: Final[int] = 16384  # cgroups of containers, children included; only without cgroup storage
MAX_PREFIXES: Final[int] = 262144  # network prefixes of all policy sets together
MAX_PORTS: Final[int] = 262144  # port prefixes of all policy sets together
MAX_GUARDED: Final[int] = 8192  # BPF objects of ours: three links a container, and some hundred
MAX_COUNTERS: Final[int] = 65536  # (container, rule, verdict) triples that were ever reported
MAX_REPEATS: Final[int] = 16384  # violations being aggregated at one moment
EVENT_BUFFER_BYTES: Final[int] = 4194304
PATH_LEVELS: Final[int] = 2048  # directories between a file and a remembered directory or mount root
NAME_BYTES: Final[int] = 255  # of one path element
OBJECT_BYTES: Final[int] = 1024  # of a reported path; longer ones carry RECORD_OBJECT_TRUNCATED
EXECUTABLE_BYTES: Final[int] = 1024
ARGUMENTS_BYTES: Final[int] = 128
COMM_BYTES: Final[int] = 16
CAPABILITIES: Final[int] = 64  # a kernel has 41 of them today
PRIVILEGED_OPERATIONS: Final[int] = 16
ADDRESS_FAMILIES: Final[int] = 64  # AF_*: a kernel has 46 of them today
SOCKET_KINDS: Final[int] = 16  # SOCK_*, by what fits under SOCK_TYPE_MASK
SOCKET_ROWS: Final[int] = 12  # families that a policy can name, and one for all others
SOCKET_COLUMNS: Final[int] = 8  # types that a policy can name, and one for all others
SOCKET_CELLS: Final[int] = 96  # SOCKET_ROWS * SOCKET_COLUMNS
SOCKET_DECISIONS: Final[int] = 32  # different decisions about sockets of one policy set
REPEAT_WINDOW_NS: Final[int] = 1000000000
PATH_OPERATIONS: Final[int] = 9
OPERATION_PRIVILEGED: Final[int] = 32  # the first of PRIVILEGED_OPERATIONS, which are decided by the set alone
PATH_QUESTIONS: Final[int] = 12  # operations included
DECISION_VERDICT_MASK: Final[int] = 0xf
DECISION_RULE_SHIFT: Final[int] = 4
DECISION_RULE_MASK: Final[int] = 0xfffffff
DECISION_AUDIT_SHIFT: Final[int] = 32
STATE_SINK: Final[int] = 0x80000000
STATE_UNKNOWN: Final[int] = 0xffffffff  # not a state: the path could not be resolved
STATE_NAMELESS: Final[int] = 0xfffffffe  # not a state: no path leads to the object (pipes, memory files)
STATE_NESTED: Final[int] = 0xfffffffd  # not a state: a file system's own access to the layer below it
OUTCOME_SILENT: Final[int] = 0  # the outcome that allows every operation in silence
SUBJECT_OTHER: Final[int] = 0  # none of the programs that the set names
SUBJECT_UNKNOWN: Final[int] = 1  # not to be found out, or not itself any more: judged by whatever could hold for it
RULING_EPOCH_SHIFT: Final[int] = 32
SET_MAY_BLOCK: Final[int] = 1  # some decision of the set denies or kills
SET_HAS_PATHS: Final[int] = 2  # exec or files say something
SET_HAS_NETWORK: Final[int] = 4
SET_HAS_CAPABILITIES: Final[int] = 8
SET_HAS_OPERATIONS: Final[int] = 16
SET_HAS_SPECIAL_FILES: Final[int] = 32  # operations says something of files: RawDevice, ProcMem, KernelSettings
SET_HAS_SOCKETS: Final[int] = 64
SET_HAS_SUBJECTS: Final[int] = 128  # it matters who acts
SET_HAS_PROVENANCE: Final[int] = 256  # executing depends on where the file comes from
REMEMBERED: Final[int] = 2
TAINTED_TRACED: Final[int] = 1  # another program traced it when it executed: it is SUBJECT_UNKNOWN
TAINTED_CODE: Final[int] = 2  # it maps code that is not the image's: SUBJECT_UNKNOWN, unless it is SUBJECT_OTHER
RECORD_OBJECT_TRUNCATED: Final[int] = 1
RECORD_EXECUTABLE_TRUNCATED: Final[int] = 2
RECORD_ARGUMENTS_TRUNCATED: Final[int] = 4
RECORD_UNRESOLVED: Final[int] = 8  # the object could not be resolved: the strictest rule that could match decided
RECORD_PATH_IN_FILE_SYSTEM: Final[int] = 16  # the object's path starts at its file system's root: `device` says which
RECORD_FROM_PACKET: Final[int] = 32  # the process is the one that was running, normally the sender
RECORD_SUBJECT_UNKNOWN: Final[int] = 64  # who acts was not known, in a set that asks
STATISTICS: Final[int] = 16
ELEMENT_BYTES: Final[int] = 16  # struct element, the argument of step()
REST_BYTES: Final[int] = 24  # struct rest, the argument of step_piece()
SEEKER_BYTES: Final[int] = 16  # struct seeker, the argument of find_subject()
NOTICE_BYTES: Final[int] = 88  # struct notice, the argument of report() and emit()
MAX_INODES: Final[int] = 65536  # that remember something, where BPF LSM is not active
MAX_SOCKETS: Final[int] = 65536  # the same of sockets
SEEN_SLOTS: Final[int] = 32768  # files that were opened once, and remember nothing yet
HOME_IS_NODE: Final[int] = 0xffffffffffffffff


class Operation(IntEnum):
    """enum operation."""

    EXEC = 0
    READ = 1
    WRITE = 2
    CREATE = 3
    DELETE = 4
    RENAME = 5
    LINK = 6
    ATTRIBUTES = 7
    MAP = 8
    EGRESS = 16
    INGRESS = 17
    SOCKET = 18
    CAPABILITY = 19
    TAMPERING = 31  # no word of policies: refused to all containers under one
    MOUNT = 32
    PTRACE = 33
    LOAD_MODULE = 34
    BPF = 35
    USER_NAMESPACE = 36
    PERF_EVENT = 37
    IO_URING = 38
    KEYRING = 39
    SET_TIME = 40
    CHROOT = 41
    SET_NAMESPACE = 42
    RAW_DEVICE = 43
    PROC_MEM = 44
    KERNEL_SETTINGS = 45


class Question(IntEnum):
    """enum question."""

    EXEC_WRITTEN = 9  # a file that was not in the image
    EXEC_FILELESS = 10  # a file that no path leads to; it was not in the image either
    LIBRARY = 11  # a library of the image, mapped by an allowed program: explicit rules, no default


class Verdict(IntEnum):
    """enum verdict."""

    ALLOW = 0
    AUDIT = 1
    WOULD_DENY = 2
    DENY = 3
    KILL = 4


class BuiltIn(IntEnum):
    """enum built_in."""

    AGENT = 268435201  # the agent's process
    OBJECTS = 268435202  # our maps, programs and links
    PINS = 268435203  # their names in the BPF file system
    CGROUPS = 268435204  # files of cgroups that are not the container's own or below it
    START = 268435205  # executing in a container that no agent has told of: start: Strict


class Guarded(IntEnum):
    """enum guarded."""

    MAP = 1
    PROGRAM = 2
    LINK = 3


class Statistic(IntEnum):
    """enum statistic."""

    RECORDS = 0  # written to the ring buffer
    RECORDS_LOST = 1  # the ring buffer had no room
    REPEATS_FULL = 2  # not aggregated, reported one by one instead
    COUNTERS_FULL = 3  # counted here only
    MEMORY_FAILED = 4  # an inode could not remember: decided anew each time
    DEPTH_EXCEEDED = 5
    NAME_UNREADABLE = 6
    RENAME_RACED = 7
    UNKNOWN_MOUNT = 8
    SIGNAL_FAILED = 9
    INHERIT_FAILED = 10  # a child cgroup could not be bound
    PACKET_UNREADABLE = 11
    DEPARTURE_FAILED = 12  # a thread left its container's cgroups, and its policy with them
    STARTS_REFUSED = 13  # executing in a container that no agent has told of
    STARTS_LAPSED = 14  # the same, let through: no agent had given a sign for too long
    START_FULL = 15  # a container that may start could not be noted


class Linked(IntEnum):
    """enum linked."""

    STEP = 32513
    RESOLVE_PATH = 32514
    REPORT = 32515
    EMIT = 32516
    RESOLVE_DENTRY = 32517
    FIND_SUBJECT = 32518
    STEP_PIECE = 32519
    FIND_CONTAINER = 32520
    WALK_UP = 32257
    WALK_ANCESTOR = 32258
    WALK_DOWN = 32259
    WRITE_ELEMENT = 32260


class KernelFunction(IntEnum):
    """enum kernel_function."""

    TASK_FROM_PID = 32001
    TASK_RELEASE = 32002
    READONLY_CAST = 32003


class LayerKind(IntEnum):
    """enum layer_kind."""

    OVERLAY = 1  # the root's overlay: what has no part in the upper layer is of the image
    TIME = 2  # what has not been written since is


class Known(IntEnum):
    """enum known."""

    TOLD = 1  # an agent has put it under its policies, or found that none selects it
    AGENT = 2  # it has the agent's folder of state
    LAPSED = 3  # it started when no agent had given a sign for too long


class ArenaSlot(Structure):
    """struct arena_slot, 8 bytes."""

    next: int  # state
    check: int  # state of the row that owns the slot; in a header STATE_SINK | outcome
    _fields_ = (
        ("next", c_uint32),
        ("check", c_uint32),
    )


class Arena(Structure):
    """struct arena, 12582912 bytes."""

    slots: Array[ArenaSlot]
    _fields_ = (
        ("slots", ArenaSlot * ARENA_SLOTS),
    )


class Outcome(Structure):
    """struct outcome, 120 bytes."""

    decisions: Array[c_uint64]  # by enum operation and enum question
    blocked: int  # bit N: decision N denies or kills
    strictest: int  # the strictest decision, named where a move is refused; 0 where none blocks
    program: int  # subject that a program is which is executed from here
    pad: int
    _fields_ = (
        ("decisions", c_uint64 * PATH_QUESTIONS),
        ("blocked", c_uint64),
        ("strictest", c_uint64),
        ("program", c_uint32),
        ("pad", c_uint32),
    )


class PolicySet(Structure):
    """struct policy_set, 1224 bytes."""

    flags: int  # SET_*
    nameless: int  # outcome of files that no path of the container names: pipes, memory files
    subject: int  # whose entry this is
    pad: int
    unresolved: Outcome  # where a path cannot be resolved
    network_unresolved: int  # decision where a packet cannot be read
    borrowing: int  # where a process would act as another's program
    capabilities: Array[c_uint64]  # decisions by capability number
    operations: Array[c_uint64]  # by enum operation, from OPERATION_PRIVILEGED on
    sockets: Array[c_uint64]  # different decisions about sockets, by what stands in socket_cells
    socket_cells: Array[c_uint8]  # row by row
    socket_rows: Array[c_uint8]  # by AF_*; row 0 is of families that no rule names
    socket_columns: Array[c_uint8]  # by SOCK_*; column 0 is of types that no rule names
    _fields_ = (
        ("flags", c_uint32),
        ("nameless", c_uint32),
        ("subject", c_uint32),
        ("pad", c_uint32),
        ("unresolved", Outcome),
        ("network_unresolved", c_uint64),
        ("borrowing", c_uint64),
        ("capabilities", c_uint64 * CAPABILITIES),
        ("operations", c_uint64 * PRIVILEGED_OPERATIONS),
        ("sockets", c_uint64 * SOCKET_DECISIONS),
        ("socket_cells", c_uint8 * SOCKET_CELLS),
        ("socket_rows", c_uint8 * ADDRESS_FAMILIES),
        ("socket_columns", c_uint8 * SOCKET_KINDS),
    )


class AnchorKey(Structure):
    """struct anchor_key, 8 bytes."""

    epoch: int
    anchor: int  # number that user space gave to the inode, in inode_memory.anchor
    _fields_ = (
        ("epoch", c_uint32),
        ("anchor", c_uint32),
    )


class LinkKey(Structure):
    """struct link_key, 16 bytes."""

    epoch: int
    device: int  # the kernel's dev_t, major << 20 | minor
    inode: int  # number
    _fields_ = (
        ("epoch", c_uint32),
        ("device", c_uint32),
        ("inode", c_uint64),
    )


class InodeMemory(Structure):
    """struct inode_memory, 48 bytes."""

    directories: Array[c_uint64]  # epoch << 32 | state after the path of this directory
    verdicts: Array[c_uint64]  # epoch << 32 | outcome of this file
    moves: int  # value of the map `moves` at which the words were true
    anchor: int  # 0: not a mount root that user space announced
    pad: int
    _fields_ = (
        ("directories", c_uint64 * REMEMBERED),
        ("verdicts", c_uint64 * REMEMBERED),
        ("moves", c_uint64),
        ("anchor", c_uint32),
        ("pad", c_uint32),
    )


class Departure(Structure):
    """struct departure, 8 bytes."""

    container: int  # index in `containers`: goes on judging it wherever it is
    pad: int
    _fields_ = (
        ("container", c_uint32),
        ("pad", c_uint32),
    )


class ProcessMemory(Structure):
    """struct process_memory, 16 bytes."""

    subject: int  # epoch << 32 | subject under that epoch
    tainted: int  # TAINTED_*, until it executes
    pad: int
    _fields_ = (
        ("subject", c_uint64),
        ("tainted", c_uint32),
        ("pad", c_uint32),
    )


class Guard(Structure):
    """struct guard, 16 bytes."""

    pins: int  # inode number of the folder of pins
    pins_device: int  # the kernel's dev_t of the folder of pins; 0: nothing is pinned
    link_is_out: int  # a container under a policy got a link of ours from a pin: none may change links any more
    _fields_ = (
        ("pins", c_uint64),
        ("pins_device", c_uint32),
        ("link_is_out", c_uint32),
    )


class GuardedKey(Structure):
    """struct guarded_key, 8 bytes."""

    kind: int  # enum guarded
    id: int
    _fields_ = (
        ("kind", c_uint32),
        ("id", c_uint32),
    )


class PrefixKey(Structure):
    """struct prefix_key, 24 bytes."""

    prefix_bits: int  # counts from `set`: 32 + bits of the address
    set: int  # that of the subject
    address: Array[c_uint8]
    _fields_ = (
        ("prefix_bits", c_uint32),
        ("set", c_uint32),
        ("address", c_uint8 * 16),
    )


class PortKey(Structure):
    """struct port_key, 12 bytes."""

    prefix_bits: int
    peer_class: int  # value of `prefixes`
    protocol: int  # IPPROTO_*
    pad: int
    port: int  # network order
    _fields_ = (
        ("prefix_bits", c_uint32),
        ("peer_class", c_uint32),
        ("protocol", c_uint8),
        ("pad", c_uint8),
        ("port", c_uint16),
    )


class NetworkState(Structure):
    """struct network_state, 40 bytes."""

    container: int  # index in `containers`
    pad: int
    packets_allowed: int
    packets_denied: int
    bytes_allowed: int
    bytes_denied: int
    _fields_ = (
        ("container", c_uint32),
        ("pad", c_uint32),
        ("packets_allowed", c_uint64),
        ("packets_denied", c_uint64),
        ("bytes_allowed", c_uint64),
        ("bytes_denied", c_uint64),
    )


class SocketMemory(Structure):
    """struct socket_memory, 16 bytes."""

    epoch: int  # under which its outgoing connection was judged
    subject: int  # epoch << 32 | subject of the process that used it last, where the set asks for that
    _fields_ = (
        ("epoch", c_uint64),
        ("subject", c_uint64),
    )


class CounterKey(Structure):
    """struct counter_key, 16 bytes."""

    container: int
    set: int
    rule: int
    verdict: int  # enum verdict
    _fields_ = (
        ("container", c_uint32),
        ("set", c_uint32),
        ("rule", c_uint32),
        ("verdict", c_uint32),
    )


class RepeatKey(Structure):
    """struct repeat_key, 32 bytes."""

    container: int
    set: int
    rule: int
    verdict: int
    operation: int
    pad: int
    object: int  # inode number and device, or a hash of address and port, or record.number: equal for equal objects
    subject: int  # thread group id << 32 | low half of its start time
    _fields_ = (
        ("container", c_uint32),
        ("set", c_uint32),
        ("rule", c_uint32),
        ("verdict", c_uint8),
        ("operation", c_uint8),
        ("pad", c_uint16),
        ("object", c_uint64),
        ("subject", c_uint64),
    )


class Repeat(Structure):
    """struct repeat, 24 bytes."""

    first_ns: int
    last_ns: int
    count: int  # violations since the one that was reported by a record of its own
    _fields_ = (
        ("first_ns", c_uint64),
        ("last_ns", c_uint64),
        ("count", c_uint64),
    )


class Record(Structure):
    """struct record, 2312 bytes."""

    time_ns: int
    cgroup: int
    process_start_ns: int
    repeat: RepeatKey  # finds the record when its repeats are swept
    epoch: int
    flags: int  # RECORD_*
    pid: int  # thread group id, as the host sees it
    parent: int
    namespace_pid: int  # thread group id, as the container sees it
    uid: int
    gid: int
    device: int  # of a path: the kernel's dev_t, major << 20 | minor
    number: int  # of a capability; AF_* << 8 | SOCK_* of a socket; thread group id, for OPERATION_PTRACE
    protocol: int  # IPPROTO_*, for OPERATION_EGRESS
    address_pad: int
    port: int  # network order
    address: Array[c_uint8]  # network order, IPv4 as ::ffff:a.b.c.d
    comm: Array[c_uint8]
    object_bytes: int
    executable_bytes: int
    arguments_bytes: int
    pad: int
    executable: Array[c_uint8]  # path elements like `object`
    arguments: Array[c_uint8]  # separated by NUL
    object: Array[c_uint8]
    _fields_ = (
        ("time_ns", c_uint64),
        ("cgroup", c_uint64),
        ("process_start_ns", c_uint64),
        ("repeat", RepeatKey),
        ("epoch", c_uint32),
        ("flags", c_uint32),
        ("pid", c_uint32),
        ("parent", c_uint32),
        ("namespace_pid", c_uint32),
        ("uid", c_uint32),
        ("gid", c_uint32),
        ("device", c_uint32),
        ("number", c_uint32),
        ("protocol", c_uint8),
        ("address_pad", c_uint8),
        ("port", c_uint16),
        ("address", c_uint8 * 16),
        ("comm", c_uint8 * COMM_BYTES),
        ("object_bytes", c_uint16),
        ("executable_bytes", c_uint16),
        ("arguments_bytes", c_uint16),
        ("pad", c_uint16),
        ("executable", c_uint8 * EXECUTABLE_BYTES),
        ("arguments", c_uint8 * ARGUMENTS_BYTES),
        ("object", c_uint8 * OBJECT_BYTES),
    )


class Statistics(Structure):
    """struct statistics, 128 bytes."""

    values: Array[c_uint64]  # by enum statistic
    _fields_ = (
        ("values", c_uint64 * STATISTICS),
    )


class Instance(Structure):
    """struct instance, 48 bytes."""

    abi_version: int
    next_epoch: int  # to give out: an epoch is never used twice while inodes may remember it
    next_anchor: int  # to give out: the number of an inode, see inode_memory.anchor
    pad: int
    bundle: Array[c_uint8]  # SHA-256 of the programs
    _fields_ = (
        ("abi_version", c_uint32),
        ("next_epoch", c_uint32),
        ("next_anchor", c_uint32),
        ("pad", c_uint32),
        ("bundle", c_uint8 * 32),
    )


class LayerKey(Structure):
    """struct layer_key, 8 bytes."""

    container: int  # index in `containers`
    device: int  # the kernel's dev_t, major << 20 | minor
    _fields_ = (
        ("container", c_uint32),
        ("device", c_uint32),
    )


class Layer(Structure):
    """struct layer, 24 bytes."""

    kind: int  # enum layer_kind
    pad: int
    since_ns: int  # of the clock that the kernel stamps inodes with, CLOCK_REALTIME_COARSE
    since_boottime_ns: int
    _fields_ = (
        ("kind", c_uint32),
        ("pad", c_uint32),
        ("since_ns", c_uint64),
        ("since_boottime_ns", c_uint64),
    )


class Writing(Structure):
    """struct writing, 8 bytes."""

    boottime_ns: int  # when it last did
    _fields_ = (
        ("boottime_ns", c_uint64),
    )


class Seen(Structure):
    """struct seen, 131072 bytes."""

    tags: Array[c_uint32]  # a part of a hash of an inode's address and number, by another part
    _fields_ = (
        ("tags", c_uint32 * SEEN_SLOTS),
    )


class StartRule(Structure):
    """struct start_rule, 56 bytes."""

    below: int  # cgroup id of the kubelet's own; 0: no namespace asks, everything starts
    since_ns: int  # since when it has held without a break, for user space
    sign_ns: int  # when an agent last gave a sign
    lapse_ns: int  # how much later everything starts again; 0: never
    state: int  # inode number of the agent's folder of state
    state_device: int  # the kernel's dev_t of it, major << 20 | minor
    root: int  # number of the runtime's root directory, see inode_memory.anchor
    sandboxes: int  # 1: a pod's first cgroup is its sandbox, which may start
    pad: int
    _fields_ = (
        ("below", c_uint64),
        ("since_ns", c_uint64),
        ("sign_ns", c_uint64),
        ("lapse_ns", c_uint64),
        ("state", c_uint64),
        ("state_device", c_uint32),
        ("root", c_uint32),
        ("sandboxes", c_uint32),
        ("pad", c_uint32),
    )


MAPS: Final[tuple[MapDefinition, ...]] = (
    MapDefinition(
        identifier=0x4201,
        name="bindings",
        type=MapType.CGROUP_BINDING,
        key_bytes=8,
        value_bytes=4,
        entries=MAX_CGROUPS,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4202,
        name="containers",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=8,
        entries=MAX_CONTAINERS,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4203,
        name="sets",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=1224,
        entries=MAX_SETS,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4204,
        name="outcomes",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=120,
        entries=MAX_OUTCOMES,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4205,
        name="arena",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=12582912,
        entries=1,
        flags=MapFlag.MMAPABLE,
    ),
    MapDefinition(
        identifier=0x4206,
        name="anchors",
        type=MapType.HASH,
        key_bytes=8,
        value_bytes=4,
        entries=MAX_ANCHORS,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4207,
        name="inodes",
        type=MapType.INODE_STORAGE,
        key_bytes=4,
        value_bytes=48,
        entries=MAX_INODES,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4240,
        name="layers",
        type=MapType.HASH,
        key_bytes=8,
        value_bytes=24,
        entries=MAX_LAYERS,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4241,
        name="writings",
        type=MapType.INODE_STORAGE,
        key_bytes=4,
        value_bytes=8,
        entries=MAX_INODES,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4208,
        name="prefixes",
        type=MapType.LPM_TRIE,
        key_bytes=24,
        value_bytes=4,
        entries=MAX_PREFIXES,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4209,
        name="ports",
        type=MapType.LPM_TRIE,
        key_bytes=12,
        value_bytes=8,
        entries=MAX_PORTS,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x420a,
        name="network",
        type=MapType.CGROUP_STORAGE,
        key_bytes=8,
        value_bytes=40,
        entries=0,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x420b,
        name="events",
        type=MapType.RINGBUF,
        key_bytes=0,
        value_bytes=0,
        entries=EVENT_BUFFER_BYTES,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x420c,
        name="counters",
        type=MapType.HASH,
        key_bytes=16,
        value_bytes=8,
        entries=MAX_COUNTERS,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x420d,
        name="repeats",
        type=MapType.HASH,
        key_bytes=32,
        value_bytes=24,
        entries=MAX_REPEATS,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x420e,
        name="statistics",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=128,
        entries=1,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4230,
        name="moves",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=8,
        entries=1,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4231,
        name="links",
        type=MapType.HASH,
        key_bytes=16,
        value_bytes=4,
        entries=MAX_LINKS,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4232,
        name="numbered",
        type=MapType.HASH,
        key_bytes=16,
        value_bytes=4,
        entries=MAX_LINKS,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4233,
        name="blank",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=48,
        entries=1,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4234,
        name="seen",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=131072,
        entries=1,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4210,
        name="sockets",
        type=MapType.SK_STORAGE,
        key_bytes=4,
        value_bytes=16,
        entries=MAX_SOCKETS,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4211,
        name="departures",
        type=MapType.TASK_STORAGE,
        key_bytes=4,
        value_bytes=8,
        entries=0,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4212,
        name="departed",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=8,
        entries=MAX_CONTAINERS,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4213,
        name="homes",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=8,
        entries=MAX_CONTAINERS,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4214,
        name="processes",
        type=MapType.TASK_STORAGE,
        key_bytes=4,
        value_bytes=16,
        entries=0,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4221,
        name="guard",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=16,
        entries=1,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4222,
        name="guarded",
        type=MapType.HASH,
        key_bytes=8,
        value_bytes=4,
        entries=MAX_GUARDED,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4223,
        name="agents",
        type=MapType.TASK_STORAGE,
        key_bytes=4,
        value_bytes=4,
        entries=0,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x4250,
        name="start_rule",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=56,
        entries=1,
        flags=MapFlag(0),
    ),
    MapDefinition(
        identifier=0x4251,
        name="known",
        type=MapType.HASH,
        key_bytes=8,
        value_bytes=4,
        entries=MAX_CGROUPS,
        flags=MapFlag.NO_PREALLOC,
    ),
    MapDefinition(
        identifier=0x420f,
        name="instances",
        type=MapType.ARRAY,
        key_bytes=4,
        value_bytes=48,
        entries=1,
        flags=MapFlag(0),
    ),
)

__all__ = [
    "ABI_VERSION",
    "ADDRESS_FAMILIES",
    "ARENA_SLOTS",
    "ARENA_TAIL",
    "ARGUMENTS_BYTES",
    "AnchorKey",
    "Arena",
    "ArenaSlot",
    "BuiltIn",
    "CAPABILITIES",
    "COMM_BYTES",
    "CounterKey",
    "DECISION_AUDIT_SHIFT",
    "DECISION_RULE_MASK",
    "DECISION_RULE_SHIFT",
    "DECISION_VERDICT_MASK",
    "Departure",
    "ELEMENT_BYTES",
    "EVENT_BUFFER_BYTES",
    "EXECUTABLE_BYTES",
    "Guard",
    "Guarded",
    "GuardedKey",
    "HOME_IS_NODE",
    "InodeMemory",
    "Instance",
    "KernelFunction",
    "Known",
    "Layer",
    "LayerKey",
    "LayerKind",
    "LinkKey",
    "Linked",
    "MAPS",
    "MAX_ANCHORS",
    "MAX_CGROUPS",
    "MAX_CONTAINERS",
    "MAX_COUNTERS",
    "MAX_GUARDED",
    "MAX_INODES",
    "MAX_LAYERS",
    "MAX_LINKS",
    "MAX_OUTCOMES",
    "MAX_PORTS",
    "MAX_PREFIXES",
    "MAX_REPEATS",
    "MAX_SETS",
    "MAX_SOCKETS",
    "MAX_SUBJECTS",
    "NAME_BYTES",
    "NOTICE_BYTES",
    "NetworkState",
    "OBJECT_BYTES",
    "OPERATION_PRIVILEGED",
    "OUTCOME_SILENT",
    "Operation",
    "Outcome",
    "PATH_LEVELS",
    "PATH_OPERATIONS",
    "PATH_QUESTIONS",
    "PRIVILEGED_OPERATIONS",
    "PolicySet",
    "PortKey",
    "PrefixKey",
    "ProcessMemory",
    "Question",
    "RECORD_ARGUMENTS_TRUNCATED",
    "RECORD_EXECUTABLE_TRUNCATED",
    "RECORD_FROM_PACKET",
    "RECORD_OBJECT_TRUNCATED",
    "RECORD_PATH_IN_FILE_SYSTEM",
    "RECORD_SUBJECT_UNKNOWN",
    "RECORD_UNRESOLVED",
    "REMEMBERED",
    "REPEAT_WINDOW_NS",
    "REST_BYTES",
    "RULING_EPOCH_SHIFT",
    "Record",
    "Repeat",
    "RepeatKey",
    "SEEKER_BYTES",
    "SEEN_SLOTS",
    "SET_HAS_CAPABILITIES",
    "SET_HAS_NETWORK",
    "SET_HAS_OPERATIONS",
    "SET_HAS_PATHS",
    "SET_HAS_PROVENANCE",
    "SET_HAS_SOCKETS",
    "SET_HAS_SPECIAL_FILES",
    "SET_HAS_SUBJECTS",
    "SET_MAY_BLOCK",
    "SOCKET_CELLS",
    "SOCKET_COLUMNS",
    "SOCKET_DECISIONS",
    "SOCKET_KINDS",
    "SOCKET_ROWS",
    "STATE_NAMELESS",
    "STATE_NESTED",
    "STATE_SINK",
    "STATE_UNKNOWN",
    "STATISTICS",
    "SUBJECT_OTHER",
    "SUBJECT_UNKNOWN",
    "Seen",
    "SocketMemory",
    "StartRule",
    "Statistic",
    "Statistics",
    "TAINTED_CODE",
    "TAINTED_TRACED",
    "Verdict",
    "Writing",
]
