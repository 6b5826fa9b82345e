"""The central service: takes entries from agents, keeps them, serves them to readers.

`ingest` checks what agents send, `commits` gathers it into transactions, `store` keeps it in SQLite files, `subscribe`
and `query` serve it, `server` ties these to a port. Knows nothing of kernels, nodes or Kubernetes.
"""
