"""What an API server can answer instead of what was asked, ordered by what the caller can do about it.

    Unreachable (bulkhead.errors)   no answer: connection, TLS, time, or an answer that makes no sense; try again
    └── ApiRefused                      it answered, and not with what was asked; carries `status`
        ├── Expired                         410: that resource version is forgotten, list anew
        ├── Forbidden                       401, 403: an administrator must mend it, try again seldom
        ├── NotFound                        404
        ├── Conflict                        409: read again, then decide anew
        ├── Invalid                         400, 422: the request is not one that this server takes
        ├── TooManyRequests                 429: try again after `retry_after_s`
        └── ServerError                     5xx: try again

How long to wait before the next attempt at the least is in the type: `pause_at_least_s`. Next step: `kube.pacing`.
"""

from __future__ import annotations

from bulkhead.errors import Unreachable

STAYS = "what is enforced stays enforced"
NO_KIND = "Bulkhead is not installed in this cluster: install its chart, or name another cluster with --context"
NO_OBJECT = "look for its name and namespace: -n names another namespace, --context another cluster"
NO_ANSWER = "is the cluster up, and the one that is meant? `kubectl config current-context` says; --context chooses"
REMEDIES = {
    401: "log in anew, or choose other credentials with --context, --user or --kubeconfig",
    403: "ask whoever administers the cluster for a role with that right: docs/kubernetes.md says which command needs "
    "which; `kubectl auth can-i --list` shows those that there are",
}
SELDOM_S = 10.0  # roles may be bound a moment after the program starts; a wrong role is mended by hand


class ApiRefused(Unreachable):
    """The API server answered with a refusal. `retry_after_s` is what it asks for, 0 where it does not say."""

    pause_at_least_s = 0.0

    def __init__(self, message: str, status: int, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status, self.retry_after_s = status, retry_after_s


class Expired(ApiRefused):
    """The resource version asked for is no longer known."""


class Forbidden(ApiRefused):
    """No valid credentials, or no right to do this."""

    pause_at_least_s = SELDOM_S


class NotFound(ApiRefused):
    """No such object, or no such kind: whoever named it on a command line named another one."""

    exit_status = 2


class Conflict(ApiRefused):
    """The object exists already, or is not what it was when it was read."""


class Invalid(ApiRefused):
    """The server does not take such a request or object."""


class TooManyRequests(ApiRefused):
    """The server wants to be left alone for a while."""


class ServerError(ApiRefused):
    """The server failed."""


KINDS: dict[int, type[ApiRefused]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}


def refusal(about: str, status: int, text: str, retry_after_s: float = 0.0) -> ApiRefused:
    """The error for an HTTP status, or for the code of a Status object. `about` is what was asked of whom."""
    kind = KINDS.get(status, ServerError if status >= 500 else ApiRefused)
    error = kind(f"{about}: {status}: {text}; {STAYS}", status, retry_after_s)
    names_an_object = text.endswith(" not found") and not text.endswith("page not found")
    error.remedy = REMEDIES.get(status, "") if status != 404 else NO_OBJECT if names_an_object else NO_KIND
    return error


def no_answer(about: str, reason: str) -> Unreachable:
    """The error where there is no answer, or none that makes sense."""
    error = Unreachable(f"{about}: {reason}; {STAYS}")
    error.remedy = NO_ANSWER
    return error


def pause_at_least_s(error: Unreachable) -> float:
    """Seconds that have to pass before the next attempt, whatever the caller's own back-off says."""
    return max(error.pause_at_least_s, error.retry_after_s) if isinstance(error, ApiRefused) else 0.0
