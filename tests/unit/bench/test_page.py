"""The page of figures: what was measured is written, what was not stays."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.bench import page
from tests.bench.aims import POLICIES

ACTS = {**page.OPENS, **page.OTHER_ACTS}


def costs(**more: float) -> dict[str, float]:
    """An act costs as many instructions as its name has letters, and what is told."""
    return {act: len(act) + more.get(act, 0.0) for act in ACTS}


RESULTS: dict[str, Any] = {
    "dates": {"instructions": "2026-11-30", "kernel_memory": "2026-12-01"},
    "machine": "one processor",
    "instructions": {
        "kernel": "6.12",
        "costs": {
            **{name: costs(**dict.fromkeys(ACTS, 100.0)) for name in ("apparmor", "empty_file_open", "empty_all")},
            **{name: costs(open=25.0, fork=1234.0) for name in (*POLICIES, "no_policy")},
            "baseline": costs(),
            "policy_changed": {"each": 50.0},
            "loading": {"load": 12.5e9},
        },
    },
    "kernel_memory": {
        **{"kernel": "6.12", "containers": 1000, "sets": 20, "rules": 100},
        **{"maps": 30_000_000, "set": 50_000.0, "container": 2_000.0, "inode": [0.0, 256.0, 256.0]},
    },
}
DOCUMENT = f"""# Costs

Before.

{page.BEGIN}

Machine: another.

### Instructions added

Old figures.

### In a cluster

Measured on 2026-01-01.

| a | b |

{page.END}

After.
"""


def sections() -> dict[str, str]:
    """Of the page with what was measured."""
    return page.sections_of(page.rewritten(DOCUMENT, RESULTS))


def test_what_was_measured_is_replaced_and_the_rest_stays() -> None:
    """The cluster was not measured here: its section is as it was. What is around the marks is nobody's."""
    text = page.rewritten(DOCUMENT, RESULTS)
    assert text.startswith("# Costs\n\nBefore.\n")
    assert text.endswith("\n\nAfter.\n")
    assert "Old figures" not in text
    assert "Machine: one processor." in text
    assert page.sections_of(text)["In a cluster"].startswith("Measured on 2026-01-01.\n\n| a | b |")


def test_sections_keep_their_order() -> None:
    """Whatever was measured last."""
    names = ["Instructions added", "Aims of what is counted", "Memory in the kernel", "In a cluster"]
    assert list(sections()) == names


def test_writing_it_again_changes_nothing() -> None:
    """What is written is read back as it was."""
    once = page.rewritten(DOCUMENT, RESULTS)
    assert page.rewritten(once, RESULTS) == once


def test_a_section_says_when_and_where_it_was_measured() -> None:
    """Each for itself."""
    assert sections()["Instructions added"].startswith("Measured on 2026-11-30, Linux 6.12.\n")
    assert sections()["Memory in the kernel"].startswith("Measured on 2026-12-01, Linux 6.12.\n")


def test_marks_must_be_there() -> None:
    """A page that lost them is not written over."""
    with pytest.raises(ValueError, match="marks"):
        page.rewritten("# Costs\n", RESULTS)


def test_situations_add_to_what_acts_cost_anyway() -> None:
    """The first row is the act itself, the others what is added; acts are in two tables."""
    opens, others = page.instruction_tables(RESULTS)
    assert "| nothing loaded (absolute) | 4.00 | 4.00 |" in opens
    assert re.search(r"\| ours, under a policy with 10 file rules \| \+25 \| \+0 \|", opens)
    assert "+1,234" in others
    assert "+1,234" not in opens


def test_what_was_not_done_has_no_figure() -> None:
    """Of the files that another policy knew only opens were measured: no row among the other acts."""
    opens, others = page.instruction_tables(RESULTS)
    assert f"| {page.ROWS['policy_changed']} |  | +46 |" in opens
    assert page.ROWS["policy_changed"] not in others


def test_memory_is_summed_up_beside_its_aim() -> None:
    """30 MB of empty maps, 1 of twenty sets, 2 of the other containers."""
    text = sections()["Memory in the kernel"]
    assert "| 1,000 containers under 20 sets | 33.0 MB | ≤ 40.0 MB | met |" in text
    assert "| added an inode, on average, its file opened twice | 256 bytes |  |  |" in text


def test_every_policy_of_an_aim_has_a_row() -> None:
    """Nothing is aimed at that the table does not show."""
    assert set(POLICIES) <= page.ROWS.keys()
