"""gRPC's threads do not end before the process does: ending them can wait for ever."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own: here others have made channels. gRPC's watchman over its threads ends with its engine.
CLOSE = """
import pathlib, time, grpc
from bulkhead.report import channel
def watchmen():
    names = [task / "comm" for task in pathlib.Path("/proc/self/task").iterdir()]
    return {name.parent.name for name in names if name.read_text() == "lifeguard\\n"}
def call():
    opened = {opened}("127.0.0.1:9"{tls})
    try:
        opened.unary_unary("/a/b")(b"", timeout=5)
    except grpc.RpcError:
        pass
    before = watchmen()
    opened.close()
    return before
assert len(call()) == 1
deadline = time.monotonic() + {patience}
while watchmen() and time.monotonic() < deadline:
    time.sleep(0.01)
print(len(watchmen()))
"""


@pytest.mark.parametrize(
    ("opened", "tls", "patience", "left"),
    [("channel.open_channel", ", None", 0.5, 1), ("grpc.insecure_channel", "", 30, 0)],
)
def test_they_outlive_the_last_channel(opened: str, tls: str, patience: float, left: int) -> None:
    """Of channels of ours; gRPC's own end them, which is why."""
    script = CLOSE.replace("{opened}", opened).replace("{tls}", tls).replace("{patience}", str(patience))
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert int(done.stdout) == left
