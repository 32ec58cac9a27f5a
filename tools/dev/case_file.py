"""Writes recorded cases: safetensors files with the tensors in.* and out.* of an op, its parameters as metadata."""
import array
import json
import os
import struct

CODES = {"F32": "f", "F64": "d", "I64": "q", "I32": "i", "BOOL": "B", "BF16": "H"}


def bf16_bits(value):
    """The value rounded to nearest even, as the upper half of an f32."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16


def as_bf16(value):
    return struct.unpack("<f", struct.pack("<I", bf16_bits(value) << 16))[0]


def as_f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def flat(values):
    if not isinstance(values, list):
        return [values]
    return [v for part in values for v in flat(part)]


def write(folder, case, tensors, metadata):
    """tensors: name -> (dtype, shape, values, nested as you like); metadata: parameters of any type."""
    os.makedirs(folder, exist_ok=True)
    text = {"case": case, "split": "golden", "format": "1", **metadata}
    text = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in text.items()}
    header, data = {"__metadata__": text}, b""
    for name, (dtype, shape, values) in tensors.items():
        values = flat(values)
        if dtype == "BF16":
            values = [bf16_bits(v) for v in values]
        bytes_ = array.array(CODES[dtype], values).tobytes()
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(bytes_)]}
        data += bytes_
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(os.path.join(folder, case + ".safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + data)
