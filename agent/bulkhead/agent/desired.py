"""What should be enforced, read from a folder of policies: the agent's input where there is no API server.

A file that gets broken is refused as a whole, and what it said before stays in force until it is mended or removed,
over a restart of the agent too: the last good version of each file is kept. A folder that is not there says nothing.
Next step: `agent.sync` compares this with what is enforced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bulkhead.enforcement.admission import misfit
from bulkhead.errors import Problem, UsageError
from bulkhead.files import write_whole
from bulkhead.log import get_log
from bulkhead.policy.rules import PolicyRules

SUFFIXES = (".yaml", ".yml", ".json")

log = get_log()


@dataclass(frozen=True)
class Labels:
    """What selectors are asked about: None where they are not consulted."""

    labels: Mapping[str, str] | None = None


@dataclass
class _File:
    mark: tuple[int, ...]
    rules: tuple[PolicyRules, ...]
    is_refused: bool = False


class PolicyFolder:
    """The policies in a folder. `read` again and again; only files that changed are parsed.

    `accepted` is a folder of ours for the last good version of each file, or None.
    """

    def __init__(self, directory: Path, labels: Labels, accepted: Path | None = None) -> None:
        self._directory = directory
        self._labels = labels
        self._accepted = accepted
        self._files: dict[Path, _File] = {}
        self._missing = False
        if accepted:
            accepted.mkdir(parents=True, exist_ok=True)

    def read(self) -> bool:
        """Look at the folder; whether anything changed."""
        if not self._is_there():
            return False
        present = {path: mark for path in self._paths() if (mark := _mark(path))}
        changed = False
        self._forget_all_but(present)
        for path in [path for path in self._files if path not in present]:
            del self._files[path]
            log.info("policy_file_removed", file=str(path))
            changed = True
        for path, mark in present.items():
            known = self._files.get(path)
            if known is None or known.mark != mark:
                changed |= self._load(path, mark, known)
        return changed

    def rules(self) -> tuple[PolicyRules, ...]:
        """What all files together say."""
        return tuple(rules for path in sorted(self._files) for rules in self._files[path].rules)

    def refused(self) -> int:
        """Files that are refused, as a whole or in part."""
        return sum(file.is_refused for file in tuple(self._files.values()))

    def _is_there(self) -> bool:
        was_missing, self._missing = self._missing, not self._directory.is_dir()
        if self._missing and not was_missing:
            log.error("policy_folder_missing", file=str(self._directory), error="what is enforced already goes on")
        return not self._missing

    def _paths(self) -> list[Path]:
        return sorted(path for path in self._directory.glob("*") if path.suffix in SUFFIXES)

    def _load(self, path: Path, mark: tuple[int, ...], known: _File | None) -> bool:
        rules, problems = self._parse(path)
        for problem in problems:
            log.error("policy_refused", file=problem.file, line=problem.line, field=problem.field, error=str(problem))
        if problems and known:
            known.mark, known.is_refused = mark, True  # said once; what was enforced stays
            return False
        copy = self._accepted / path.name if self._accepted else None
        if problems and copy and copy.exists():
            rules, _ = self._parse(copy)
            log.warning("policy_kept", file=str(path), policies=len(rules))
        elif copy and not problems and _mark(path) == mark:  # else it has changed again, and is read again
            _copy(path, copy)
        self._files[path] = _File(mark, rules, bool(problems))
        log.info("policy_loaded", file=str(path), policies=len(rules))
        return True

    def _parse(self, path: Path) -> tuple[tuple[PolicyRules, ...], tuple[Problem, ...]]:
        try:
            rules, problems = load_policies([path], self._labels)
        except UsageError as error:  # it cannot be read, or went meanwhile
            return (), (Problem(str(path), 0, "", str(error)),)
        found = [(each, misfit(each, (str(path), 0), "")) for each in rules]
        misfits = (problem for _, problem in found if problem)
        return tuple(each for each, problem in found if problem is None), (*problems, *misfits)

    def _forget_all_but(self, present: Mapping[Path, object]) -> None:
        names = {path.name for path in present}
        for copy in self._accepted.iterdir() if self._accepted else ():
            if copy.name not in names:
                copy.unlink()


def load_policies(paths: list[Path], labels: Labels) -> tuple[tuple[PolicyRules, ...], tuple[Problem, ...]]:
    """The rules of every good document in some files, and what is wrong with the others."""
    from bulkhead.policy.parse import parse_files  # noqa: PLC0415  # the models are slow to build
    from bulkhead.policy.resolve import resolve  # noqa: PLC0415
    from bulkhead.policy.select import Candidate, selects  # noqa: PLC0415

    parsed = parse_files(paths)
    wanted = [
        policy
        for policy in parsed.policies
        if labels.labels is None or selects(policy, Candidate(policy.namespace, labels.labels))
    ]
    return tuple(resolve(policy) for policy in wanted), parsed.problems


def _mark(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _copy(path: Path, copy: Path) -> None:
    try:
        write_whole(copy, path.read_bytes())
    except OSError as error:
        log.error("policy_not_kept", file=str(path), error=error.strerror)
