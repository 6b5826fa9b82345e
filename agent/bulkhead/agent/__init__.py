"""The node agent: policies in, containers under them, violations out. Everything below is put together here.

`agent.pump` carries violations, `agent.desired` says what should be enforced, `agent.sync` makes it so, `agent.main`
runs them. `bulkhead run` is made of the same parts.
"""
