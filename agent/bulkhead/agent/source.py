"""What the agent is asked to enforce: containers, each with the policies that select it.

Two inputs answer: `agent.standalone`, a folder of policies and a pattern of cgroups, and `agent.cluster`, the API
server. Next step: `agent.sync` makes what is enforced equal to it, `agent.main` runs an input's tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bulkhead.errors import BulkheadError
from bulkhead.monitoring.exposition import Sample
from bulkhead.node.container import Container
from bulkhead.policy.rules import PolicyRules

if TYPE_CHECKING:
    from bulkhead.agent.sync import Sync
    from bulkhead.enforcement.starts import Starts


@dataclass(frozen=True)
class Assignment:
    """A container that is there, and what should be enforced on it.

    `unknown` says what is not known yet that decides about further policies; empty where these are all.
    """

    container: Container
    policies: tuple[PolicyRules, ...]
    unknown: str = ""


class Source(Protocol):
    """Where assignments come from."""

    def read(self) -> tuple[Assignment, ...] | None:
        """Every container that should be under a policy now; None as long as that is not known.

        An answer is whole: what is not in it is released, where `is_over` says so.
        """
        ...

    def spared(self) -> tuple[Path, ...]:
        """Cgroups that inherit nothing from those of the node's own processes above them."""
        ...

    def is_over(self, container: Container) -> bool:
        """Whether a container that is in no assignment is to be released, and not only unknown."""
        ...


class Input(Protocol):
    """A source, and what has to run for it."""

    @property
    def source(self) -> Source:
        """Where assignments come from."""
        ...

    @property
    def changed(self) -> threading.Event:
        """Set when the source may have something new; it is looked at every half second as well."""
        ...

    def tasks(self, sync: Sync, starts: Starts) -> dict[str, Callable[[], None]]:
        """What runs beside the agent's own tasks, by name, until `stop`. `starts` are the kernel's, to be asked for."""
        ...

    def samples(self) -> Iterable[Sample]:
        """What there is to say of it to Prometheus, now."""
        ...

    def stop(self) -> None:
        """End the tasks soon."""
        ...

    def tell_unable(self, error: BulkheadError) -> None:
        """This node cannot enforce, and the agent ends: tell whoever asked for it."""
        ...
