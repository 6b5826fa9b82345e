"""Generated from proto/bulkhead/nri/v1alpha1 by `make gen-proto`."""
