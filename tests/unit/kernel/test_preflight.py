"""bulkhead.kernel.preflight: where programs go, or the refusal, by kernels imagined."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkhead.errors import KernelUnable
from bulkhead.kernel import features, preflight
from bulkhead.kernel.features import FUNCTIONS, Feature, Report

INACTIVE = Feature(features.LSM_ACTIVE, False, False, "programs are not called")
TAKEN = Feature(FUNCTIONS, True, False, "can take the place of LSM hooks; preemption is voluntary")
SKIPPED = Feature(FUNCTIONS, False, False, "tasks are preempted in the kernel (lazy)")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A list of modules of our own, and nothing remembered of another kernel. The list's path."""
    preflight.require_enforcing.cache_clear()
    monkeypatch.setattr(preflight, "LSM_LIST", tmp_path / "lsm")
    return tmp_path / "lsm"


def detected(monkeypatch: pytest.MonkeyPatch, *found: Feature) -> None:
    monkeypatch.setattr(features, "detect", lambda: Report("6.12.1", found))


def test_listed_module_is_believed(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried where bpf is among the active modules."""
    fresh.write_text("lockdown,capability,bpf\n")
    monkeypatch.setattr(features, "detect", lambda: pytest.fail("tried"))
    assert preflight.require_enforcing() is True


@pytest.mark.parametrize("active", ["lockdown,capability\n", None])
def test_programs_go_on_functions_where_they_can(
    active: str | None, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the list cannot be read."""
    if active is not None:
        fresh.write_text(active)
    detected(monkeypatch, INACTIVE, TAKEN)
    assert preflight.require_enforcing() is False


def test_unlisted_module_that_is_called_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the list cannot be read, that a program was called decides."""
    detected(monkeypatch, Feature(features.LSM_ACTIVE, True, True, "programs are called"), TAKEN)
    assert preflight.require_enforcing() is True


def test_refusal_says_why_functions_would_not_do(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of modules, what is wrong with functions, and where to look."""
    fresh.write_text("lockdown,capability\n")
    detected(monkeypatch, Feature(features.LSM_ACTIVE, False, True, "not called"), SKIPPED)
    with pytest.raises(KernelUnable) as refused:
        preflight.require_enforcing()
    message = str(refused.value)
    assert "lockdown,capability, without bpf" in message
    assert "tasks are preempted in the kernel (lazy)" in message
    assert "`bulkhead doctor` says what is missing" in message


def test_refusal_where_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a list there is no module to name."""
    detected(monkeypatch, Feature(features.LSM_ACTIVE, None, True, "could not be tried"), SKIPPED)
    with pytest.raises(KernelUnable, match=r"^this kernel cannot enforce\."):
        preflight.require_enforcing()
