"""`bulkhead policy explain --pod`: the policies of a cluster that select one container.

Next step: `cli.status_pods`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bulkhead.cli import cluster_options
from bulkhead.errors import PolicyRefused, UsageError

if TYPE_CHECKING:
    from bulkhead.policy.parse import Parsed


def read(arguments: argparse.Namespace) -> Parsed:
    """Raises `UsageError`, `PolicyRefused` where one that may select it is refused, `Unreachable`."""
    from bulkhead.cli.status_pods import Asking, selecting  # noqa: PLC0415  # the Kubernetes client takes its time
    from bulkhead.policy.parse import Parsed, Place  # noqa: PLC0415

    if arguments.files or arguments.selector:
        raise UsageError("--pod goes without FILE and --selector; nothing was read")
    asking = Asking(cluster_options.connect_to(arguments))
    asked = asking.about(asking.pods(cluster_options.scope(arguments), arguments.pod)[0])
    names = [each.name for each in asked.pod.containers]
    chosen = arguments.container or (names[0] if len(names) == 1 else "")
    if chosen not in names:
        raise UsageError(
            f"pod {arguments.pod}: which container? -c names one that runs: {', '.join(names) or 'there is none'}"
        )
    found = selecting(asked, chosen)
    problems = tuple(problem for each in found for problem in each.problems)
    if problems:
        raise PolicyRefused(problems)
    policies = [(each.policy, Place(str(each.key), 0, lambda _: 0)) for each in found if each.policy]
    if not policies:
        raise UsageError(f"no policy selects container {chosen} of pod {arguments.pod}: everything is allowed to it")
    return Parsed(tuple(policy for policy, _ in policies), (), tuple(place for _, place in policies))
