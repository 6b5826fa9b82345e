"""The rules that hold for every container under a policy."""

from __future__ import annotations

from bulkhead import abi
from bulkhead.policy.built_in import BUILT_IN


def test_every_rule_of_the_kernel_has_a_name() -> None:
    """Each number that the programs may report, beyond those of any set, within the bits of a decision."""
    assert set(BUILT_IN) == set(abi.BuiltIn)
    assert {each.id for each in BUILT_IN.values()} == {
        *(f"/bulkhead/tampering/{rule}" for rule in ("agent", "objects", "pins", "cgroups")),
        "/bulkhead/start/strict",
    }
    assert all(number <= abi.DECISION_RULE_MASK for number in BUILT_IN)
