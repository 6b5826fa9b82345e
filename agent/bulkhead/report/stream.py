"""From the spool to a collector, for as long as the agent lives: connect, introduce, send, be acknowledged.

A collector that is away, slow, refuses or answers rubbish costs nothing but time: what it has not acknowledged stays
in the spool, and the loop tries again after a pause with full jitter. Runs in threads of its own, because the agent
does. Next step on the other side: `collector.ingest`.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Condition, Event, Thread
from typing import cast

import grpc

from bulkhead import __version__
from bulkhead.errors import BulkheadError, Unreachable
from bulkhead.log import get_log
from bulkhead.report.spool import Spool
from bulkhead.report.wire import encode_batch
from bulkhead.settings import StreamLimits
from bulkhead.v1.ingest_pb2 import AgentMessage, CollectorMessage, Hello

log = get_log()

METHOD = "/bulkhead.v1.Ingest/Stream"
SCHEMA_VERSION = 1
LOOK_EVERY_S = 0.5  # how often a waiting thread looks whether it should end
CLAIM_LIMIT = 1 << 40  # a collector that claims more than this beyond what we know is talking rubbish


class Stream:
    """Delivers what is in `spool`. `connect` makes a new channel each time it is called."""

    def __init__(
        self,
        spool: Spool,
        node: str,
        connect: Callable[[], grpc.Channel],
        limits: StreamLimits | None = None,
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._spool, self._node, self._connect = spool, node, connect
        self._limits = limits or StreamLimits()
        self._chance = chance
        self._stopping = Event()
        self._sent = spool.opened_at
        self._thread = Thread(target=self._run, name="stream", daemon=True)
        self._session: Session | None = None
        self.failures = 0

    @property
    def connected(self) -> bool:
        """Whether a collector takes entries now."""
        session = self._session
        return session is not None and session.welcomed

    def start(self) -> None:
        """Begins to deliver, in a thread."""
        self._thread.start()

    def drain(self, timeout_s: float) -> bool:
        """Waits until everything in the spool is acknowledged; False where the time was over before."""
        deadline = time.monotonic() + timeout_s
        while (status := self._spool.status()).acknowledged < status.last_sequence:
            if not self._thread.is_alive() or time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> None:
        """Ends the stream; what was not acknowledged stays in the spool."""
        self._stopping.set()
        if self._session:
            self._session.end()
        self._thread.join()

    def _run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            delivered = False
            try:
                delivered = self._deliver()
            except BulkheadError as error:
                self.failures += 1
                log.warning("stream_failed", node=self._node, error=str(error))
            attempt = 0 if delivered else attempt + 1
            if not self._stopping.is_set():
                self._stopping.wait(self.pause_s(attempt))

    def pause_s(self, attempt: int) -> float:
        """Seconds before the next attempt: anything up to a bound that doubles, so that nodes do not come at once."""
        first, last = self._limits.backoff_first_s, self._limits.backoff_last_s
        return self._chance(first, max(first, min(last, first * 2.0 ** min(attempt, 16))))

    def _deliver(self) -> bool:
        """One connection, to its end. True where it got anything acknowledged. Raises BulkheadError."""
        with closing(self._connect()) as channel:
            session = self._session = Session(self._spool, self._node, self._limits, self._sent, self._stopping)
            try:
                session.converse(channel)
            except grpc.RpcError as error:
                if not self._stopping.is_set():
                    raise Unreachable(f"collector: {describe(error)}; everything stays in the spool") from error
            finally:
                session.end()
                self._sent = max(self._sent, session.sent)
            return session.acknowledged_any


class Session:
    """One connection: what was sent on it and what was not acknowledged yet."""

    def __init__(self, spool: Spool, node: str, limits: StreamLimits, sent: int, stopping: Event) -> None:
        self._spool, self._node, self._limits = spool, node, limits
        self._stopping = stopping
        self._changed = Condition()
        self._outstanding: deque[int] = deque()  # last sequences of batches
        self._durable: int | None = None
        self._ended = False
        self._progress_s = time.monotonic()
        self._call: grpc.Call | None = None
        self.sent = sent
        self.acknowledged_any = False

    @property
    def welcomed(self) -> bool:
        """Whether the collector has answered, and the connection stands."""
        return self._durable is not None and not self._ended

    def converse(self, channel: grpc.Channel) -> None:
        """Speaks until either side ends it. Raises grpc.RpcError, and Unreachable where an answer is rubbish."""
        method = channel.stream_stream(
            METHOD, request_serializer=lambda message: message, response_deserializer=CollectorMessage.FromString
        )
        call = method(self._requests())
        self._call = cast(grpc.Call, call)
        Thread(target=self._watch, name="stream-watch", daemon=True).start()
        for answer in call:
            if answer.WhichOneof("kind") == "welcome" and self._durable is None:
                self._accept_welcome(answer.welcome.durable_sequence)
            elif answer.WhichOneof("kind") == "acknowledgement" and self._durable is not None:
                self._accept_acknowledgement(answer.acknowledgement.sequence)
            else:
                raise Unreachable("collector: a message that has no place here; everything stays in the spool")

    def end(self) -> None:
        """Ends the connection from any thread."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._call:
            self._call.cancel()

    def _accept_welcome(self, durable: int) -> None:
        if durable > self.sent + CLAIM_LIMIT:
            raise Unreachable(f"collector: claims to have sequence {durable}; everything stays in the spool")
        if durable > self.sent:
            # It has numbers that our spool does not know: a spool that was lost in part. Under a new boot id nothing
            # of ours is taken for what it has.
            self._spool.renew()
            raise Unreachable(f"collector: has sequence {durable} of {self.sent}; the spool begins a new life")
        self._spool.acknowledge(durable)
        log.info("collector_connected", node=self._node, boot_id=self._spool.boot_id, durable=durable)
        with self._changed:
            self._durable = durable
            self._changed.notify_all()

    def _accept_acknowledgement(self, sequence: int) -> None:
        with self._changed:
            assert self._durable is not None
            if not self._durable <= sequence <= self.sent:
                raise Unreachable(
                    f"collector: acknowledged {sequence}, which is not between {self._durable} and {self.sent};"
                    " everything stays in the spool"
                )
            self._durable = sequence
            self._progress_s = time.monotonic()
            while self._outstanding and self._outstanding[0] <= sequence:
                self._outstanding.popleft()
            self._changed.notify_all()
        self._spool.acknowledge(sequence)
        self.acknowledged_any = True

    def _requests(self) -> Iterator[bytes]:
        """What to send; called by a thread of gRPC's, which takes the next message when there is room for it."""
        yield self._hello()
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._durable is not None)
            after = self._durable or 0
        while not self._ended:
            for frames in self._spool.batches(after, self._limits.batch_entries, self._limits.batch_bytes):
                if not self._wait_for_room():
                    return
                after = frames[-1].sequence
                with self._changed:
                    if not self._outstanding:
                        self._progress_s = time.monotonic()
                    self._outstanding.append(after)
                    self.sent = max(self.sent, after)
                yield encode_batch(frames)
            self._spool.wait(after, LOOK_EVERY_S)

    def _hello(self) -> bytes:
        hello = Hello(
            node=self._node, boot_id=self._spool.boot_id, schema_version=SCHEMA_VERSION, agent_version=__version__
        )
        return AgentMessage(hello=hello).SerializeToString()

    def _wait_for_room(self) -> bool:
        window = self._limits.window_batches
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._outstanding) < window)
            return not self._ended

    def _watch(self) -> None:
        """Ends a connection on which nothing was acknowledged for too long although something waits for it."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._ended, LOOK_EVERY_S):
                    return
                waiting = bool(self._outstanding) or self._durable is None
                silent_s = time.monotonic() - self._progress_s
            if self._stopping.is_set() or (waiting and silent_s > self._limits.acknowledgement_timeout_s):
                self.end()


def describe(error: grpc.RpcError) -> str:
    """An error of gRPC in a line: its status and what the other side said."""
    if isinstance(error, grpc.Call):
        return f"{error.code().name}: {error.details()}"
    return str(error)
