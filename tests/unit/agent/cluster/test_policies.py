"""Which policies are accepted, and what stays in force of one that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkhead.agent.cluster.policies import Policies
from bulkhead.agent.cluster.sealed import SealedFolder
from bulkhead.kube.policy_key import PolicyKey
from tests.unit.agent.cluster.objects import broken, policy

KIND = "SecurityPolicy"
KEY = PolicyKey(KIND, "shop", "no-id")


@pytest.fixture
def policies(tmp_path: Path) -> Policies:
    """With one good policy."""
    made = Policies(SealedFolder(tmp_path / "accepted"))
    made.replace(KIND, [policy()])
    return made


def generations(policies: Policies) -> list[int]:
    """Of what is in force."""
    return [each.generation for each in policies.in_force().all()]


def test_a_refused_version_does_not_replace_the_good_one(policies: Policies) -> None:
    """It is told with its problems, and the version before stays."""
    policies.put(KEY, broken())
    known = policies.known()[KEY]
    assert generations(policies) == [1]
    assert known.generation == 2
    assert [problem.field for problem in known.problems] == ["spec.exec.rules[0].paths[0]"]
    policies.put(KEY, policy(generation=3))
    assert (generations(policies), policies.known()[KEY].problems) == ([3], ())


def test_the_good_version_survives_a_restart(policies: Policies, tmp_path: Path) -> None:
    """While the API server only has the refused one."""
    policies.put(KEY, broken())
    next_agent = Policies(SealedFolder(tmp_path / "accepted"))
    next_agent.replace(KIND, [broken()])
    assert generations(next_agent) == [1]


def test_a_new_object_of_the_old_name_inherits_nothing(policies: Policies) -> None:
    """Somebody deleted the policy and made another: what was good of the old one is not its own."""
    policies.put(KEY, broken(uid="p-2"))
    assert generations(policies) == []


def test_what_was_removed_while_nobody_looked_is_gone(policies: Policies, tmp_path: Path) -> None:
    """From memory at the next full list, from disk as well."""
    policies.replace("ClusterSecurityPolicy", [])
    assert generations(policies) == [1]
    policies.replace(KIND, [])
    policies.forget_unknown()
    assert (generations(policies), list((tmp_path / "accepted").glob("*.json"))) == ([], [])


def test_a_new_status_is_not_a_new_policy(policies: Policies) -> None:
    """The rules stay the same object: nothing is enforced anew."""
    before = policies.in_force().all()[0].rules
    policies.put(KEY, policy() | {"status": {"conditions": []}})
    assert policies.in_force().all()[0].rules is before


def test_an_accepted_copy_that_is_damaged_is_no_policy(policies: Policies, tmp_path: Path) -> None:
    """It is logged; the refused version is told as not enforced."""
    for path in (tmp_path / "accepted").glob("*.json"):
        path.write_bytes(b"{")
    next_agent = Policies(SealedFolder(tmp_path / "accepted"))
    next_agent.replace(KIND, [broken()])
    assert next_agent.known()[KEY].accepted is None


def test_a_version_that_does_not_fit_does_not_replace_the_good_one(policies: Policies) -> None:
    """Patterns that explode are a problem of the policy, not of each container that it selects."""
    exploding = policy(generation=2)
    exploding["spec"]["exec"]["rules"][0]["paths"] = ["/d/*a" + "?" * 40]
    policies.put(KEY, exploding)
    (problem,) = policies.known()[KEY].problems
    assert generations(policies) == [1]
    assert "multiply most: /d/*a?" in str(problem)


def test_what_was_prepared_is_not_read_again(policies: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that was read outside the lock is put without delay; one that is known is not read at all."""
    newer = policy(generation=2)
    policies.prepare(KEY, newer)
    monkeypatch.setattr("bulkhead.agent.cluster.policies.parse_object", None)
    policies.put(KEY, newer)
    policies.prepare(KEY, newer)
    assert generations(policies) == [2]
    assert policies._prepared == {}
