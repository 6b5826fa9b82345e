"""What was told so far, kept over a restart of the agent: counters in the kernel outlive the agent, too.

Written after each batch, without fsync: whatever makes the page cache go makes the counters go as well. An agent that
dies between its spool and this file tells at most one batch a second time, as a gap; never the other way round.
"""

from __future__ import annotations

import json
from pathlib import Path

from bulkhead.files import write_whole
from bulkhead.log import get_log
from bulkhead.report.reconcile import CounterName, Ledger

log = get_log()

FORMAT = 1


def load(path: Path, boot_id: str) -> Ledger:
    """What an agent of the same boot (kernel's boot id) left, or an empty ledger."""
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT or document["boot_id"] != boot_id:
            return Ledger()
        return Ledger({CounterName(*name): count for *name, count in document["told"]})
    except FileNotFoundError:
        return Ledger()
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.error("ledger_unreadable", path=str(path), error=str(error))
        return Ledger()


def save(path: Path, ledger: Ledger, boot_id: str) -> None:
    """Replaces the file. A disk that takes nothing is only logged: the spool tells about it already."""
    told = [[*name, count] for name, count in ledger.told.items()]
    try:
        write_whole(path, json.dumps({"format": FORMAT, "boot_id": boot_id, "told": told}).encode())
    except OSError as error:
        log.error("ledger_not_written", path=str(path), error=error.strerror)
