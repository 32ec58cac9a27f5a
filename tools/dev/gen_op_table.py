#!/usr/bin/env python3
"""Writes dsl/op_table.inc: what the recorder knows of each op, read from ODS, so that no typing rule is written twice.

usage: gen_op_table.py --tblgen llvm-tblgen --include DIR... --out FILE TILE_OPS.td

Each .td is dumped with `llvm-tblgen --dump-json`. Of the tile dialect all ops are taken; of arith, math and scf those in UPSTREAM.
"""
import argparse
import json
import os
import re
import subprocess
import sys

UPSTREAM = {
    "mlir/Dialect/Arith/IR/ArithOps.td": """addf addi andi bitcast cmpf cmpi constant divf divsi divui maximumf maxsi maxui minimumf minsi
        minui mulf muli negf ori remsi remui select shli shrsi shrui subf subi xori""".split(),
    "mlir/Dialect/Math/IR/MathOps.td": "absf absi ceil erf exp exp2 floor fma log log2 rsqrt sqrt tanh".split(),
    "mlir/Dialect/SCF/IR/SCFOps.td": "condition for if while yield".split(),
}

DTYPES = ["I1", "I8", None, "I32", "I64", "F16", "BF16", "F32", "F64", "F8E4M3FN", "F8E5M2"]  # the order of moec::DType; u8 is I8
INTS, FLOATS = ["I1", "I8", "I32", "I64"], ["F16", "BF16", "F32", "F64"]
# Constraints of upstream dialects. fp8 has no arithmetic here: it is a format to store and to multiply in a dot.
UPSTREAM_CONSTRAINTS = {
    "SignlessIntegerOrIndexLike": INTS, "FloatLike": FLOATS, "BoolLike": ["I1"], "AnyType": INTS + FLOATS + ["F8E4M3FN", "F8E5M2"],
    "BitcastTypeConstraint": INTS[1:] + FLOATS + ["F8E4M3FN", "F8E5M2"], "AnySignlessIntegerOrIndex": ["I32", "I64"],
}
# How TableGen's summary of a tensor constraint spells element types.
SUMMARY_NAMES = {"1-bit signless integer": "I1", "8-bit signless integer": "I8", "32-bit signless integer": "I32",
                 "64-bit signless integer": "I64", "16-bit float": "F16", "bfloat16 type": "BF16", "32-bit float": "F32",
                 "64-bit float": "F64", "f8E4M3FN type": "F8E4M3FN", "f8E5M2 type": "F8E5M2"}
SCALAR, TILE, VIEW, POINTER = 1, 2, 4, 8


def dtype_mask(names):
    mask = 0
    for i, n in enumerate(DTYPES):
        if n in names or (n is None and "I8" in names):
            mask |= 1 << i
    return mask


class Constraint:
    """Which values an operand takes: dtypes as a scalar, dtypes as a tile, view, pointer."""

    def __init__(self):
        self.scalar = self.tile = 0
        self.view = self.pointer = False

    def add(self, records, name):
        r = records[name]
        supers = r["!superclasses"]
        if name in UPSTREAM_CONSTRAINTS:
            mask = dtype_mask(UPSTREAM_CONSTRAINTS[name])
            self.scalar |= mask
            if name != "AnySignlessIntegerOrIndex":
                self.tile |= mask
        elif "AnyTypeOf" in supers:
            for t in r["allowedTypes"]:
                self.add(records, t["def"])
        elif "RankedTensorOf" in supers:
            text = r["summary"].removeprefix("ranked tensor of ").removesuffix(" values")
            self.tile |= dtype_mask([SUMMARY_NAMES[s] for s in text.split(" or ")])
        elif r.get("typeName") == "tile.view":
            self.view = True
        elif r.get("typeName") == "tile.ptr":
            self.pointer = True
        elif name in DTYPES:
            self.scalar |= dtype_mask([name])
        else:
            sys.exit(f"gen_op_table.py: operand constraint {name} is not known: teach it to UPSTREAM_CONSTRAINTS")
        return self

    def cpp(self):
        return f"{self.scalar:#x}, {self.tile:#x}, {str(self.view).lower()}, {str(self.pointer).lower()}"


def attr_kind(records, name):
    """(kind, prefix): how the attribute is spelled; None if it is never printed because it has a default."""
    r = records[name]
    supers = r["!superclasses"]
    if "DefaultValuedAttr" in supers:
        return None
    if "ConfinedAttr" in supers or "OptionalAttr" in supers:
        return attr_kind(records, r["baseAttr"]["def"])
    if name == "UnitAttr":
        return "unit", ""
    if name == "I32Attr":
        return "i32", ""
    if name == "DenseI32ArrayAttr":
        return "i32_array", ""
    if name == "DenseBoolArrayAttr":
        return "bool_array", ""
    if name in ("StrAttr", "SymbolNameAttr"):
        return "string", ""
    if name == "TypedAttrInterface":
        return "constant", ""
    if "IntEnumAttr" in supers:
        return "i64", ""
    if "EnumAttr" in supers:
        dialect, mnemonic = r["attrName"].split(".")
        return "enumeration", f"#{dialect}<{mnemonic} "
    if "TypeAttrBase" in supers or "TypeAttr" in name:
        return "type", ""
    return "none", ""


