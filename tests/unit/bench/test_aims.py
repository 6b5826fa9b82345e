"""What is measured against what is aimed at."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.aims import CHANGES, COUNTED, Aim, beyond, exec_alone, kernel_bytes, spread, to

COSTS = {
    "baseline": {"open": 1000.0, "fork": 100.0, "exec": 5000.0},
    "apparmor": {"open": 2000.0, "fork": 100.0, "exec": 5000.0},
    "empty_all": {"open": 1100.0, "fork": 100.0, "exec": 5000.0},
    "policy_few": {"open": 1200.0, "fork": 150.0, "exec": 7000.0},
    "policy_many": {"open": 1210.0, "fork": 100.0, "exec": 6900.0},
    "policy_most": {"open": 1250.0, "fork": 200.0, "exec": 7200.0},
}
RESULTS: dict[str, Any] = {"instructions": {"costs": COSTS}}


def test_the_worst_policy_counts() -> None:
    """Under the largest policy an open costs most, here 250 of AppArmor's 1,000."""
    assert to("apparmor", "open")(RESULTS) == 0.25
    assert to("apparmor", "open", ["empty_all"])(RESULTS) == 0.1


def test_policies_are_held_against_one_another() -> None:
    """The dearest is a quarter dearer than the cheapest."""
    assert spread("open")(RESULTS) == 1.25


def test_what_programs_cost_that_do_nothing_is_left_out() -> None:
    """Of 250 instructions, 100 are theirs."""
    assert beyond("empty_all", "open")(RESULTS) == 150


def test_exec_is_told_apart_from_the_fork_before_it() -> None:
    """2,200 less 100 is more than 2,000 less 50, and than 1,900 less nothing."""
    assert exec_alone(RESULTS) == 2100


def test_the_first_container_of_a_set_is_not_counted_twice() -> None:
    """Two sets of 10 bytes with a container each, three other containers of 2."""
    memory = {"maps": 100, "set": 10.0, "container": 2.0, "containers": 5, "sets": 2}
    assert kernel_bytes(memory) == 126


@pytest.mark.parametrize(
    ("aim", "row"),
    [
        (Aim("x", lambda _: 1.0, "{:.1f} s", most=1.0), ("x", "1.0 s", "≤ 1.0 s", "met")),
        (Aim("x", lambda _: 1.1, "{:.1f} s", most=1.0), ("x", "1.1 s", "≤ 1.0 s", "**missed**")),
        (Aim("x", lambda _: 1.1, "{:.1f}", most=lambda _: 2.0), ("x", "1.1", "≤ 2.0", "met")),
        (Aim("x", lambda _: 9.0, "{:.0f}", least=10.0), ("x", "9", "≥ 10", "**missed**")),
        (Aim("x", lambda _: 9.0, "{:.0f}"), ("x", "9", "", "")),
    ],
)
def test_an_aim_says_whether_it_is_met(aim: Aim, row: tuple[str, ...]) -> None:
    """At most, at least, an aim that is measured itself, or none."""
    assert aim.row({}) == row


def test_a_denied_open_may_cost_two_that_are_allowed() -> None:
    """And 600 instructions for its event."""
    (denied,) = (aim for aim in COUNTED if aim.what.startswith("a denied open"))
    costs = {name: {**cost, "denied": cost["open"] + 850} for name, cost in COSTS.items()}
    costs["baseline"]["denied"] = 1000.0
    assert denied.row({"instructions": {"costs": costs}})[1:] == ("+1,100", "≤ +1,100", "met")


def test_changes_are_judged_by_their_tails() -> None:
    """Half a second in all, a tenth of it ours; what is the API server's has no aim."""
    stages = ("written", "accepted", "applied", "policy", "label")
    results = {"cluster": {"changes": {stage: {"median_ms": 40.0, "p99_ms": 120.0} for stage in stages}}}
    assert [tail.row(results)[1:] for tail in CHANGES] == [
        ("40 ms", "120 ms", "", ""),
        ("40 ms", "120 ms", "", ""),
        ("40 ms", "120 ms", "≤ 100 ms", "**missed**"),
        ("40 ms", "120 ms", "≤ 500 ms", "met"),
        ("40 ms", "120 ms", "≤ 500 ms", "met"),
    ]
