"""Those few of etcd's messages that a snapshot needs, which kine understands too.

Described here and not generated: the numbers are etcd's wire format (etcdserverpb, mvccpb), which does not change.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "etcdserverpb"
_PLAIN = {
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "bool": FieldDescriptorProto.TYPE_BOOL,
}
_MESSAGES = {
    "ResponseHeader": ("3 revision int64",),
    "KeyValue": ("1 key bytes", "3 mod_revision int64", "5 value bytes", "6 lease int64"),
    "RangeRequest": (
        *("1 key bytes", "2 range_end bytes", "3 limit int64", "4 revision int64"),
        *("8 keys_only bool", "9 count_only bool"),
    ),
    "RangeResponse": ("1 header ResponseHeader", "2 kvs KeyValue*", "3 more bool", "4 count int64"),
    "PutRequest": ("1 key bytes", "2 value bytes"),
    "DeleteRangeRequest": ("1 key bytes",),
    "RequestOp": (
        "1 request_range RangeRequest",
        "2 request_put PutRequest",
        "3 request_delete_range DeleteRangeRequest",
    ),
    "Compare": ("1 result int32", "2 target int32", "3 key bytes", "6 mod_revision int64"),
    "TxnRequest": ("1 compare Compare*", "2 success RequestOp*", "3 failure RequestOp*"),
    "TxnResponse": ("1 header ResponseHeader", "2 succeeded bool"),
    "CompactionRequest": ("1 revision int64",),
    "CompactionResponse": ("1 header ResponseHeader",),
}


def _field(text: str) -> FieldDescriptorProto:
    number, name, kind = text.split()
    repeated = kind.endswith("*")
    kind = kind.removesuffix("*")
    field = FieldDescriptorProto(
        name=name,
        number=int(number),
        label=FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL,
        type=_PLAIN.get(kind, FieldDescriptorProto.TYPE_MESSAGE),
    )
    if kind not in _PLAIN:
        field.type_name = f".{_PACKAGE}.{kind}"
    return field


def _classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="etcd.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        message.field.extend(_field(text) for text in fields)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


_CLASS = _classes()
RangeRequest, RangeResponse = _CLASS["RangeRequest"], _CLASS["RangeResponse"]
TxnRequest, TxnResponse = _CLASS["TxnRequest"], _CLASS["TxnResponse"]
CompactionRequest, CompactionResponse = _CLASS["CompactionRequest"], _CLASS["CompactionResponse"]

MOD = 2
"""Compare.target: the revision of the key's last change. Compare.result 0, the default, is "equal"."""
