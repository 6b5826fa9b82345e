"""Certificates: what is signed, by whom, for how long, and what is in them. Pure: no cluster, no files, no clock.

`names` says what everything is called; `authority` makes authorities and signs; `request` is an agent's part;
`pair` looks at a certificate that is there. Next step: `controller.issuing`, `agent.cluster.certificate`.
"""
