"""From a kernel record's bytes to an entry that the collector has acknowledged.

The way of a record: `decode` (bytes to Violation) → `enrich` (what /proc adds) → `reporter` (gathers, counts, numbers)
→ `spool` (on the node's disk) → `stream` (to the collector). `repeats` and `reconcile` account for what the kernel
counted without a record of its own; `render` is how people and other programs get to see an entry. Next step:
`bulkhead.collector`.
"""
