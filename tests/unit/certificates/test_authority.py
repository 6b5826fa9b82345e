"""Authorities replace one another so that whoever verifies knows the signer, at every moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bulkhead.certificates.authority import (
    Authority,
    Leaf,
    Terms,
    Usage,
    advance,
    bundle,
    from_pem,
    issue,
    make_authority,
    sign,
    signer,
    to_pem,
)
from bulkhead.certificates.pair import belong_together, facts, is_signed_by, key_pem, pem
from bulkhead.certificates.request import make_request, public_key_of
from bulkhead.errors import Damaged, InvalidInput

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = Terms()
LEAF = Leaf("bulkhead-agent", ("bulkhead://agent/node-1", "localhost", "127.0.0.1"), Usage.CLIENT, TERMS.agent)
HOUR = timedelta(hours=1)


def test_nothing_becomes_an_authority_that_stays() -> None:
    """As long as it is young."""
    known = advance((), BEGUN, TERMS, "bulkhead")
    assert len(known) == 1
    for days in (0, 1, 100, 240):
        assert advance(known, BEGUN + timedelta(days=days), TERMS, "bulkhead") == known


def test_no_certificate_is_ever_shown_to_somebody_who_does_not_know_its_signer() -> None:
    """Over three years, hour by hour: peers whose knowledge is as old as it can be believe all that is valid."""
    known: tuple[Authority, ...] = ()
    history: list[tuple[datetime, bytes, bytes]] = []  # when, what was published, what was signed
    changes, step = 0, 6 * HOUR
    for tick in range(3 * 365 * 4):
        now = BEGUN + tick * step
        before, known = known, advance(known, now, TERMS, "bulkhead")
        changes += known != before
        assert len(known) <= 2
        signing = signer(known, now, TERMS)
        history.append((now, bundle(known), pem(signing.certificate)))
        stale = next((each for each in history if each[0] >= now - TERMS.agent), history[-1])
        assert history[-1][2] in stale[1]  # signed now, verified by who learnt a day ago
        oldest_in_use = next((each for each in history if each[0] > now - TERMS.service), history[-1])
        assert oldest_in_use[2] in history[-1][1]  # signed a week ago, verified now
        history = history[-40:]
    assert changes > 6


def test_an_installation_that_slept_for_years_begins_anew() -> None:
    """What has ended neither signs nor is published."""
    known = advance((), BEGUN, TERMS, "bulkhead")
    later = BEGUN + timedelta(days=900)
    fresh = advance(known, later, TERMS, "bulkhead")
    assert len(fresh) == 1
    assert fresh != known
    assert signer(fresh, later, TERMS) == fresh[0]


@pytest.mark.parametrize("name", ["bulkhead", "a" * 46])
def test_no_two_authorities_have_the_same_subject(name: str) -> None:
    """gRPC looks for the signer by its subject, and would try the wrong one. Long names leave room for what differs."""
    subjects = [make_authority(BEGUN, HOUR, name).certificate.subject.rfc4514_string() for _ in range(3)]
    assert len({subject[: subject.index(" of ")] for subject in subjects}) == 3


def test_an_authority_of_the_future_is_told() -> None:
    """Some clock is wrong: nothing is made or dropped until somebody has looked. A few minutes are nothing."""
    known = advance((), BEGUN, TERMS, "bulkhead")
    assert advance(known, BEGUN - timedelta(minutes=4), TERMS, "bulkhead") == known
    with pytest.raises(Damaged, match=r"begins at 2025-12-31 23:55.*clock here says 2025-12-31 23:50.*wrong"):
        advance(known, BEGUN - timedelta(minutes=10), TERMS, "bulkhead")


def test_a_certificate_says_what_it_is_for() -> None:
    """Names of every kind, and dates that leave room for clocks; no longer than its authority."""
    authority = make_authority(BEGUN, 10 * HOUR, "bulkhead")
    certificate, key = issue(authority, LEAF, BEGUN)
    told = facts(certificate)
    assert told.names == set(LEAF.names)
    assert (told.begins, told.ends) == (BEGUN - timedelta(minutes=5), BEGUN + 10 * HOUR)
    assert belong_together(certificate, key)
    assert is_signed_by(certificate, pem(authority.certificate))
    other = make_authority(BEGUN, HOUR, "bulkhead")
    assert not is_signed_by(certificate, pem(other.certificate))
    assert not belong_together(certificate, issue(other, LEAF, BEGUN)[1])


def test_what_was_written_is_read() -> None:
    """Any number of authorities."""
    known = tuple(make_authority(BEGUN, HOUR, "bulkhead") for _ in range(2))
    read = from_pem(to_pem(known))
    assert [pem(each.certificate) for each in read] == [pem(each.certificate) for each in known]
    assert [key_pem(each.key) for each in read] == [key_pem(each.key) for each in known]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda one, two: b"", "no certificate"),
        (lambda one, two: to_pem([one])[:-60], "1 certificates with 0 keys"),
        (lambda one, two: to_pem([one]).replace(b"MIG", b"MIF"), "no key"),
        (lambda one, two: pem(one.certificate), "1 certificates with 0 keys"),
        (lambda one, two: pem(one.certificate) + key_pem(two.key), "is another's"),
        (lambda one, two: b"".join(issue(one, LEAF, BEGUN)), "no authority's certificate"),
    ],
)
def test_damage_is_told(damage: object, reason: str) -> None:
    """Never taken for something else."""
    one, two = (make_authority(BEGUN, HOUR, "bulkhead") for _ in range(2))
    assert callable(damage)
    with pytest.raises(Damaged, match=reason):
        from_pem(damage(one, two))


def test_a_request_is_believed_its_key_and_nothing_else() -> None:
    """A certificate for it is for that key."""
    request, key = make_request("node-1")
    certificate = sign(make_authority(BEGUN, HOUR, "x"), public_key_of(request), LEAF, BEGUN)
    assert belong_together(certificate, key)
    assert "node-1" not in facts(certificate).names


def test_requests_that_agents_do_not_make_are_refused() -> None:
    """Nonsense, and other kinds of keys."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415

    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    other = builder.sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256())
    with pytest.raises(InvalidInput, match="P-256"):
        public_key_of(other.public_bytes(serialization.Encoding.PEM))
    good = make_request("node-1")[0]
    for bad in (b"", b"nonsense", good[:100]):
        with pytest.raises(InvalidInput, match="no certificate request"):
            public_key_of(bad)
