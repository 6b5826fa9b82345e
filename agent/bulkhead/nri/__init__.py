"""Messages of the Node Resource Interface, generated from proto/bulkhead/nri. `bulkhead.node.nri` speaks them."""
