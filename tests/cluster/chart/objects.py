"""What the tests of the chart speak of: its place, the namespace, and rendered objects. Next: `conftest`, above."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy/helm/bulkhead"
NAMESPACE = "bulkhead-system"

Object = dict[str, Any]
Objects = dict[tuple[str, str], Object]
Render = Callable[..., Objects]
