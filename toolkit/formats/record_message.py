"""The protobuf message `Record` of SageMaker's algorithms, described at run time.

https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html prints the definition. Generated code would tie the
toolkit to one range of protobuf releases; a descriptor made here works with all from 3.20 on, and its own pool keeps it
apart from the SDK's copy of the same message.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

TENSORS = {"float32_tensor": "<f4", "float64_tensor": "<f8", "int32_tensor": "<i4"}
VECTOR = "values"  # the key of a row's vector in `features`, and of its label in `label`

_OPTIONAL, _REPEATED = 1, 3  # FieldDescriptorProto's numbers for labels and types
_DOUBLE, _FLOAT, _UINT64, _INT32, _STRING, _MESSAGE, _BYTES = 1, 2, 4, 5, 9, 11, 12


@lru_cache(maxsize=1)
def record_class() -> type[Any]:
    """The message class `aialgs.data.Record`."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    pool.Add(_described(descriptor_pb2.FileDescriptorProto()))
    descriptor = pool.FindMessageTypeByName("aialgs.data.Record")
    if hasattr(message_factory, "GetMessageClass"):  # from protobuf 4.22 on
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def decode_error() -> type[Exception]:
    """What the message class raises for bytes that are none."""
    from google.protobuf.message import DecodeError

    return DecodeError


def _described(file: Any) -> Any:
    """The file descriptor with all messages of the package."""
    file.name, file.package, file.syntax = "byoa/record.proto", "aialgs.data", "proto2"
    for name, kind in (("Float32Tensor", _FLOAT), ("Float64Tensor", _DOUBLE), ("Int32Tensor", _INT32)):
        tensor = file.message_type.add(name=name)
        for number, (field, type_) in enumerate((("values", kind), ("keys", _UINT64), ("shape", _UINT64)), 1):
            tensor.field.add(name=field, number=number, label=_REPEATED, type=type_).options.packed = True
    blob = file.message_type.add(name="Bytes")
    blob.field.add(name="value", number=1, label=_REPEATED, type=_BYTES)
    blob.field.add(name="content_type", number=2, label=_OPTIONAL, type=_STRING)
    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="value")
    for field, number, kind in (
        ("float32_tensor", 2, "Float32Tensor"),
        ("float64_tensor", 3, "Float64Tensor"),
        ("int32_tensor", 7, "Int32Tensor"),
        ("bytes", 9, "Bytes"),
    ):
        _add_message(value, field, number, kind, _OPTIONAL).oneof_index = 0
    record = file.message_type.add(name="Record")
    _add_map(record, "features", 1)
    _add_map(record, "label", 2)
    for number, field in enumerate(("uid", "metadata", "configuration"), 3):
        record.field.add(name=field, number=number, label=_OPTIONAL, type=_STRING)
    return file


def _add_message(message: Any, field: str, number: int, kind: str, label: int) -> Any:
    type_name = f".aialgs.data.{kind}"
    return message.field.add(name=field, number=number, label=label, type=_MESSAGE, type_name=type_name)


def _add_map(record: Any, field: str, number: int) -> None:
    """A map<string, Value>, which is a repeated message of key and value."""
    entry = record.nested_type.add(name=f"{field.capitalize()}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_OPTIONAL, type=_STRING)
    _add_message(entry, "value", 2, "Value", _OPTIONAL)
    _add_message(record, field, number, f"Record.{entry.name}", _REPEATED)
