"""`bulkhead events` and `bulkhead collector` as programs: lines, exit statuses, reconnects."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bulkhead.cli import collector as collector_command
from bulkhead.cli import events
from bulkhead.errors import Unreachable, UsageError
from bulkhead.report.subscription import Subscription
from bulkhead.v1.violation_pb2 import Entry, Gap, GapReason, Verdict
from bulkhead.v1.violations_pb2 import Filter
from tests.unit.collector.running import HELLO, Running, batch, converse, running
from tests.unit.report.samples import entry

ROOT = Path(__file__).resolve().parents[3]


def parse(*words: str) -> argparse.Namespace:
    """What the command line makes of these words."""
    parser = argparse.ArgumentParser(prog="bulkhead")
    subparsers = parser.add_subparsers()
    events.add_parser(subparsers)
    collector_command.add_parser(subparsers)
    return parser.parse_args(words)


def shown(collector: Running, *words: str) -> list[str]:
    """The lines of one call."""
    output = io.StringIO()
    events.show(parse("events", "--collector", collector.address, *words), output)
    return output.getvalue().splitlines()


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With a denial of pod web-0, an audit and a gap."""
    denied, audited = entry(1), entry(2, Verdict.VERDICT_AUDITED)
    denied.violation.labels.update({"app": "web", "tier": "front"})
    denied.violation.pod, denied.violation.namespace, denied.violation.severity = "web-0", "shop", "High"
    gap = Entry(gap=Gap(count=3, policy="web", reason=GapReason.GAP_REASON_SPOOL_FULL))
    with running(tmp_path_factory.mktemp("store")) as collector:
        converse(collector.address, HELLO, batch([denied, audited, gap]))
        yield collector


def test_history_is_shown_and_ends(collector: Running) -> None:
    """One line an entry, gaps among them; without --follow the command returns."""
    lines = shown(collector)
    assert [line.split()[1] for line in lines] == ["DENIED", "AUDITED", "GAP"]
    assert not any("\x1b" in line for line in lines)


def test_json_is_one_object_a_line(collector: Running) -> None:
    """With identity and cursor; the gap under its own key."""
    objects = [json.loads(line) for line in shown(collector, "-o", "json")]
    assert [each["id"] for each in objects] == ["node-1/boot/1", "node-1/boot/2", "node-1/boot/3"]
    assert [each["cursor"] for each in objects] == sorted(each["cursor"] for each in objects)
    assert (objects[0]["verdict"], objects[2]["gap"]["count"]) == ("DENIED", 3)


