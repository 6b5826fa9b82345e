"""What the agent knows of its node without Kubernetes: cgroups, mount tables, containers, and starting a command.

`cgroups` and `launch` act on the cgroup hierarchy; `mounts` is pure and says under which paths each mounted directory
is seen; `anchors` opens those directories for the kernel's maps; `nri` is asked before a container starts. Nothing here
knows of policies or of BPF. Next step: `bulkhead.enforcement` puts what is found here into maps.
"""
