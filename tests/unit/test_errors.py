"""Messages are one line each, whatever a document holds."""

from __future__ import annotations

from bulkhead.errors import Problem


def test_a_problem_cannot_forge_lines_or_colours() -> None:
    """Line ends and escapes are shown, not obeyed; other letters stay."""
    shown = str(Problem("f.yaml", 3, "spec.a\n/etc/good.yaml:1: ok", "\x1b[31mred é"))
    assert shown == "f.yaml:3: spec.a\\n/etc/good.yaml:1: ok: \\x1b[31mred é"
