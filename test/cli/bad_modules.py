"""Malformed .mlir: syntax, ops, verifiers, layouts, sizes, bytes."""
import os
import random

from moec_cli import Row

HEAD = "module {\n  tile.kernel @k(%p: !tile.ptr<f32, 16>, %n: i32) {\n"
TAIL = "\n    tile.return\n  }\n}\n"
SWIZZLED = "#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [1, 0]>\n"


def kernel(body, before=""):
    return before + HEAD + body + TAIL


def llvm(body, arguments="%p: !llvm.ptr"):
    return f"module {{\n  llvm.func @k({arguments}) attributes {{nvvm.kernel}} {{\n{body}\n    llvm.return\n  }}\n}}\n"


def modules():
    """name, text, what is said."""
    noise = random.Random(7)
    garbage = bytes(noise.randrange(256) for _ in range(4000))
    return [
        # text that is no module
        ("empty", "", ["the text has no kernel"]),
        ("only spaces", " \n\t\n" * 50, ["the text has no kernel"]),
        ("a comment", "// nothing\n", ["the text has no kernel"]),
        ("a module without a kernel", "module {}\n", ["the text has no kernel: neither a tile.kernel nor an llvm.func with nvvm.kernel"]),
        ("bytes", garbage, [".mlir:1: error: "]),
        ("zeros", bytes(5000), ["error: "]),
        ("an ELF file", open("/proc/self/exe", "rb").read(3000), [".mlir:1: error: "]),
        ("PTX", ".version 8.6\n.target sm_90a\n", [".mlir:1: error: "]),
        ("cut in the middle", kernel("%0 = arith.addi %n, %n : i32")[:80], ["error: expected"]),
        ("an open brace", "module {\n", ["error: expected"]),
        ("an open string", 'module attributes {a = "b} {}\n', ["error: "]),
        # nesting
        ("100000 modules", "module {\n" * 100000, ["nested deeper than 256 levels"]),
        ("a deep type", HEAD + "%0 = arith.constant 0 : " + "tuple<" * 200000, ["nested deeper than 256 levels"]),
        ("a deep attribute", "#a = " + "[" * 300000, ["nested deeper than 256 levels"]),
        ("a deep expression", "module attributes {a = affine_map<() -> (" + "-" * 100000 + "1)>} {}\n", ["nested deeper than 256 levels"]),
        # ops, types, values
        ("an unknown dialect", '"foo.bar"() : () -> ()\n', [".mlir:1: error: unknown operation"]),
        ("an unknown op", kernel('"tile.frobnicate"() : () -> ()'), [".mlir:3: error: ", "tile.frobnicate"]),
        ("an unknown type", kernel("%0 = tile.frob : !tile.frob"), [".mlir:3: error: "]),
        ("an undefined value", kernel("%0 = arith.addi %nothing, %n : i32"), [".mlir:3: error: use of undeclared SSA value name"]),
        ("a value twice", kernel("%0 = arith.addi %n, %n : i32\n%0 = arith.addi %n, %n : i32"), [".mlir:4: error: redefinition of SSA value '%0'"]),
        ("wrong types", kernel("%0 = arith.addi %n, %p : i32"), [".mlir:3: error: "]),
        ("a constant that does not fit", kernel("%0 = arith.constant 99999999999 : i32"), [".mlir:3: error: integer constant out of range"]),
        ("a sigmoid of f16", kernel("%t = arith.constant dense<0.0> : tensor<4xf16>\n%0 = tile.sigmoid %t : tensor<4xf16>"), ["takes f32 or f64, not 'f16': cast it first"]),
        ("a cast to another shape", kernel("%t = arith.constant dense<0.0> : tensor<4xf16>\n%0 = tile.cast %t : tensor<4xf16> -> tensor<8xf32>"), ["same shape"]),
        ("a store through an integer", kernel("%x = arith.constant 1.0 : f32\ntile.store %x, %n : f32"), [".mlir:4: error: "]),
        ("no return", "tile.kernel @k() {\n}\n", ["error: "]),
        ("two kernels", "tile.kernel @a() { tile.return }\ntile.kernel @b() { tile.return }\n", ["a module to lower holds one tile.kernel, this one holds 2"]),
        ("a function", "func.func @k() { return }\n", ["error: "]),
        # sizes
        ("3 elements", kernel("%0 = tile.arange 0 : tensor<3xi32>"), ["every dimension of a tile is a power of two"]),
        ("2^63-1 elements", kernel("%0 = tile.arange 0 : tensor<9223372036854775807xi32>"), ["every dimension of a tile is a power of two"]),
        ("elements beyond 64 bits", kernel("%0 = tile.arange 0 : tensor<99999999999999999999xi32>"), ["invalid dimension"]),
        ("2^60 elements", kernel("%0 = arith.constant dense<1.0> : tensor<1048576x1048576x1048576xf32>"), ["a tile has at most 1048576 elements"]),
        ("fewer bytes than elements", kernel('%0 = arith.constant dense<"0x00"> : tensor<4xf32>'), [".mlir:3: error: "]),
        ("2^40 elements of one byte", kernel('%0 = arith.constant dense<"0x00"> : tensor<1099511627776xi8>'), ["a tile has at most 1048576 elements"]),
        ("unknown sizes", kernel("%0 = tile.arange 0 : tensor<?xi32>"), ["error: "]),
        ("an integer of 2^23 bits", llvm("%0 = llvm.mlir.constant(7 : i8388608) : i8388608\n%1 = llvm.mul %0, %0 : i8388608"),
         [".mlir:3: error: an integer type of 8388608 bits; the widest has 128"]),
        ("elements of 2^23 bits", kernel("%0 = tile.arange 0 : tensor<4xi8388608>"), [".mlir:3: error: an integer type of 8388608 bits; the widest has 128"]),
        ("an integer of 2^64 bits", llvm("%0 = llvm.mlir.constant(7 : si18446744073709551616) : i32"), [".mlir:3: error: "]),
        # layouts
        ("a layout of nonsense", 'tile.kernel @k(%x: tensor<4xf32, #tilegpu.linear<"nonsense">>) {\n tile.return\n}\n', ["not a linear layout"]),
        ("an unknown layout", "tile.kernel @k(%x: tensor<4xf32, #tilegpu.round>) {\n tile.return\n}\n", [".mlir:1: error: "]),
        ("a buffer of 3", SWIZZLED + "tile.kernel @k() {\n %0 = tilegpu.alloc : !tilegpu.buffer<[4, 3] x f32, stages = 1, #s>\n tile.return\n}\n",
         ["every dimension of a buffer's tiles is a power of two"]),
        ("a buffer without stages", SWIZZLED + "tile.kernel @k() {\n %0 = tilegpu.alloc : !tilegpu.buffer<[4, 4] x f32, stages = 0, #s>\n tile.return\n}\n",
         ["a buffer has at least one stage"]),
        # LLVM's dialect
        ("a call of nothing", llvm("llvm.call @nothing() : () -> ()"), [".mlir:3: error: "]),
        ("a load from an integer", llvm("%0 = llvm.load %n : i32 -> f32", "%n: i32"), [".mlir:3: error: "]),
        ("a sum of pointers", llvm("%0 = llvm.add %p, %p : !llvm.ptr"), [".mlir:3: error: "]),
    ]


def rows(folder):
    table = []
    for i, (what, text, said) in enumerate(modules()):
        name = f"m{i}.mlir"
        with open(os.path.join(folder, name), "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
        table.append(Row(what, ["compile", name, "-o", "x"], 1, *said))
        if "error: " in said[0] and not said[0].startswith("error"):
            said = [name + said[0][said[0].index(":"):], *said[1:]]
            table[-1].texts = tuple(said)
    # The same road for the simulator, from standard input, and for assembly that only the assembler can refuse.
    table.append(Row("bytes for the simulator", ["compile", "m4.mlir", "--target", "sim", "--emit", "nvvm", "-o", "x"], 1, "m4.mlir:1: error: "))
    table.append(Row("bytes from standard input", ["compile", "-", "-o", "x"], 1, "standard input:1: error: ", stdin=b"\xff\xfe\x00"))
    asm = llvm('%0 = llvm.inline_asm "bogus.instruction;", "" : () -> i32')
    table.append(Row("unknown assembly", ["compile", "-", "--emit", "cubin", "-o", "x"], 3, "bogus", stdin=asm.encode()))
    return table
