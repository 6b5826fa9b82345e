"""What the reference page says beyond fields: what a set of policies means, what is enforced, what does not fit.

No model holds these words, so they are here; figures come from the modules that enforce them. The exact meaning is
`policy.oracle`'s. Next step: `policy.document_reference` makes the page.
"""

from __future__ import annotations

from collections.abc import Iterator

from bulkhead.policy.locate import DEPTH, DOCUMENT_BYTES, NODES
from bulkhead.policy.model.base import MAX_ITEMS, MAX_PATTERNS, MAX_RULES
from bulkhead.policy.patterns import ELEMENT_BYTES, PATH_BYTES
from bulkhead.policy.support import unenforced

MEANING = """\
## What a policy means

A container's policy set is the union of all policies that select it; their order never matters. For one access:

1. an explicit Kill or Deny wins, Kill over Deny;
2. else an explicit Allow;
3. else the strictest `default` of the section among the policies of the set;
4. else it is allowed.

So a policy can take away what another allows, and cannot allow what another denies by a rule. An Allow is an exception
from defaults, also from those of other policies.

A rule of action Audit reports and never changes the verdict; a default of Audit allows and reports. A policy of mode
Audit takes part in a second, shadow decision only, together with all the others: what that would deny is reported as
WOULD_DENY, and let through. It never lets through what the enforced policies deny. A policy of mode Disabled is as if
it were not there.

Where several rules of one strictness match, the violation names the first by namespace, policy, section and rule name.

## Whom it selects

A policy holds for a container where everything that it selects by does: `podSelector` the labels of its pod,
`containers` its name, and in a ClusterSecurityPolicy `namespaceSelector` the labels of its namespace and `nodeSelector`
those of its node. Selectors are Kubernetes' label selectors: all of `matchLabels` and `matchExpressions` must hold, a
label that is not there is `NotIn` anything, and an empty selector, like an omitted one, selects all. Init, sidecar and
ephemeral containers count like any other.

A change of labels counts when the API server tells the node's agent, at once. Labels that it has not told yet are not
labels that are not there: a policy that asks for them goes on holding where it held, and where it did not, the
container does not start before they come, or counts as not enforced.

The agent's own pod is under no policy.

### Processes of nodes

A ClusterSecurityPolicy with `hostProcesses` holds for processes that are in no pod, on the nodes that `nodeSelector`
selects, and for no container. `cgroups` names cgroups as `/proc/PID/cgroup` shows them, and means all below them, too.
Without it these are all cgroups of the node, but for those of pods and of other containers.

- A process that is moved into a container's cgroup, as a runtime does with what it starts, is judged by the
  container's policies, or by none. One that a container has lost to a cgroup of the node stays under the container's.
- Paths are those of the node. `notInImage` is refused, because there is no image. `network.egress` needs `cgroups`,
  and does not hold for processes in a cgroup above those of pods.
- Nothing is refused beyond the rules: Tampering is for containers. Kernel threads are under no policy.
- **A Deny or Kill that meets kubelet, container runtime or systemd can take down the node.** A runtime starts itself
  from a memory file, which is `fileless`, and needs `Mount`, `SetNamespace` and most capabilities for each pod. Try
  with `mode: Audit`.
- A cgroup that is named itself and made anew, as at each start of a service, is found within half a second; one that
  is made below a cgroup under the policy is under it at once.

## When it holds

A set is exchanged whole: each access is judged by the old one or by the new one, never by parts of both and never by
none. The new one holds at once for processes that run already, and in their child cgroups. For what is open already:

- **A file that is open stays open.** Reading and writing through a descriptor that was opened before is not judged
  again. Truncating the file and changing its attributes are, and so is opening it once more, also through
  `/proc/self/fd`. A descriptor that comes from another process is judged as if the receiver opened the file.
- **A program that runs goes on running**, and what it has mapped stays mapped. What it starts or opens from then on is
  judged anew.
- **A TCP connection is judged again at its next packet** after every change of the set, and cut there if it is not
  allowed any more; of other protocols every packet is judged. Connections that were made before the container had any
  policy at all are not judged.

It holds for the container's cgroup and all below it, and for whoever was moved out of them, with what they start, until
they end. Whoever left makes no new IP sockets where `network.egress` denies something.

Under any policy, a container may not touch what enforces it: the agent's process, maps, programs, links and pins of
Bulkhead, and control files of cgroups that are not its own or below it. That is refused with EPERM as operation
`Tampering` of the built-in policy `bulkhead`, whatever the policies say; where all of them are of mode Audit it is only
reported.

## Paths

Paths are absolute and as the container sees them. They are compared as bytes; case matters.

| pattern | stands for |
|---|---|
| `/usr/bin/apt` | that file |
| `/usr/bin/apt*`, `/tmp/?` | `*` any bytes, also none, and `?` one, within one element of the path |
| `/srv/**` | everything below /srv, however deep; not /srv itself |
| `/srv/**/keys` | `keys` in /srv or anywhere below it |

`**` stands alone between slashes. Brackets and braces mean themselves: `/usr/bin/[` is a program, `{a,b}` is no choice.

- What is judged is the file's own place, whatever name it was reached by: relative paths, symbolic links, chroot,
  `/proc/self/root`, bind mounts and mount namespaces of one's own lead to the same answer.
- A rule on a link holds for what the link leads to in that container: `/bin/sh` is dash or bash where it points there.
- A directory that is visible at several paths is under the rules for each of them.
- What appears at a covered path later is covered, and judged before it is made.
- A hard link or a rename that would make a file be judged otherwise than before is refused; for a directory with EXDEV,
  on which mv copies instead.
- A file with several names, made before the policy, is under the rules for each of them that the container can see.
- A path that cannot be found out (too deep, or on a file system that was mounted a moment ago) is judged by the
  strictest Deny or Kill that could have matched, and the event says so.
- A file without a path, such as a memory file or a pipe, matches no pattern: the default decides.

## File operations

| operation | is done by |
|---|---|
| `Read` | opening to read, also a directory; receiving a descriptor that can read |
| `Write` | opening to write, however it is written then; truncating; receiving; connecting, sending to a unix socket |
| `Create` | a new file, directory, device, pipe, socket or link; `O_TMPFILE`, by the directory; a rename's new name |
| `Delete` | `unlink`, `rmdir`; being replaced by a rename |
| `Rename` | the old name of a rename. An exchange is a rename of both, each of which replaces the other |
| `Link` | the old name of a hard link; the new one is `Create` |
| `Attributes` | mode, owner, times, extended attributes, access lists, flags |
| `Map` | mapping for execution, at once or by mprotect; not starting |

A unix socket is under the rules for the path that it is bound to, and connecting or sending to it is `Write`: deny
that of `/run/containerd/containerd.sock` to keep containers from the runtime. A stream is judged when it connects,
datagrams each. Pairs and abstract names are no files (`network.sockets` can deny them).

What the kernel does in passing is not judged: times that change with reading and writing, the end of set-user-id when a
program is written to.

## Executing

Executing a file is: starting it, by path or descriptor; starting a script or a document of a registered format
(binfmt_misc), of which the file and its interpreter are both judged; being the loader that a program names (PT_INTERP);
and being mapped for execution, at once or by mprotect, which is how libraries and the arguments of a loader
(`ld.so PROGRAM`) come to run. What an interpreter reads (`sh SCRIPT`, `python -c`) is data. Rules on `files` with the
operation `Map` hold for mapping too, not for starting.

- Under an allow-list, a program that was started with a loader may map the libraries of its image without their being
  listed. A program without one may map only what is listed: a static one, or the loader itself, started as a program.
- `notInImage` matches what was not in the container's image. Where the container's root is an overlay of its own (as
  containerd, CRI-O and Docker make it), the image is what lies in its lower layers: a file that was written, or whose
  name, mode or owner was changed, has been copied to the upper layer and is not of the image any more; volumes, tmpfs
  and all other file systems are not. With any other root, as under `bulkhead run`, it is what was there and mounted
  when the container came under its first policy: a file is of the image until its time of change (ctime, which the
  kernel sets) is later, or a process under policy opens it for writing. Times of change on network file systems are
  the server's.
- `fileless` matches what no path leads to: memory files (memfd, System V shared memory), files without a name
  (O_TMPFILE), deleted files. Rules on the path that a deleted file had hold as well.
- Memory that belongs to no file may be executed: JITs work under every rule. The pages of a private
  mapping that were written to are judged as the file they belong to.
- All that a rule names must hold: `paths` with `notInImage` is about files written below these paths.

## Programs that act

A rule with `by` is about the acts of some programs: those that a pattern of it matches (all, where it has none without
`!`), less those that a pattern with `!` matches. Patterns are paths like those above.

- **A process is the program whose file it executed**, settled at that moment by the file's place: renaming, replacing
  or removing the file later changes nothing for those that run it. Its threads and whatever it starts are that
  program too, until they execute.
- **A script is its interpreter**, and a program that is started through its loader (`ld.so prog`) is the loader: that
  is what runs, and whoever may choose its arguments or environment decides what it does. A rule about a script's own
  path holds for nobody.
- Processes that run already when a policy arrives, or is changed, are known by the file that they executed; on Linux 7,
  where the kernel does not let that be followed, they are not known until they execute again.
- **A process that is not known counts as whatever is stricter**: a Deny, Kill or Audit with `by` holds for it, an Allow
  with `by` does not. Not known are programs whose path cannot be found out, among them what begins a container or a
  command in it (runc), those that another program traced when they executed, and those with foreign code.
- Where a policy has rules with `by`, its containers' programs are kept apart: none may attach to another program's
  processes with ptrace, read or write their memory or take their descriptors, and none may say that it executed
  another file (PR_SET_MM_EXE_FILE, PR_SET_MM_MAP). Programs for which the same rules hold count as one. What processes
  do that are under no policy is not refused.
- **Foreign code takes the trust**: a program that `by` names and that maps code which is not of the container's image
  (a library named by `LD_PRELOAD`, `dlopen` of a file written since, of a volume or of a memory file) is not known
  from then on, and neither is what it starts, until it executes. A library that glibc's loader maps need have no code
  for that. Memory of no file, and files mapped shared, which loaders do not do, are a compiler's own and change
  nothing. What a process mapped while no policy with `by` held is not looked at.
- Whoever may write to a program's file can be that program: protect it with a rule of `files`.
- In `network.egress` a connection is judged by who connects, and again where another program sends on it or the policy
  changes. A packet is judged by who used its socket last; one whose sender is not known, such as the kernel's own
  answer to a ping, as above.

## Addresses and ports

A rule of `network.egress` matches where one of its peers and one of its ports do. Without `to` it holds for every
address, without `ports` for every protocol. IPv4 and IPv6 are apart: `0.0.0.0/0` is all of IPv4, `::/0` all of IPv6,
and an IPv4 address written as IPv6 is IPv4.

ICMP has no ports, so that rules with ports do not match it. Where ports cannot be known (fragments, other protocols,
extension headers), every Deny or Kill that could match does, and an Allow only if it has no ports.
"""

