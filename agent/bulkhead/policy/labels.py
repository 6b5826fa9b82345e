"""What one requirement of a label selector means. Pure, and quick to import: `bulkhead events` filters with it, too.

Source: the LabelSelector of k8s.io/apimachinery, meta/v1. Next step: `policy.select` for policies,
`kube.label_selector` for what people write on a command line.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


def requirement_holds(operator: Operator, value: str | None, values: Container[str]) -> bool:
    """Of a label's value, None where there is no such label: it is in no set of values."""
    match operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
