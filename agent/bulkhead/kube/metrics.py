"""What a client of the API server has done, as samples. Next step: `kube.client` and `kube.reflector`, which count."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping

from bulkhead.kube.client import Api
from bulkhead.kube.reflector import Reflector
from bulkhead.monitoring import catalog
from bulkhead.monitoring.exposition import Sample


def client_samples(api: Api, watches: Mapping[str, Reflector]) -> Iterator[Sample]:
    """Of one API server; `watches` by kind of object. Before a server has said anything there is no silence to tell."""
    for (action, status), count in api.requests.counts().items():
        yield Sample(catalog.API_REQUESTS, count, (action, str(status)))
    now = time.monotonic()
    for kind, reflector in watches.items():
        counters = reflector.counters
        yield Sample(catalog.WATCH_SYNCED, reflector.synced.is_set(), (kind,))
        yield Sample(catalog.WATCH_EVENTS, counters.events, (kind,))
        yield Sample(catalog.WATCH_LISTS, counters.lists, (kind,))
        silence_s = counters.silence_s(now)
        if math.isfinite(silence_s):
            yield Sample(catalog.WATCH_SILENCE, silence_s, (kind,))
        for error, count in tuple(counters.errors.items()):
            yield Sample(catalog.WATCH_ERRORS, count, (kind, error))
