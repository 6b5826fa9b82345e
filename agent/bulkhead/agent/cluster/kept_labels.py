"""The labels of namespaces and of the node, on disk for an agent that starts while there is no API server.

They are written once everything has been told: that they are there says that the policies beside them are complete.
Next step: `agent.cluster.state`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from bulkhead.agent.cluster.sealed import SealedFolder
from bulkhead.errors import Damaged
from bulkhead.log import get_log
from bulkhead.policy.select import Labels

LabelsByKind = Mapping[str, Mapping[str, Labels]]  # kind -> name of the object -> labels
_NAME = "labels"

log = get_log()


class KeptLabels:
    """In a folder of ours. What cannot be read or written is logged, and done without."""

    def __init__(self, folder: Path) -> None:
        self._folder = SealedFolder(folder)
        self._lock = threading.Lock()
        self._kept: LabelsByKind | None = None

    def recall(self) -> LabelsByKind | None:
        """What was kept last; None where nothing was."""
        try:
            self._kept = self._folder.read(_NAME)
        except Damaged as error:
            log.error("labels_not_kept", error=str(error))
        return self._kept

    def keep(self, labels: LabelsByKind) -> None:
        """Write them down, if they are news."""
        with self._lock:
            if labels == self._kept:
                return
            try:
                self._folder.write(_NAME, labels)
            except OSError as error:
                log.error("labels_not_kept", error=error.strerror)
                return
            self._kept = labels