def test_labels_do_not_take_gaps(collector: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody knows whose the lost ones were: they are left in, and that is said once; a wrong selector is wrong use."""
    assert [line.split()[1] for line in shown(collector, "--selector", "app=db")] == ["GAP"]
    assert capsys.readouterr().err.count("gaps have no labels") == 1
    with pytest.raises(UsageError, match="label selector: 'app in' is none"):
        shown(collector, "--selector", "app in")


def test_yaml_is_one_document_each(collector: Running) -> None:
    """The same as JSON."""
    documents = list(yaml.safe_load_all("\n".join(shown(collector, "-o", "yaml"))))
    assert [each["id"] for each in documents] == ["node-1/boot/1", "node-1/boot/2", "node-1/boot/3"]


def test_falco_is_one_object_a_line(collector: Running) -> None:
    """As falcosidekick reads it."""
    objects = [json.loads(line) for line in shown(collector, "-o", "falco")]
    assert [each["priority"] for each in objects] == ["Error", "Warning", "Warning"]
    assert {each["source"] for each in objects} == {"bulkhead"}


@pytest.mark.parametrize(
    ("words", "sequences"),
    [
        (("--verdict", "AUDITED"), [2, 3]),
        (("--verdict", "AUDITED", "--verdict", "DENIED", "--count", "2"), [1, 2]),
        (("--pod", "web-0", "--namespace", "shop"), [1, 3]),
        (("--selector", "app=web,tier in (front)"), [1, 3]),
        (("-l", "app!=web", "--count", "1"), [2]),
        (("-A", "--policy", "other"), []),
        (("--since", "1h"), []),
        (("--follow", "--count", "3"), [1, 2, 3]),
    ],
)
def test_options_choose(collector: Running, words: tuple[str, ...], sequences: list[int]) -> None:
    """Filters, --since and --count; --follow with --count ends, too."""
    assert [int(json.loads(line)["id"].split("/")[2]) for line in shown(collector, "-o", "json", *words)] == sequences


@pytest.mark.parametrize(
    "words",
    [
        ("--verdict", "denied"),
        ("--since", "yesterday"),
        ("--since", "1"),
        ("--count", "0"),
        ("-o", "xml"),
        ("--nope",),
    ],
)
def test_wrong_use_is_status_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """With the word in question on stderr."""
    with pytest.raises(SystemExit) as caught:
        parse("events", *words)
    assert caught.value.code == 2
    assert words[-1] in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Of both commands."""
    for command in ("events", "collector"):
        with pytest.raises(SystemExit) as caught:
            parse(command, "--help")
        assert caught.value.code == 0
        assert f"  bulkhead {command} --" in capsys.readouterr().out


def test_a_collector_that_is_not_there_is_status_3() -> None:
    """Also with --follow: to begin with somebody must be there."""
    for words in ((), ("--follow",)):
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1") as caught:
            events.run(parse("events", "--collector", "127.0.0.1:1", *words))
        assert caught.value.exit_status == 3


def test_a_file_that_is_not_there_is_status_2(tmp_path: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(UsageError, match=r"ca\.pem") as caught:
        events.run(parse("events", "--collector", "127.0.0.1:1", "--tls-ca", str(tmp_path / "ca.pem")))
    assert caught.value.exit_status == 2


def test_interrupt_and_a_closed_pipe_are_status_0(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends it has seen enough."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(events, "show", interrupted)
    assert events.run(parse("events")) == 0


def test_following_survives_the_collector(tmp_path: Path) -> None:
    """A restart in between: each entry once, and a notice on stderr; nothing of it among the entries."""
    first = Running(tmp_path)
    address = first.address
    converse(address, HELLO, batch([entry(1), entry(2)]))
    notices: list[str] = []
    restarted: list[Running] = []

    def restart(_: float) -> None:
        if not restarted:
            restarted.append(Running(tmp_path, address))
            converse(address, HELLO, batch([entry(3)], 3))

    entries = Subscription(address, None, Filter()).follow(notices.append, restart)
    seen = [next(entries).entry.sequence, next(entries).entry.sequence]
    first.stop()
    seen.append(next(entries).entry.sequence)
    entries.close()  # type: ignore[attr-defined]
    restarted[0].stop()
    assert seen == [1, 2, 3]
    assert all("trying again" in notice for notice in notices)
    assert notices


SERVE = """
import sys
from argparse import ArgumentParser
from bulkhead.cli import collector
parser = ArgumentParser()
collector.add_parser(parser.add_subparsers())
sys.exit(collector.run(parser.parse_args(sys.argv[1:])))
"""


def test_a_collector_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    """Status 0, nothing on stdout, one JSON object a line on stderr, the store given back."""
    command = [sys.executable, "-c", SERVE, "collector", "--listen", "127.0.0.1:0", "--store", str(tmp_path / "store")]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}/agent"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        assert process.stderr is not None
        started = json.loads(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, started["event"]) == (0, "", "collector_started")
    assert [json.loads(line)["event"] for line in errors.splitlines()] == ["collector_stopped"]
    with running(tmp_path / "store"):
        pass


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3_600), ("7d", 604_800)])
def test_durations(text: str, seconds: int) -> None:
    """A number and a unit."""
    assert collector_command.duration_s(text) == seconds


@pytest.mark.parametrize(("text", "count"), [("500", 500), ("1K", 1_024), ("10G", 10 << 30)])
def test_sizes(text: str, count: int) -> None:
    """A number and a binary unit."""
    assert collector_command.size_bytes(text) == count
    with pytest.raises(argparse.ArgumentTypeError):
        collector_command.size_bytes(f"{text} bytes")
