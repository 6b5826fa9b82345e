"""The agent's input in a cluster: policies, pods and labels from the API server, and what it tells back.

`policies` and `pods` read objects, `state` keeps them, `source` says which container is under which policies,
`watching` keeps the state fresh, `telling` writes what is true of this node. Next step: `agent.main`.
"""
