"""One kubeconfig of several files, merged as kubectl merges them: its contexts, and what is chosen of it.

On the official client's merger and loader, which have no types. Next step: `kube.config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kubernetes.client.configuration import Configuration
from kubernetes.config import kube_config

from bulkhead.errors import UsageError

DEFAULT_NAMESPACE = "default"
CHOSEN = "as the command line says"  # the name of a context that is in no file
_loaders = cast(Any, kube_config)


@dataclass(frozen=True)
class Choice:
    """Which kubeconfig, and what of it: empty is what the surroundings, the file and the context say."""

    kubeconfig: Path | None = None
    context: str = ""
    cluster: str = ""
    user: str = ""


ANY = Choice()


class KubeConfig:
    """`files` as KUBECONFIG has them. Raises `UsageError` for what is chosen and not there."""

    def __init__(self, files: str, choice: Choice) -> None:
        merged = _loaders.KubeConfigMerger(files).config
        if merged is None:
            raise UsageError(f"{files}: no such kubeconfig; set KUBECONFIG or name one with --kubeconfig")
        self._files, self._merged = files, merged
        self._context = self._chosen(choice)

    def load_into(self, configuration: Configuration) -> None:
        """The server and the credentials of what is chosen."""
        if not self._context.get("cluster"):
            raise UsageError(
                f"{self._files}: there is no current context: name one with --context{self._those('contexts')}"
            )
        self._merged.value["contexts"].append({"name": CHOSEN, "context": self._context})
        loader = _loaders.KubeConfigLoader(self._merged, active_context=CHOSEN, config_base_path=None)
        loader.load_and_set(configuration)

    @property
    def namespace(self) -> str:
        """The context's."""
        return str(self._context.get("namespace") or DEFAULT_NAMESPACE)

    def names(self, what: str) -> list[str]:
        """Of the contexts, clusters or users that there are."""
        return [str(each["name"]) for each in self._merged.value.get(what) or ()]

    def _chosen(self, choice: Choice) -> dict[str, Any]:
        """The context, with what is chosen besides it."""
        name = choice.context or self._merged.value.get("current-context") or ""
        context = dict(self._named("contexts", name)["context"]) if name else {}
        for what, chosen in (("cluster", choice.cluster), ("user", choice.user)):
            if chosen:
                self._named(f"{what}s", chosen)
                context[what] = chosen
        return context

    def _named(self, what: str, name: str) -> Mapping[str, Any]:
        for each in self._merged.value.get(what) or ():
            if each["name"] == name:
                found: Mapping[str, Any] = getattr(each, "value", each)
                return found
        one = what.removesuffix("s")
        raise UsageError(f"{self._files}: there is no {one} {name!r}: name another one with --{one}{self._those(what)}")

    def _those(self, what: str) -> str:
        names = self.names(what)
        return f" ({', '.join(names)})" if names else f"; there are no {what} in it"
