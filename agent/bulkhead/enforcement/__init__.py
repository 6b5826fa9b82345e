"""From policies to what the kernel holds: lowering per container, placing in maps, binding, replacing, taking back.

Above `policy` (what a set means), `node` (what containers there are) and `kernel` (maps and programs); below the agent
and `bulkhead run`. Next step: `enforcement.enforcer`.
"""
