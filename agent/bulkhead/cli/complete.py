"""What a shell may complete: commands, options, words, and names of what a cluster and a kubeconfig have.

A shell, or kubectl for its plugin, hands over the words of a command line up to the cursor; the answer is a candidate a
line, a tab and what it is, and last a colon and 4, or 0 where files come into question. That is the protocol of cobra,
which kubectl speaks. Nothing that goes wrong on the way is said: there is only less to choose from. Next step:
`cli.completion` for the shells' side; `cli.cluster_options` notes what an option names.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bulkhead.cli.cluster_options import completed_by, connect_to, scope
from bulkhead.errors import BulkheadError

FILES, NO_FILES = 0, 4
ANSWER_S = 3.0
MOST = 500
OF_KUBECONFIG = ("contexts", "clusters", "users")
Candidate = tuple[str, str]


def main() -> int:
    """The program `kubectl_complete-bulkhead`, which kubectl looks for."""
    from bulkhead.cli import plugin_parser  # noqa: PLC0415

    return show(sys.argv[1:], plugin_parser)


def show(words: Sequence[str], parser_for: Callable[[str], argparse.ArgumentParser]) -> int:
    """Prints the candidates for the last of the words; `parser_for` makes the parser that knows a command."""
    before, last = list(words[:-1]), words[-1] if words else ""
    parser = parser_for(next((word for word in before if not word.startswith("-")), ""))
    candidates, directive = candidates_for(parser, before, last)
    for name, told in candidates:
        if name.startswith(last):
            print(f"{name}\t{told}".rstrip("\t"))
    print(f":{directive}")
    return 0


def candidates_for(parser: argparse.ArgumentParser, before: Sequence[str], last: str) -> tuple[list[Candidate], int]:
    """All of them, whatever the last word begins with."""
    line = _Line(parser)
    for word in before:
        line.take(word)
    if line.awaits:
        return _values(line.awaits, line.given)
    option, equals, _ = last.partition("=")
    if equals and option in line.options:
        found, directive = _values(line.options[option], line.given)
        return [(f"{option}={name}", told) for name, told in found], directive
    if last.startswith("-") and not line.is_over:
        return list(_option_names(line)), NO_FILES
    return _positional(line)


class _Line:
    """What the words so far make of a command line."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.given: dict[str, Any] = {}
        self.awaits: argparse.Action | None = None  # an option without its value
        self.is_over = False  # after `--` there are no options
        self._enter(parser)

    def _enter(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser
        self.options = {name: action for action in parser._actions for name in action.option_strings}
        self.positionals = [action for action in parser._actions if not action.option_strings]
        self.taken = 0  # positionals
        self.given = {action.dest: action.default for action in parser._actions} | self.given

    @property
    def commands(self) -> dict[str, str]:
        """Where a command is awaited: each with what it does."""
        for action in self.positionals[:1]:
            if isinstance(action, argparse._SubParsersAction) and not self.taken:
                return {each.dest: each.help or "" for each in action._choices_actions}
        return {}

    def take(self, word: str) -> None:
        """One more word."""
        option, equals, value = word.partition("=")
        if self.awaits:
            self.given[self.awaits.dest], self.awaits = _typed(self.awaits, word), None
        elif word == "--":
            self.is_over = True
        elif word.startswith("-") and not self.is_over:
            action = self.options.get(option)
            if action and action.nargs == 0:
                self.given[action.dest] = True
            elif action and equals:
                self.given[action.dest] = _typed(action, value)
            else:
                self.awaits = action
        elif word in self.commands:
            self._enter(self.positionals[0].choices[word])  # type: ignore[index]
        else:
            self.taken += 1


def _typed(action: argparse.Action, word: str) -> Any:
    return Path(word) if action.type is Path else word


def _option_names(line: _Line) -> Iterator[Candidate]:
    for action in line._parser._actions:
        for name in action.option_strings:
            if name.startswith("--") and action.help is not argparse.SUPPRESS:
                yield name, (action.help or "").replace("%(default)s", str(action.default))


def _positional(line: _Line) -> tuple[list[Candidate], int]:
    if line.commands:
        return list(line.commands.items()), NO_FILES
    for index, action in enumerate(line.positionals):
        if index >= line.taken or action.nargs in ("*", "+", argparse.REMAINDER):
            return _values(action, line.given)
    return [], NO_FILES


def _values(action: argparse.Action, given: dict[str, Any]) -> tuple[list[Candidate], int]:
    """What an option or a positional argument may be."""
    if action.choices is not None:
        return [(str(each), "") for each in action.choices], NO_FILES
    if action.type is Path or action.nargs == argparse.REMAINDER:
        return [], FILES
    what = completed_by(action)
    return [(name, "") for name in _names(what, given)] if what else [], NO_FILES


def _names(what: str, given: dict[str, Any]) -> list[str]:
    """Of what is there; none where it cannot be asked."""
    arguments = argparse.Namespace(**{"all_namespaces": False, "namespace": "", **given, "selector": ""})
    try:
        if what in OF_KUBECONFIG:
            from bulkhead.kube.config import kubeconfig_names  # noqa: PLC0415

            return kubeconfig_names(arguments.kubeconfig, what)
        return sorted(set(_of_cluster(what, arguments)))
    except BulkheadError:
        return []


def _of_cluster(what: str, arguments: argparse.Namespace) -> Iterator[str]:
    from bulkhead.kube.objects import KINDS, collection_path  # noqa: PLC0415
    from bulkhead.kube.policy_key import POLICY_KINDS  # noqa: PLC0415

    api, namespace = connect_to(arguments), scope(arguments).namespace
    for kind in POLICY_KINDS if what == "Policy" else (what,):
        listed = api.get(collection_path(kind, namespace), {"limit": str(MOST)}, timeout_s=ANSWER_S)
        for each in listed.get("items") or ():
            name = str(each["metadata"]["name"])
            yield name if namespace or not KINDS[kind][2] else f"{each['metadata']['namespace']}/{name}"