_REST = """
Limits of a node, such as path automata taken together, are in [limits](limits.md).

In a document a key stands once; merge keys (`<<`), tags of applications and bytes that are not UTF-8 are refused. In a
path there is no slash at the end, and no `.` or `..`. What the API server adds to an object (`status`, `metadata.uid`
and so on) is ignored, so that what `kubectl get -o yaml` prints can be read; a `List` is its items. A bad document is
refused alone: others of the same file are read.
"""


def enforced() -> Iterator[str]:
    """What works now, and what is refused until it does."""
    yield "## Enforced now\n"
    yield "| section | what matches | what happens where it is denied |\n|---|---|---|"
    yield "| `exec` | `paths`, `notInImage`, `fileless` | exec, mmap and mprotect fail with EPERM |"
    yield "| `files` | `paths`, `operations` | the call fails with EPERM |"
    yield "| `network.egress` | `to` with `cidr`, `except`; `ports` | connect fails with EPERM, packets are dropped |"
    yield "| `network.sockets` | `families`, `types` | making the socket fails with EPERM |"
    yield "| `capabilities` | `names` | what needs the capability fails with EPERM |"
    yield "| `operations` | `names` | the call fails with EPERM |"
    yield "\nEach with every action, `by`, `default` and `mode`. Kill also ends the process with SIGKILL; in"
    yield "`network.egress` that is the one that connects or sends.\n"
    yield "## Not enforced yet\n"
    yield "A policy that uses one of these is refused as a whole, with the field's name in the reason:\n"
    yield "| field | what |\n|---|---|"
    yield from (f"| `{field}` | {what} |" for field, what in unenforced())
    yield "\nWhat a container can still do to get round what is enforced is in the [threat model](threat-model.md).\n"


def limits() -> Iterator[str]:
    """What does not fit, and what happens then."""
    yield "## Limits\n"
    yield "What does not fit is refused with the number and the limit, and changes nothing; nothing is cut short.\n"
    yield "| of | at most |\n|---|---|"
    yield f"| a document | {DOCUMENT_BYTES} bytes, {NODES} values once YAML aliases are followed, {DEPTH} levels |"
    yield f"| a section | {MAX_RULES} rules |"
    yield f"| a rule | {MAX_PATTERNS} paths or peers, {MAX_ITEMS} ports |"
    yield f"| a path pattern | {PATH_BYTES} bytes, {ELEMENT_BYTES} in one element |"
    yield _REST
