"""Policies, from documents to what the kernel's maps will hold. Pure: no kernel, no Kubernetes client, no clock.

`model` is what people may write, `parse` reads it, `resolve` makes rules of it, `merge` one set of all that select a
container, `lower` the tables of that set. `oracle` says in plain Python what a set means. Start at `parse`.
"""
