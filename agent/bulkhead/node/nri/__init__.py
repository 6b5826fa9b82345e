"""A plugin of the container runtime: asked before a container's first instruction, and able to refuse it.

`frames` are the bytes, `plugin` is the conversation. The Node Resource Interface is containerd's (on from 2.0) and
CRI-O's. Next step: `bulkhead.agent.cluster.starting` answers.
"""
