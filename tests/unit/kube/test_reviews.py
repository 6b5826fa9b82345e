"""Whose a token is and what they may, as asked of an API server: the very questions, and what is made of answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkhead.errors import Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.reviews import ACCESS_REVIEWS, TOKEN_REVIEWS, Review, Reviews
from tests.unit.kube.api_server import Answer, Server, answered, api_server, refused

USER = {
    "username": "system:serviceaccount:shop:reader", "uid": "u-1", "groups": ["system:serviceaccounts"],
    "extra": {"authentication.kubernetes.io/credential-id": ["JTI=x"]},
}  # fmt: skip
NAME = USER["username"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Server, Api]]:
    """An API server."""
    with api_server(tmp_path) as running:
        yield running


def authenticated(*audiences: str, user: object = USER) -> Answer:
    """The token is somebody's."""
    return answered({"status": {"authenticated": True, "user": user, "audiences": list(audiences)}})


UNKNOWN = answered({"status": {"authenticated": False, "error": "token audiences [x] is invalid"}})
MAY, MAY_NOT = answered({"status": {"allowed": True}}), answered({"status": {"allowed": False, "reason": ""}})


def asked(server: Server) -> list[tuple[str, Any]]:
    """Where what was posted."""
    assert {method for method, *_ in server.requests} <= {"POST"}
    return [(path, body["spec"]) for _, path, _, body in server.requests]


def test_a_token_for_us_and_its_right(server: tuple[Server, Api]) -> None:
    """Two requests; everything that the API server knows of the user goes into the second."""
    told, api = server
    told.script = [authenticated("ours"), MAY]
    assert Reviews(api, "ours").review("secret", "watch", "shop") == Review(str(NAME), allowed=True)
    attributes = {"group": "bulkhead.dev", "resource": "violations", "verb": "watch", "namespace": "shop"}
    assert asked(told) == [
        (TOKEN_REVIEWS, {"token": "secret", "audiences": ["ours"]}),
        (
            ACCESS_REVIEWS,
            {
                "resourceAttributes": attributes, "user": NAME, "uid": "u-1", "groups": USER["groups"],
                "extra": USER["extra"],
            },
        ),
    ]  # fmt: skip
    assert [body["kind"] for *_, body in told.requests] == ["TokenReview", "SubjectAccessReview"]
    assert [body["apiVersion"] for *_, body in told.requests] == ["authentication.k8s.io/v1", "authorization.k8s.io/v1"]


@pytest.mark.parametrize("first", [UNKNOWN, authenticated(), authenticated("another")])
def test_a_token_for_the_api_server_is_asked_about_second(server: tuple[Server, Api], first: Answer) -> None:
    """Also where an authenticator knows no audiences: then nothing says that the token was meant for us."""
    told, api = server
    told.script = [first, authenticated("https://kubernetes.default.svc"), MAY]
    assert Reviews(api, "ours").review("secret", "list", "").allowed
    assert asked(told)[1] == (TOKEN_REVIEWS, {"token": "secret"})
    told.script = [first]
    review = Reviews(api, "ours", api_server_tokens=False).review("secret", "list", "")
    assert (review.user, review.allowed) == ("", False)
    assert "audience ours, that has not expired" in review.reason


@pytest.mark.parametrize(
    "second", [UNKNOWN, authenticated(user={}), authenticated(user=None), answered({}), answered({"status": "?"})]
)
def test_a_token_of_nobody(server: tuple[Server, Api], second: Answer) -> None:
    """Nothing is asked about its rights."""
    told, api = server
    told.script = [UNKNOWN, second]
    review = Reviews(api, "ours").review("secret", "list", "")
    assert (review.user, review.allowed) == ("", False)
    assert "audience ours, or one for the API server, that has not expired" in review.reason
    assert "secret" not in review.reason


@pytest.mark.parametrize(
    ("namespace", "words"),
    [
        ("shop", f"user {NAME} may not watch violations.bulkhead.dev in namespace shop: a RoleBinding there"),
        ("", f"user {NAME} may not watch violations.bulkhead.dev in all namespaces: ask for one of them"),
    ],
)
@pytest.mark.parametrize("answer", [MAY_NOT, answered({}), answered({"status": {"allowed": "true"}})])
def test_a_missing_right_is_named(server: tuple[Server, Api], namespace: str, words: str, answer: Answer) -> None:
    """With what gives it."""
    told, api = server
    told.script = [authenticated("ours"), answer]
    review = Reviews(api, "ours").review("secret", "watch", namespace)
    assert (review.user, review.allowed, review.reason.startswith(words)) == (NAME, False, True)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([refused(403, "cannot create tokenreviews")], "403: cannot create tokenreviews"),
        ([authenticated("ours"), refused(500, "etcd")], "500: etcd"),
        ([UNKNOWN, refused(429, "later")], "429: later"),
    ],
)
def test_no_answer_is_no_judgement(server: tuple[Server, Api], script: list[Answer], words: str) -> None:
    """Neither for nor against the caller."""
    told, api = server
    told.script = script
    with pytest.raises(Unreachable, match=words):
        Reviews(api, "ours").review("secret", "watch", "shop")
