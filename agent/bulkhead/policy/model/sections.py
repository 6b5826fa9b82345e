"""What sections and their rules have in common, and the sections on programs, files and privileges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from bulkhead.policy.model.base import MAX_ITEMS, MAX_PATTERNS, MAX_RULES, Model
from bulkhead.policy.model.texts import Action, Capability, NonEmpty, Pattern, Program, RuleName
from bulkhead.policy.refusal import refusal

FileOperation = Literal["Read", "Write", "Create", "Delete", "Rename", "Link", "Attributes", "Map"]
PrivilegedOperation = Literal[
    "Mount", "Ptrace", "LoadModule", "Bpf", "UserNamespace", "PerfEvent", "IoUring", "Keyring", "SetTime", "Chroot",
    "SetNamespace", "RawDevice", "ProcMem", "KernelSettings",
]  # fmt: skip


class RuleBase(Model):
    """What every rule has."""

    name: RuleName | None = Field(
        default=None,
        description="What violations call the rule; unique within its section. A rule without one is called `rules[N]`,"
        " counted from 0, so its name changes when rules before it come or go.",
    )
    action: Action = Field(
        description="`Allow`; `Audit`: report it, whatever the verdict is; `Deny`: it fails with EPERM; `Kill`: it "
        "fails and the process ends. An explicit Kill or Deny of any policy wins over an Allow."
    )
    by: Annotated[list[Program], NonEmpty] = Field(
        default=[],
        max_length=MAX_ITEMS,
        json_schema_extra={"minItems": 1},
        description="Only when the acting program is one of these, such as `/usr/bin/bash`; with an exclamation mark, "
        "such as `!/usr/bin/web`, when it is anything else. It follows the program across fork and ends at exec.",
    )


class Section(Model):
    """What every section has: a default, and rules with unique names."""

    default: Action | None = Field(
        default=None,
        description="The verdict where no rule of any policy matches. Of several policies the strictest default holds; "
        "without any it is allowed. `Deny` makes the section an allow-list.",
    )

    def refusals(self) -> Iterator[PydanticCustomError]:
        """Sections that say nothing, and names that are used twice."""
        rules: Sequence[RuleBase] = getattr(self, "rules", ())
        if self.default is None and not rules:
            yield refusal("says nothing", "write rules or a default, or leave it out")
        seen: set[str] = set()
        for index, rule in enumerate(rules):
            if rule.name in seen:
                yield refusal(f"two rules are called {rule.name}", "rename one", ("rules", index, "name"))
            if rule.name:
                seen.add(rule.name)


class ExecRule(RuleBase):
    """Which programs may be started. It matches where everything that it names holds."""

    paths: Annotated[list[Pattern], NonEmpty] = Field(
        default=[],
        max_length=MAX_PATTERNS,
        json_schema_extra={"minItems": 1},
        description="Programs by path, as the container sees them: `/usr/bin/apt`, `/sbin/**` for everything below, "
        "`/usr/bin/apt*` within one directory. Of a script, the script and its interpreter are both judged.",
    )
    not_in_image: bool = Field(
        default=False, description="Programs that were not in the container's image: written since it was started."
    )
    fileless: bool = Field(
        default=False, description="Programs that no path leads to: in memory only (memfd), or deleted."
    )

    def refusals(self) -> Iterator[PydanticCustomError]:
        """Rules that cannot match."""
        if not (self.paths or self.not_in_image or self.fileless):
            yield refusal("the rule matches nothing", "write paths, notInImage: true or fileless: true")
        if self.fileless and self.paths:
            yield refusal("the rule matches nothing: what is fileless has no path", "make two rules of it", ("paths",))


class FileRule(RuleBase):
    """What may be done to files and directories."""

    paths: Annotated[list[Pattern], NonEmpty] = Field(
        max_length=MAX_PATTERNS,
        json_schema_extra={"minItems": 1},
        description="Files by path, as the container sees them: `/etc/shadow`, `/var/run/secrets/**` for everything "
        "below, `/home/*/.ssh/*`. They stay covered through symbolic links, mounts, renames and chroot.",
    )
    operations: Annotated[list[FileOperation], NonEmpty] | None = Field(
        default=None,
        max_length=8,
        json_schema_extra={"minItems": 1},
        description="What is done to them: `Read`, `Write` and `Create` by opening; `Delete`, `Rename` and `Link` of "
        "names; `Attributes` such as mode and owner; `Map` into memory for execution. Omitted: all of these.",
    )


class CapabilityRule(RuleBase):
    """Which capabilities may be used, whatever the container was given."""

    names: Annotated[list[Capability], NonEmpty] = Field(
        max_length=64,
        json_schema_extra={"minItems": 1},
        description="Capabilities, with or without `CAP_`: `NET_RAW`, `SYS_ADMIN`.",
    )


class OperationRule(RuleBase):
    """Which privileged operations may be done."""

    names: Annotated[list[PrivilegedOperation], NonEmpty] = Field(
        max_length=32, json_schema_extra={"minItems": 1}, description="Privileged operations of the kernel: `Mount`."
    )


class ExecSection(Section):
    """Starting programs."""

    rules: list[ExecRule] = Field(default=[], max_length=MAX_RULES, description="Which programs may be started.")


class FilesSection(Section):
    """Using files."""

    rules: list[FileRule] = Field(default=[], max_length=MAX_RULES, description="What may be done to which files.")


class CapabilitiesSection(Section):
    """Using capabilities."""

    rules: list[CapabilityRule] = Field(
        default=[],
        max_length=MAX_RULES,
        description="Which capabilities may be used, whatever the container was given.",
    )


class OperationsSection(Section):
    """Privileged kernel operations."""

    rules: list[OperationRule] = Field(
        default=[], max_length=MAX_RULES, description="Which privileged operations may be done."
    )
