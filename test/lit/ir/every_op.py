"""Prints kernels that together hold every op of the tile dialect, and of arith and math as far as tiles use them, in every dtype it takes."""

WIDTH = {"i1": 1, "i8": 8, "i32": 32, "i64": 64, "f16": 16, "bf16": 16, "f32": 32, "f64": 64, "f8E4M3FN": 8, "f8E5M2": 8}
ATOMICS = {
    "add": ["i32", "i64", "f16", "bf16", "f32", "f64"],
    "max": ["i32", "i64", "f32", "f64"],
    "min": ["i32", "i64", "f32", "f64"],
    "exchange": ["i32", "i64", "f32", "f64"],
    "umax": ["i32", "i64"],
    "umin": ["i32", "i64"],
}
INTEGER_OPS = ("addi subi muli divsi divui remsi remui floordivsi ceildivsi ceildivui andi ori xori shli shrsi shrui "
               "maxsi minsi maxui minui")
INTEGER_COMPARISONS = "eq ne slt sle sgt sge ult ule ugt uge"
INTEGER_MATH = "absi ctpop ctlz cttz"
FLOAT_OPS = "addf subf mulf divf remf maximumf minimumf maxnumf minnumf"
FLOAT_COMPARISONS = "false oeq ogt oge olt ole one ord ueq ugt uge ult ule une uno true"
FLOAT_MATH = "exp exp2 log log2 sqrt rsqrt tanh erf absf floor ceil sin cos"
DOTS = [("f16", "f16", "f32"), ("bf16", "bf16", "f32"), ("f8E4M3FN", "f8E4M3FN", "f32"), ("f8E5M2", "f8E5M2", "f32"),
        ("f8E4M3FN", "f8E5M2", "f32"), ("f8E5M2", "f8E4M3FN", "f32"), ("f32", "f32", "f32"), ("f64", "f64", "f64")]


def view(dtype, rank, wide="false"):
    sizes = ", ".join(["1"] * rank)
    strides = ", ".join(["16"] * (rank - 1) + ["0"])
    return f"!tile.view<{dtype}, sizes = [{sizes}], strides = [{strides}], align = {max(1, WIDTH[dtype] // 8)}, wide = {wide}>"


def names(t):
    """The types that a kernel of one dtype speaks of."""
    return dict(t=t, T=f"tensor<8x{t}>", M=f"tensor<4x8x{t}>", P=f"!tile.ptr<{t}, 16>", Q=f"!tile.ptr<{t}>", I="tensor<8xi32>",
                J="tensor<8xi64>", B="tensor<8xi1>", v1=view(t, 1), v2=view(t, 2), v3=view(t, 3, "true"), w2=view(t, 2, "true"))


MEMORY = """
tile.kernel @memory_{t}(%p: {P}, %v1: {v1}, %v2: {v2}, %v3: {v3}, %s: {t}, %n: i32, %w: i64, %c: i1) {{
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : {v2}
  %i = tile.arange -3 : {I}
  %j = tile.cast %i : {I} -> {J}
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : {B}
  %t = tile.splat %s : {t} -> {T}
  %q = tile.addptr %p, %n : {P}, i32
  %q2 = tile.addptr %q, %w : {Q}, i64
  %l0 = tile.load %p[%n : i32] : {P} -> {t}
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : {t} : {Q} -> {t}
  %l2 = tile.load %p[%i : {I}] : {P} -> {T}
  %l3 = tile.load %p[%j : {J}], mask %m : {B} : {P} -> {T}
  %l4 = tile.load %p[%j : {J}], other %s : {t} : {P} -> {T}
  %l5 = tile.load %p[%j : {J}], mask %c : i1, other %s : {t} : {P} -> {T}
  tile.store %p[%n : i32], %s : {t} : {P}
  tile.store %p[%w : i64], %s : {t}, mask %c : i1 : {P}
  tile.store %p[%i : {I}], %t : {T} : {P}
  tile.store %p[%j : {J}], %t : {T}, mask %m : {B} : {P}
  %d = tile.dim %v3, 2 : {v3}
  %sub = tile.subview %v2[%n, %n][%n, %d] : {v2} -> {v2}
  %at = tile.view_at %v3[%w : i64] : {v3} -> {w2}
  %a = tile.view_load %v1[%n : i32] clip [false] : {v1} -> {t}
  %b = tile.view_load %v2[%n, %i : i32, {I}], mask %m : {B} clip [false, true] : {v2} -> {T}
  %e = tile.view_load %sub[%w, %j : i64, {J}], other %s : {t} clip [true, true] : {v2} -> {T}
  %f = tile.view_load %v2[%w, %j : i64, {J}], mask %c : i1, other %s : {t} clip [false, false] : {v2} -> {T}
  tile.view_store %v1[%n : i32], %s : {t} clip [false] : {v1}
  tile.view_store %v2[%n, %i : i32, {I}], %t : {T}, mask %m : {B} clip [true, false] : {v2}
  %g = tile.block_load %v2[%n, %w : i32, i64] : {v2} -> {M}
  %h = tile.block_load %v1[%n : i32], other %s : {t} : {v1} -> {T}
  tile.block_store %v2[%n, %w : i32, i64], %g : {v2}, {M}
  %r0 = tile.reshape %g : {M} -> tensor<32x{t}>
  %r1 = tile.expand_dims %t, 1 : {T} -> tensor<8x1x{t}>
  %r2 = tile.broadcast %r1 : tensor<8x1x{t}> -> tensor<8x4x{t}>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4x{t}> -> {M}
  %z0 = arith.select %c, %t, %l2 : {T}
  %z1 = arith.select %m, %t, %l2 : {B}, {T}
  %k:2 = "tile.sort"(%t, %i) {{descending, unsigned_key}} : ({T}, {I}) -> ({T}, {I})
  %k1 = "tile.sort"(%t) : ({T}) -> {T}
  %top, %pos = tile.topk %t, 4 : {T} -> tensor<4x{t}>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({{
  ^bb0(%x: {t}, %y: {t}):
    tile.yield %y : {t}
  }}) {{axis = 1 : i32}} : ({M}) -> tensor<4x{t}>
  %red2:2 = "tile.reduce"(%t, %i) ({{
  ^bb0(%x: {t}, %xi: i32, %y: {t}, %yi: i32):
    tile.yield %x, %yi : {t}, i32
  }}) {{axis = 0 : i32}} : ({T}, {I}) -> ({t}, i32)
  %scan = "tile.scan"(%t) ({{
  ^bb0(%x: {t}, %y: {t}):
    tile.yield %x : {t}
  }}) {{axis = 0 : i32, reverse}} : ({T}) -> {T}"""

