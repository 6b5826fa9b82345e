"""Whose a token is, and whether they may read violations: asked of the API server, as its own components do.

A TokenReview says who shows the token, a SubjectAccessReview whether they have the right: `list` or `watch` on
`violations` of the group `bulkhead.dev`. No object of that kind exists: the name is for roles. A token is asked about
as one for our audience first, and as one for the API server second. Next step: `kube.client`; `collector.grants`
remembers what is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead.kube.client import Api

TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
GROUP, RESOURCE = "bulkhead.dev", "violations"
ANSWER_S = 3.0  # within the time that a caller is kept waiting

User = Mapping[str, Any]


@dataclass(frozen=True)
class Review:
    """What was said. `user` is empty where the token is nobody's, `reason` where it is allowed."""

    user: str
    allowed: bool
    reason: str = ""


@dataclass(frozen=True)
class Reviews:
    """`api` as somebody who may create both reviews. `api_server_tokens`: those for the API server are taken, too."""

    api: Api
    audience: str
    api_server_tokens: bool = True

    def review(self, token: str, verb: str, namespace: str) -> Review:
        """May whoever has this token do that, in all namespaces where it is empty? Raises `Unreachable`."""
        user = self._user_of(token)
        if user is None:
            return Review("", allowed=False, reason=f"the token is not valid: {self._what_is_valid()}")
        name = str(user.get("username", ""))
        attributes = {"group": GROUP, "resource": RESOURCE, "verb": verb, "namespace": namespace}
        spec = {"resourceAttributes": attributes, "user": name}
        spec |= {key: user[key] for key in ("uid", "groups", "extra") if user.get(key)}
        if self._ask(ACCESS_REVIEWS, "SubjectAccessReview", spec).get("allowed") is True:
            return Review(name, allowed=True)
        return Review(name, allowed=False, reason=missing_right(name, verb, namespace))

    def _user_of(self, token: str) -> User | None:
        """Who shows it; None where the API server knows nobody by it."""
        status = self._ask(TOKEN_REVIEWS, "TokenReview", {"token": token, "audiences": [self.audience]})
        is_for_us = self.audience in (status.get("audiences") or ())  # one that knows no audiences names none
        if status.get("authenticated") is True and is_for_us:
            return _named(status)
        if not self.api_server_tokens:
            return None
        status = self._ask(TOKEN_REVIEWS, "TokenReview", {"token": token})
        return _named(status) if status.get("authenticated") is True else None

    def _what_is_valid(self) -> str:
        other = ", or one for the API server" if self.api_server_tokens else ""
        return f"show one for the audience {self.audience}{other}, that has not expired"

    def _ask(self, path: str, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """The status of a review."""
        group = path.removeprefix("/apis/").rpartition("/")[0]
        status = self.api.post(path, {"apiVersion": group, "kind": kind, "spec": spec}, timeout_s=ANSWER_S).get(
            "status"
        )
        return status if isinstance(status, dict) else {}


def missing_right(user: str, verb: str, namespace: str) -> str:
    """Who may not do what where, and what gives the right."""
    what = f"user {user} may not {verb} {RESOURCE}.{GROUP}"
    if namespace:
        return f"{what} in namespace {namespace}: a RoleBinding there, to a ClusterRole with that right, gives it"
    return (
        f"{what} in all namespaces: ask for one of them; a ClusterRoleBinding to a ClusterRole with that right gives it"
    )


def _named(status: Mapping[str, Any]) -> User | None:
    user = status.get("user")
    return user if isinstance(user, dict) and user.get("username") else None
