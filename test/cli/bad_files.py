"""Malformed safetensors, and tensors that do not fit an op."""
import json
import os
import struct

from moec_cli import Row, pack, read, write, zeros

ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def one(**changes):
    """A header with one tensor, changed; a change to None takes the field away."""
    entry = {**ONE, **changes}
    return {"in.x": {k: v for k, v in entry.items() if v is not None}}


def malformed():
    """what, bytes of the file, texts that are said."""
    two = {"in.x": ONE, "in.y": {**ONE, "data_offsets": [4, 12]}}
    return [
        # header length
        ("empty", b"", ["it has only 0 bytes"]),
        ("7 bytes", b"\1" * 7, ["it has only 7 bytes"]),
        ("a header of 2^64-1 bytes", pack(one(), bytes(8), 2**64 - 1), ["its header claims 18446744073709551615 bytes"]),
        ("a header of 2^63 bytes", pack(one(), bytes(8), 2**63), ["its header claims 9223372036854775808 bytes"]),
        ("a header beyond the file", pack(one(), b"", 10000), ["its header claims 10000 bytes of a file of"]),
        ("a header of 100 MB and more", pack("{}", b"", 100_000_001), ["its header claims 100000001 bytes"]),
        ("a header of 0 bytes", pack("", bytes(8)), ["its header does not start with '{'"]),
        ("cut in the header", pack(one(), bytes(8))[:40], ["its header claims"]),
        # JSON
        ("text", b"this is not a safetensors file at all, sorry", ["its header claims"]),
        ("a header that is a list", pack("[1, 2]"), ["its header does not start with '{'"]),
        ("a header that ends early", pack('{"in.x": {"dtype": "F32"'), ["its header is bad: it is not JSON at byte"]),
        ("something after the header", pack('{} {}'), ["it is not JSON"]),
        ("deep lists", pack('{"a":' + "[" * 100000 + "]" * 100000 + "}"), ["nested deeper than 8 levels"]),
        ("deep objects", pack('{"a":' * 100000 + "1" + "}" * 100000), ["nested deeper than 8 levels"]),
        ("a name twice", pack('{"in.x": %s, "in.x": %s}' % (json.dumps(ONE), json.dumps(ONE)), bytes(8)), ['the name "in.x" appears twice']),
        ("a field twice", pack('{"in.x": {"dtype": "F32", "dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', bytes(8)), ['"dtype" appears twice']),
        ("no UTF-8", pack(b'{"in.\xff\xfe": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', bytes(8)), ["its header is bad: it is not JSON at byte"]),
        ("half a character", pack(b'{"in.\xe2\x82": 1}', bytes(8)), ["its header is bad: it is not JSON at byte"]),
        ("a control character", pack(b'{"in.\x01": 1}', bytes(8)), ["it is not JSON at byte"]),
        ("a number beyond all", pack('{"in.x": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 8]}}', bytes(8)), ["its header is bad"]),
        # entries
        ("an entry that is a number", pack({"in.x": 7}), ['the entry of tensor "in.x" is not an object']),
        ("no dtype", pack(one(dtype=None), bytes(8)), ['tensor "in.x" has no dtype']),
        ("an unknown dtype", pack(one(dtype="F128"), bytes(8)), ['tensor "in.x" has dtype F128, which moec does not know', "convert it"]),
        ("a dtype that moec lacks", pack(one(dtype="U16"), bytes(8)), ["has dtype U16, which moec does not take"]),
        ("no shape", pack(one(shape=None), bytes(8)), ['tensor "in.x" has no shape']),
        ("a negative size", pack(one(shape=[-2]), bytes(8)), ["has a size that is not a whole number of 0 or more"]),
        ("half a size", pack(one(shape=[1.5]), bytes(8)), ["has a size that is not a whole number"]),
        ("9 dimensions", pack(one(shape=[1] * 9), bytes(8)), ["has 9 dimensions; moec takes at most 8"]),
        ("2^96 elements", pack(one(shape=[2**32, 2**32, 2**32]), bytes(8)), ["overflows 2^62 bytes"]),
        ("2^64 elements and none", pack(one(shape=[2**32, 2**32, 0], data_offsets=[0, 0])), ["overflows 2^62 bytes"]),
        ("2^40 elements of a small file", pack(one(shape=[2**40]), bytes(8)), ["that is 4398046511104 bytes, but its data_offsets span 8"]),
        ("no offsets", pack(one(data_offsets=None), bytes(8)), ["has no pair of data_offsets"]),
        ("three offsets", pack(one(data_offsets=[0, 4, 8]), bytes(8)), ["has no pair of data_offsets"]),
        ("a negative offset", pack(one(data_offsets=[-8, 0]), bytes(8)), ["has no pair of data_offsets"]),
        ("offsets backwards", pack(one(data_offsets=[8, 0]), bytes(8)), ["has data_offsets [8, 0]"]),
        ("offsets beyond the file", pack(one(data_offsets=[8, 16]), bytes(8)), ["has data_offsets [8, 16] but the file has 8 bytes of data"]),
        ("offsets of 2^63", pack(one(data_offsets=[2**63, 2**63 + 8]), bytes(8)), ["but the file has 8 bytes of data"]),
        ("fewer bytes than the shape", pack(one(data_offsets=[0, 4]), bytes(4)), ["f32[2], that is 8 bytes, but its data_offsets span 4"]),
        ("more bytes than the shape", pack(one(data_offsets=[0, 12]), bytes(12)), ["its data_offsets span 12"]),
        ("an unknown field", pack(one(strides=[1]), bytes(8)), ['has the unknown field "strides"']),
        ("overlapping tensors", pack(two, bytes(12)), ['tensor "in.y" overlaps the one before it']),
        ("a gap", pack(one(data_offsets=[8, 16]), bytes(16)), ['a gap of 8 bytes before tensor "in.x"']),
        ("bytes of no tensor", pack(one(), bytes(20)), ["12 bytes after the last tensor belong to none"]),
        ("truncated data", pack(one(), bytes(5)), ["but the file has 5 bytes of data"]),
        ("a bool of 2", pack(one(dtype="BOOL", data_offsets=[0, 2]), b"\0\2"), ["is BOOL but element 1 is 2"]),
        ("metadata that is a list", pack({"__metadata__": [], **one()}, bytes(8)), ["__metadata__ is not an object"]),
        ("metadata of numbers", pack({"__metadata__": {"op": 7}, **one()}, bytes(8)), ['metadata "op" is not a string']),
    ]


