"""The gRPC interface in Python, made from proto/bulkhead/v1 by tools/gen_proto.py: `make gen-proto`, never edited.

Each `NAME.proto` is `bulkhead.v1.NAME_pb2` (messages) and, where it has services, `bulkhead.v1.NAME_pb2_grpc`.
Next step: `bulkhead.report` fills messages in and sends them, `bulkhead.collector` serves them.
"""
