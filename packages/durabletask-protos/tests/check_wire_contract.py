#!/usr/bin/env python3
"""Compare a compiled .proto with wire-contract.json, and print every difference.

usage: check_wire_contract.py DESCRIPTOR_SET [CONTRACT]

DESCRIPTOR_SET is what `protoc --descriptor_set_out=… --include_imports` writes; any file in it that defines
TaskHubSidecarService is taken. Needs only `protobuf`. Exit 0 when the wire is the same, 1 when it differs.
Comments, options and the order of declarations are free; names, numbers, types, oneofs and presence are not.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

from google.protobuf import descriptor_pb2 as pb

FIELD = pb.FieldDescriptorProto
TYPE_NAMES = {number: name[5:].lower() for name, number in FIELD.Type.items()}


def type_of(field: pb.FieldDescriptorProto) -> str:
    if field.type in (FIELD.TYPE_MESSAGE, FIELD.TYPE_ENUM, FIELD.TYPE_GROUP):
        return field.type_name.lstrip(".")
    return TYPE_NAMES[field.type]


def message(m: pb.DescriptorProto) -> dict[str, Any]:
    maps = {n.name: n for n in m.nested_type if n.options.map_entry}
    fields: dict[str, Any] = {}
    for f in m.field:
        entry: dict[str, Any] = {"number": f.number}
        last = f.type_name.split(".")[-1]
        if last in maps:
            key, value = maps[last].field
            entry["type"] = f"map<{type_of(key)}, {type_of(value)}>"
        else:
            entry["type"] = type_of(f)
            if f.label == FIELD.LABEL_REPEATED:
                entry["repeated"] = True
        if f.proto3_optional:
            entry["optional"] = True
        elif f.HasField("oneof_index"):
            entry["oneof"] = m.oneof_decl[f.oneof_index].name
        fields[f.name] = entry
    return {
        "fields": fields,
        "messages": {n.name: message(n) for n in m.nested_type if not n.options.map_entry},
        "enums": {e.name: {v.name: v.number for v in e.value} for e in m.enum_type},
    }


def expected_message(m: dict[str, Any]) -> dict[str, Any]:
    return {
        "fields": {f["name"]: {k: v for k, v in f.items() if k not in ("name", "deprecated")} for f in m["fields"]},
        "messages": {n: expected_message(x) for n, x in m.get("messages", {}).items()},
        "enums": m.get("enums", {}),
    }


def differences(want: Any, have: Any, at: str) -> list[str]:
    if isinstance(want, dict) and isinstance(have, dict):
        found: list[str] = []
        for key in want.keys() | have.keys():
            where = f"{at}.{key}" if at else str(key)
            if key not in have:
                found.append(f"missing: {where} = {json.dumps(want[key])[:120]}")
            elif key not in want:
                found.append(f"not in the contract: {where}")
            else:
                found += differences(want[key], have[key], where)
        return found
    return [] if want == have else [f"{at}: contract {want!r}, compiled {have!r}"]


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    contract_path = (
        pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else pathlib.Path(__file__).with_name("wire-contract.json")
    )
    contract = json.loads(contract_path.read_text())
    files = pb.FileDescriptorSet.FromString(pathlib.Path(sys.argv[1]).read_bytes()).file
    found = [f for f in files if any(s.name == "TaskHubSidecarService" for s in f.service)]
    if not found:
        print("no file in the set defines TaskHubSidecarService")
        return 1
    compiled = found[0]
    want = {
        "package": contract["package"],
        "rpcs": {
            r["rpc"]: {k: v for k, v in r.items() if k != "rpc"} for r in contract["service"]["TaskHubSidecarService"]
        },
        "enums": contract["enums"],
        "messages": {n: expected_message(m) for n, m in contract["messages"].items()},
    }
    service = next(s for s in compiled.service if s.name == "TaskHubSidecarService")
    rpcs: dict[str, Any] = {}
    for r in service.method:
        rpcs[r.name] = {"request": r.input_type.lstrip("."), "response": r.output_type.lstrip(".")}
        if r.server_streaming:
            rpcs[r.name]["server_streaming"] = True
        if r.client_streaming:
            rpcs[r.name]["client_streaming"] = True
    have = {
        "package": compiled.package,
        "rpcs": rpcs,
        "enums": {e.name: {v.name: v.number for v in e.value} for e in compiled.enum_type},
        "messages": {m.name: message(m) for m in compiled.message_type},
    }
    found_differences = sorted(differences(want, have, ""))
    print("\n".join(found_differences) or "the wire is the same")
    return 1 if found_differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