def misfits(golden, folder):
    """Good files whose tensors do not fit the op."""
    swiglu = read(os.path.join(golden, "weighted_swiglu", "t21_h24_f32.safetensors"))[1]
    x, w = swiglu["in.x"], swiglu["in.weights"]
    indices, probs = zeros("I64", [4, 2]), zeros("F32", [4, 2])
    tokens, routes = zeros("F32", [4, 16]), zeros("BOOL", [4, 8])
    a, b, offs = zeros("F32", [6, 16]), zeros("F32", [2, 16, 16]), zeros("I32", [2])
    cases = [  # what, op, parameters, tensors, texts
        ("x of integers", "weighted_swiglu", {}, {"x": ("I32", [21, 48], x[2]), "weights": w}, ["activate: x: it is i32[21, 48]", "its dtype must be f32"]),
        ("x of rank 1", "weighted_swiglu", {}, {"x": ("F32", [1008], x[2]), "weights": w}, ["activate: weights: it is f32[21, 1]", "its shape must be [1, 1], one for each row of x f32[1008]"]),
        ("weights of other rows", "weighted_swiglu", {}, {"x": x, "weights": zeros("F32", [20, 1])}, ["activate: weights: it is f32[20, 1]", "its shape must be [21, 1]"]),
        ("an odd width", "weighted_swiglu", {}, {"x": zeros("F32", [21, 47]), "weights": w}, ["f32[21, 47]", "its last dimension must be even"]),
        ("weights that are missing", "weighted_swiglu", {}, {"x": x}, ["the tensor weights [M, 1] is missing"]),
        ("indices of floats", "indices_to_multihot", {"num_local_experts": "8"}, {"indices": zeros("F32", [4, 2]), "probs": probs}, ["indices_to_multihot: indices: it is f32[4, 2]"]),
        ("indices and probs of two shapes", "indices_to_multihot", {"num_local_experts": "8"}, {"indices": indices, "probs": zeros("F32", [4, 3])}, ["[4, 3]"]),
        ("experts that are no number", "indices_to_multihot", {"num_local_experts": "many"}, {"indices": indices, "probs": probs}, ["many", "give an integer"]),
        ("a negative number of experts", "indices_to_multihot", {"num_local_experts": "-8"}, {"indices": indices, "probs": probs}, ["the number of experts is -8; it must be 1 to 4096"]),
        ("a number of experts of 33 bits", "indices_to_multihot", {"num_local_experts": "4294967304"}, {"indices": indices, "probs": probs}, ["give an integer of 32 bits"]),
        ("a map of other tokens", "permute", {}, {"tokens": tokens, "routing_map": zeros("BOOL", [5, 8])}, ["routing_map", "5"]),
        ("tokens of rank 3", "permute", {}, {"tokens": zeros("F32", [4, 4, 4]), "routing_map": routes}, ["tokens", "f32[4, 4, 4]"]),
        ("offs of i64", "grouped_mm", {}, {"a": a, "b": b, "offs": zeros("I64", [2])}, ["offs", "i64"]),
        ("offs of another length", "grouped_mm", {}, {"a": a, "b": b, "offs": zeros("I32", [3])}, ["offs", "3"]),
        ("two dtypes", "grouped_mm", {}, {"a": a, "b": zeros("BF16", [2, 16, 16]), "offs": offs}, ["bf16"]),
        ("an inner size of two values", "grouped_mm", {}, {"a": zeros("F32", [6, 20]), "b": b, "offs": offs}, ["20"]),
    ]
    for i, (what, op, parameters, tensors, texts) in enumerate(cases):
        path = os.path.join(folder, f"misfit{i}.safetensors")
        write(path, {"op": op, "case": f"misfit{i}", **parameters}, {"in." + k: v for k, v in tensors.items()})
        settings = [s for k, v in parameters.items() for s in ("--set", f"{k}={v}")]
        yield Row(what, ["run", op, "--in", path, "--out", "x", "--device", "interp", *settings], 1, *texts)
    # verify says it in its report, and does not hide it behind "unsupported".
    path = os.path.join(folder, "misfit.safetensors")
    write(path, {"op": "weighted_swiglu", "case": "misfit"}, {"in.x": ("F32", [1008], x[2]), "in.weights": w, "out.y": swiglu["out.y"]})
    yield Row("verify a case that does not fit", ["verify", "--device", "interp", path], 1, "FAIL", "f32[1008]", on_output=True)
    path = os.path.join(folder, "huge_generated.safetensors")
    write(path, {"op": "weighted_swiglu", "case": "huge", "gen.x": "hash_uniform seed=1 scale=1 shape=4294967296x4294967296x4294967296"}, {"out.y": zeros("F32", [1])})
    yield Row("a generated tensor of 2^96 elements", ["verify", "--device", "interp", path], 1, "FAIL", "4294967296", on_output=True)
    path = os.path.join(folder, "bad_generated.safetensors")
    write(path, {"op": "weighted_swiglu", "case": "bad", "gen.x": "ones shape=3"}, {"out.y": zeros("F32", [1])})
    yield Row("a generator that is none", ["verify", "--device", "interp", path], 1, "FAIL", "it reads hash_uniform seed=S scale=C shape=AxB", on_output=True)


def rows(golden, folder):
    table = []
    for i, (what, raw, texts) in enumerate(malformed()):
        path = os.path.join(folder, f"f{i}.safetensors")
        with open(path, "wb") as out:
            out.write(raw)
        if i % 2:
            table.append(Row(what, ["run", "weighted_swiglu", "--in", path, "--out", "x", "--device", "interp"], 1, f"read {path}: ", *texts))
        else:
            table.append(Row(what, ["verify", "--device", "interp", path], 1, "FAIL", f"read {path}: ", "0 passed, 1 failed, 0 unsupported", *texts, on_output=True))
    table.extend(misfits(golden, folder))
    return table