ATOMIC = """  %{k}0 = tile.atomic_rmw {k}, %p[%n : i32], %s : {P}, {t} -> {t}
  %{k}1 = tile.atomic_rmw {k}, %p[%j : {J}], %t, mask %m : {B} : {P}, {T} -> {T}
  %{k}2 = tile.view_atomic_rmw {k}, %v2[%n, %i : i32, {I}], %t clip [false, true] : {v2}, {T} -> {T}
  %{k}3 = tile.view_atomic_rmw {k}, %v1[%n : i32], %s, mask %c : i1 clip [true] : {v1}, {t} -> {t}"""

CAS = """  %cas0 = tile.atomic_cas %p[%w : i64], %s, %s : {P}, {t}
  %cas1 = tile.atomic_cas %p[%i : {I}], %t, %l2 : {P}, {T}
  %cas2 = tile.view_atomic_cas %v2[%n, %j : i32, {J}], %t, %l2 : {v2}, {T}"""

U8 = """  %u8 = tile.cast %s unsigned_input : i8 -> i32
  %u8b = tile.cast %u8 unsigned_result : i32 -> i8
  %u8c = tile.cast %s unsigned_input unsigned_result : i8 -> i8"""


def memory(t):
    n = names(t)
    yield MEMORY.format(**n)
    for u in WIDTH:
        yield f"  %cast_{u} = tile.cast %t : {n['T']} -> tensor<8x{u}>"
    yield f"  %cast = tile.cast %s : {t} -> f32"
    if t == "i8":
        yield U8
    for kind, dtypes in ATOMICS.items():
        if t in dtypes:
            yield ATOMIC.format(k=kind, **n)
    if t in ("i32", "i64"):
        yield CAS.format(**n)
    yield "  tile.return\n}"


def arithmetic(t):
    tile = f"tensor<8x{t}>"
    integer = t.startswith("i")
    yield f"tile.kernel @arithmetic_{t}(%s: {t}) {{\n  %t = tile.splat %s : {t} -> {tile}"
    for op in (INTEGER_OPS if integer else FLOAT_OPS).split():
        yield f"  %{op} = arith.{op} %t, %t : {tile}\n  %{op}_s = arith.{op} %s, %s : {t}"
    for p in (INTEGER_COMPARISONS if integer else FLOAT_COMPARISONS).split():
        yield f"  %is_{p} = arith.cmp{'i' if integer else 'f'} {p}, %t, %t : {tile}"
    if t != "i1":
        for op in (INTEGER_MATH if integer else FLOAT_MATH).split():
            yield f"  %{op} = math.{op} %t : {tile}"
    if not integer:
        yield f"  %neg = arith.negf %t : {tile}\n  %fma = math.fma %t, %t, %t : {tile}"
    if t in ("f32", "f64"):
        yield f"  %sigmoid = tile.sigmoid %t : {tile}\n  %sigmoid_s = tile.sigmoid %s : {t}"
    if t == "f32":
        yield f"  %fast_exp2 = tile.fast_exp2 %t : {tile}\n  %fast_div = tile.fast_div %t, %t : {tile}"
    yield "  tile.return\n}"


def dots():
    yield "tile.kernel @dots() {"
    for n, (a, b, c) in enumerate(DOTS):
        yield f"""  %a{n} = arith.constant dense<1.0> : tensor<16x32x{a}>
  %b{n} = arith.constant dense<1.0> : tensor<32x8x{b}>
  %c{n} = arith.constant dense<0.0> : tensor<16x8x{c}>
  %d{n} = tile.dot %a{n}, %b{n}, %c{n} : tensor<16x32x{a}>, tensor<32x8x{b}> -> tensor<16x8x{c}>"""
    yield "  tile.return\n}"


for dtype in WIDTH:
    print("\n".join(memory(dtype)))
    print("\n".join(arithmetic(dtype)))
print("\n".join(dots()))
