"""An agent's word says what it has heard of, whichever versions have come since."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkhead.controller import history
from bulkhead.controller.history import History
from bulkhead.policy.seen import Seen


def test_an_agent_that_lags_has_heard_of_what_came_before() -> None:
    """And of nothing that came later; when it has caught up, of all."""
    known, agent = History(), Seen()
    known.put("one", 1)
    agent.add("one", 1)
    known.put("two", 1)
    assert known.has_heard(agent.word(), "one")
    assert not known.has_heard(agent.word(), "two")
    known.put("one", 2)
    assert not known.has_heard(agent.word(), "one")
    agent.add("two", 1)
    agent.remove("one", 1)
    agent.add("one", 2)
    assert known.has_heard(agent.word(), "one")
    assert known.has_heard(agent.word(), "two")


def test_a_word_that_nobody_knows_has_heard_of_nothing() -> None:
    """Of an agent that says none, or whose watch was ahead of ours for a moment."""
    known = History()
    known.put("one", 1)
    assert not known.has_heard("", "one")
    assert not known.has_heard("0123456789abcdef", "one")


def test_a_version_that_is_told_again_is_no_change() -> None:
    """As with each status that is written."""
    known = History()
    known.put("one", 1)
    known.put("two", 1)
    agent = Seen()
    agent.add("one", 1)
    agent.add("two", 1)
    known.put("one", 1)
    assert known.has_heard(agent.word(), "one")


def test_old_words_are_forgotten(monkeypatch: object) -> None:
    """A cluster whose policies change for months does not fill memory."""
    known = History()
    for generation in range(history.KEPT + 100):
        known.put("one", generation)
    assert len(known._moments) == history.KEPT


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=20), st.data())
def test_an_agent_of_any_moment_is_known(changes: list[tuple[str, int]], data: st.DataObject) -> None:
    """Whatever happened before and after: it has heard of exactly the versions that had come by then, if they last."""
    stop = data.draw(st.integers(0, len(changes)))
    known, agent = History(), Seen()
    versions: dict[str, int] = {}
    at_stop: dict[str, int] = {}
    for number, (uid, generation) in enumerate([*changes, ("", 0)]):
        if number == stop:
            at_stop = dict(versions)
        if not uid:
            break
        if generation:
            known.put(uid, generation)
            versions[uid] = generation
        else:
            known.remove(uid)
            versions.pop(uid, None)
    for version in at_stop.items():
        agent.add(*version)
    if at_stop == versions:
        assert all(known.has_heard(agent.word(), uid) for uid in versions)
    for uid, generation in versions.items():
        if at_stop.get(uid) != generation:
            assert not known.has_heard(agent.word(), uid)
