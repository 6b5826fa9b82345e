"""Sums up in each policy's status what agents say of their nodes: one program of a cluster, elected among its replicas.

`nodes` reads what agents say, `history` knows who has heard of what, `summary` says what follows for a policy, `state`
keeps all of it, `telling` writes. It changes nothing that is enforced: where it is away, statuses are old, and say of
which generation they are. Next step: `controller.main`.
"""
