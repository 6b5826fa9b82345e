"""The kernel's side as seen from user space: what it can do, programs compiled and loaded into it, maps, records.

The only package that imports bcc, and that only in the short-lived process that compiles. It knows nothing of policies
beyond what the maps hold. Start at `features` for what a kernel can do, at `instance` for loading. Next step:
`bulkhead.enforcement` decides what the maps shall hold.
"""
