"""Keeps the state of the cluster fresh: one watch a kind of object, for as long as the agent runs.

Pods are those of this node only, and it is the only node. Next step: `kube.reflector`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from bulkhead.agent.cluster.state import LABELLED, ClusterState
from bulkhead.kube.client import Api
from bulkhead.kube.metrics import client_samples
from bulkhead.kube.objects import collection_path
from bulkhead.kube.policy_key import POLICY_KINDS
from bulkhead.kube.reflector import Reflector, Tuning
from bulkhead.monitoring.exposition import Sample


class Watching:
    """The watches of one agent."""

    def __init__(self, api: Api, state: ClusterState, node: str, tuning: Tuning | None = None) -> None:
        self._api = api
        of_node = {"Pod": f"spec.nodeName={node}", "Node": f"metadata.name={node}"}
        self._reflectors = {
            kind: Reflector(
                api,
                collection_path(kind),
                partial(state.replace, kind),
                partial(state.change, kind),
                field_selector=of_node.get(kind, ""),
                take=partial(state.take, kind),
                tuning=tuning,
            )
            for kind in (*POLICY_KINDS, *LABELLED, "Pod")
        }

    def tasks(self) -> dict[str, Callable[[], None]]:
        """What runs, by name."""
        return {f"watch {kind}": reflector.run for kind, reflector in self._reflectors.items()}

    def reflectors(self) -> Iterable[Reflector]:
        """One a kind."""
        return self._reflectors.values()

    def samples(self) -> Iterator[Sample]:
        """How they are, for Prometheus."""
        return client_samples(self._api, self._reflectors)

    def stop(self) -> None:
        """End them soon."""
        for reflector in self._reflectors.values():
            reflector.stop()
