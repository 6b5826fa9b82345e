"""Commands for the node, with a socket in place of one."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tools.cluster import BenchError, channel
from tools.cluster.channel import Answer
from tools.cluster.cluster import Cluster, CommandFailed

Reply = Callable[[list[str]], bytes]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def serve(path: Path, reply: Reply) -> threading.Thread:
    """Answer one request at `path`, given as its words."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def answer() -> None:
        with listener, listener.accept()[0] as port, suppress(BrokenPipeError):  # the asker may not have waited
            port.sendall(reply(port.makefile().readline().split()))

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


def test_answer_is_that_of_our_request(tmp_path: Path) -> None:
    """A late answer to somebody who has gone is not taken for ours; output keeps its line ends."""
    asked: list[str] = []

    def reply(words: list[str]) -> bytes:
        asked.extend(words)
        return f"other 0 {encoded('wrong')}\n{words[0]} 3 {encoded('a' * 70_000 + chr(10))}\n".encode()

    thread = serve(tmp_path / "port", reply)
    assert channel.run(tmp_path / "port", "echo 'x y'\nexit 3", 20) == Answer(3, "a" * 70_000 + "\n")
    thread.join()
    assert asked[1:] == ["20", encoded("echo 'x y'\nexit 3")]


def test_command_without_output() -> None:
    """An empty output is an answer too; a line that is none is passed over."""
    assert channel.answer_in(b"id 0", "id") == Answer(0, "")
    assert channel.answer_in(b"id 0 ", "id") == Answer(0, "")
    assert channel.answer_in(b"", "id") is None


def test_node_that_is_not_up(tmp_path: Path) -> None:
    """The error says that the command was not run."""
    with pytest.raises(BenchError, match=r"not up.*`reboot` was not run"):
        channel.run(tmp_path / "nothing", "reboot", 1)


def test_node_that_ends_meanwhile(tmp_path: Path) -> None:
    """A machine that dies is seen at once."""
    thread = serve(tmp_path / "port", lambda _: b"")
    with pytest.raises(BenchError, match="the node ended"):
        channel.run(tmp_path / "port", "reboot", 600)
    thread.join()


def test_node_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever."""
    monkeypatch.setattr(channel, "MARGIN_S", 0.05)
    done = threading.Event()

    def reply(_words: list[str]) -> bytes:
        done.wait(30)
        return b"\n"

    thread = serve(tmp_path / "port", reply)
    with pytest.raises(BenchError, match=r"did not answer within 0\.1 s; `true` may still run"):
        channel.run(tmp_path / "port", "true", 0.05)
    done.set()
    thread.join()


def test_failed_command_is_an_error_unless_it_may_fail(tmp_path: Path) -> None:
    """`on_node` raises with status and output; with check=False the output is the answer."""
    for check in (True, False):
        run = tmp_path / str(check)
        thread = serve(run / "node/commands", lambda words: f"{words[0]} 7 {encoded('no luck')}\n".encode())
        if check:
            with pytest.raises(CommandFailed, match="`false` ended with 7: no luck") as caught:
                Cluster(run=run).on_node("false")
            assert (caught.value.status, caught.value.output) == (7, "no luck")
        else:
            assert Cluster(run=run).on_node("false", check=False) == "no luck"
        thread.join()
