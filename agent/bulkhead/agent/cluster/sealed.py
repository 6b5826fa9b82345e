"""Documents on the node's disk that are believed only as this node's agent wrote them.

Each is sealed with a key that is made at the first use and lies beside them, for root only. So what is damaged, was cut
short, was put under another name or comes from another node is told from what was written; not so what somebody
changed who is root on the node, and needs no file of ours to do harm. The seal is HMAC (RFC 2104) with SHA-256.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

from bulkhead.errors import Damaged
from bulkhead.files import write_whole

_KEY, _KEY_BYTES = "seal.key", 32
_SUFFIX = ".json"


class SealedFolder:
    """JSON documents by name. The folder is made where it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = _key(folder / _KEY)

    def write(self, name: str, document: Any) -> None:
        """Replace a document. Raises `OSError`: the one before stays."""
        content = json.dumps(document).encode()
        write_whole(self._path(name), self._seal(name, content) + b"\n" + content)

    def read(self, name: str) -> Any:
        """What was written; None where nothing was. Raises `Damaged`."""
        try:
            seal, _, content = self._path(name).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Damaged(f"{self._path(name)}: {error.strerror}; it is done without") from error
        if not hmac.compare_digest(seal, self._seal(name, content)):
            raise Damaged(f"{self._path(name)}: not as this node's agent wrote it; it is done without")
        return json.loads(content)

    def remove(self, name: str) -> None:
        """Also fine where there is none."""
        self._path(name).unlink(missing_ok=True)

    def names(self) -> set[str]:
        """Of all documents, the damaged ones too."""
        return {path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}")}

    def _seal(self, name: str, content: bytes) -> bytes:
        return hmac.digest(self._key, name.encode() + b"\0" + content, hashlib.sha256).hex().encode()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"


def _key(path: Path) -> bytes:
    """The key, made where there is none. One of a wrong length was cut short: it is made anew."""
    with contextlib.suppress(FileNotFoundError):
        if len(key := path.read_bytes()) == _KEY_BYTES:
            return key
        path.unlink()
    key = secrets.token_bytes(_KEY_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
    return key
