"""Writes what is made from the policy models: the CRDs of the chart and docs/policy-reference.md.

`--check` writes nothing and compares. The schemas come from `policy.schema`, the page from
`policy.document_reference`.
"""

from __future__ import annotations

import sys
from typing import Any

import yaml

from bulkhead.policy.document_reference import page
from bulkhead.policy.model import KINDS
from bulkhead.policy.node_schema import node_state_crd
from bulkhead.policy.schema import crd
from tools.generated_files import ROOT, check_asked, settle

CRDS = ROOT / "deploy/helm/bulkhead/crds"
PAGE = ROOT / "docs/policy-reference.md"
REMEDY = "make gen-policy"
HEADER = "# Made from agent/bulkhead/policy/model by tools/gen_policy.py: `make gen-policy`.\n"


class _Written(yaml.SafeDumper):
    """YAML as people write it: no aliases, lists indented."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always: equal parts of a schema are not the same part."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists within maps are indented, too."""
        super().increase_indent(flow, False)


def crd_text(definition: dict[str, Any]) -> str:
    """The file of one CRD."""
    text: str = yaml.dump(definition, Dumper=_Written, sort_keys=False, width=120, allow_unicode=True)
    return HEADER + text


def main() -> int:
    """Write or check. Returns the exit status."""
    definitions = [*map(crd, KINDS), node_state_crd()]
    files = {CRDS / f"{each['metadata']['name']}.yaml": crd_text(each) for each in definitions}
    return settle({**files, PAGE: page()}, check=check_asked(__doc__), remedy=REMEDY)


if __name__ == "__main__":
    sys.exit(main())