def enum_cases(records, name):
    cases = records[records[name]["enum"]["def"]]["enumerants"]
    by_value = {records[c["def"]]["value"]: records[c["def"]]["str"] for c in cases}
    return [by_value[i] for i in range(len(by_value))]


def effect(records, op):
    """pure, read, write (anything that must stay in its place) or region (control flow)."""
    for t in op["traits"]:
        name, r = t["def"], records[t["def"]]
        if name in ("Pure", "NoMemoryEffect"):
            return "pure"
        if "MemoryEffects" in r["!superclasses"]:
            effects = [e["def"] for e in r["effects"]]
            if effects and all(e == "MemRead" for e in effects):
                return "read"
    return "write"


def all_match(records, op):
    """True where the result has the type of the first operand that the op's traits tie it to, with that operand's number."""
    operands = [a[1] for a in op["arguments"]["args"] if is_operand(records, a[0]["def"])]
    by_hand = any(records[t["def"]].get("cppInterfaceName") == "InferTypeOpInterface" for t in op["traits"])
    for t in op["traits"]:
        name, r = t["def"], records[t["def"]]
        if name in ("SameOperandsAndResultType",):
            return 0
        if "AllTypesMatch" in r["!superclasses"] and ("result" in r["values"] or by_hand):
            return min((operands.index(v) for v in r["values"] if v in operands), default=-1)
    return -1


def is_operand(records, name):
    supers = records[name]["!superclasses"]
    return "TypeConstraint" in supers


def emit(records, op, dialect, out):
    ident = f"{dialect}_{op['opName']}"
    operands, attrs = [], []
    for ref, arg_name in op["arguments"]["args"]:
        name, r = ref["def"], records[ref["def"]]
        supers = r["!superclasses"]
        if is_operand(records, name):
            arity = "variadic" if "Variadic" in supers else "optional" if "Optional" in supers else "one"
            base = r["baseType"]["def"] if arity != "one" else name
            operands.append(f'{{"{arg_name}", Arity::{arity}, {Constraint().add(records, base).cpp()}}}')
        else:
            kind = attr_kind(records, name)
            if kind is None:
                continue
            cases = "nullptr"
            if kind[0] == "enumeration":
                cases = f"{ident}_{arg_name}"
                out["pre"].append(f"inline constexpr const char *{cases}[] = {{" + ", ".join(f'"{c}"' for c in enum_cases(records, name)) + "};")
            attrs.append(f'{{"{arg_name}", AttrKind::{kind[0]}, "{kind[1]}", {cases}}}')
    segments = any(t["def"] == "AttrSizedOperandSegments" for t in op["traits"])
    terminator = any(t["def"] == "Terminator" or records[t["def"]].get("trait") == "IsTerminator" for t in op["traits"])
    terminator = terminator or op["opName"] in ("yield", "condition", "return")
    for what, rows, ctype in (("operands", operands, "OperandInfo"), ("attrs", attrs, "AttrInfo")):
        if rows:
            out["pre"].append(f"inline constexpr {ctype} {ident}_{what}[] = {{{', '.join(rows)}}};")
    out["ids"].append(ident)
    kind = "terminator" if terminator else effect(records, op)
    if kind == "write" and dialect == "scf":
        kind = "region"
    out["infos"].append(
        f'{{"{dialect}.{op["opName"]}", Effect::{kind}, {str(segments).lower()}, {all_match(records, op)}, '
        f'{len(operands)}, {len(attrs)}, {len(op["regions"]["args"])}, {ident + "_operands" if operands else "nullptr"}, '
        f'{ident + "_attrs" if attrs else "nullptr"}}}')


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tblgen", required=True)
    p.add_argument("--include", action="append", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("tile_td")
    args = p.parse_args()

    def dump(td):
        cmd = [args.tblgen, "--dump-json", td] + [x for i in args.include for x in ("-I", i)]
        return json.loads(subprocess.run(cmd, check=True, capture_output=True).stdout)

    out = {"pre": [], "ids": [], "infos": []}
    records = dump(args.tile_td)
    for name in sorted(n for n in records["!instanceof"]["Op"] if records[n]["opDialect"]["def"] == "Tile_Dialect"):
        emit(records, records[name], "tile", out)
    for td, wanted in UPSTREAM.items():
        path = next(os.path.join(i, td) for i in args.include if os.path.exists(os.path.join(i, td)))
        records = dump(path)
        dialect = re.match(r".*/(\w+)Ops\.td", td).group(1).lower()
        mine = {}
        for name in records["!instanceof"]["Op"]:
            op = records[name]
            if op["opName"] in wanted and op["opDialect"]["def"].lower().startswith(dialect):
                mine[op["opName"]] = op
        for name in wanted:
            emit(records, mine[name], dialect, out)

    text = "// Generated by tools/dev/gen_op_table.py from ODS. Do not edit.\n"
    text += "\n".join(out["pre"]) + "\n"
    text += "enum class OpId : uint8_t {\n" + "".join(f"  {i},\n" for i in out["ids"]) + "};\n"
    text += "inline constexpr OpInfo op_table[] = {\n" + "".join(f"  {i},\n" for i in out["infos"]) + "};\n"
    if not os.path.exists(args.out) or open(args.out).read() != text:
        with open(args.out, "w") as f:
            f.write(text)


if __name__ == "__main__":
    main()
