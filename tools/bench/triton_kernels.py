"""Triton kernels that do what moec's do, with the same constants and the same work per CTA: for comparing compile time and machine code."""
import os

os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget


@triton.jit
def indices_to_multihot(indices, probs, multihot, probs_out, position, TOPK: tl.constexpr, EXPERTS: tl.constexpr):
    """One row per program: clear it, then scatter its slots."""
    row = tl.program_id(0)
    slot = tl.arange(0, TOPK)
    expert = tl.arange(0, EXPERTS)
    index = tl.load(indices + row * TOPK + slot)
    prob = tl.load(probs + row * TOPK + slot)
    valid = (index >= 0) & (index < EXPERTS)
    tl.store(multihot + row * EXPERTS + expert, tl.zeros([EXPERTS], tl.int8))
    tl.store(probs_out + row * EXPERTS + expert, tl.zeros([EXPERTS], tl.float32))
    tl.store(position + row * EXPERTS + expert, tl.full([EXPERTS], -1, tl.int32))
    tl.debug_barrier()
    tl.store(multihot + row * EXPERTS + index, tl.full([TOPK], 1, tl.int8), mask=valid)
    tl.store(probs_out + row * EXPERTS + index, prob, mask=valid)
    tl.store(position + row * EXPERTS + index, slot, mask=valid)


@triton.jit
def weighted_swiglu(x, w, y, H: tl.constexpr, BLOCK: tl.constexpr):
    """One row per program, BLOCK columns at a time."""
    row = tl.program_id(0)
    weight = tl.load(w + row).to(tl.float32)
    for start in range(0, H, BLOCK):
        col = start + tl.arange(0, BLOCK)
        inside = col < H
        gate = tl.load(x + row * (2 * H) + col, mask=inside).to(tl.float32)
        up = tl.load(x + row * (2 * H) + H + col, mask=inside).to(tl.float32)
        tl.store(y + row * H + col, (gate * tl.sigmoid(gate) * up * weight).to(y.dtype.element_ty), mask=inside)


@triton.jit
def permute_rows(x, source, y, H: tl.constexpr, BLOCK: tl.constexpr):
    """Row `row` of y is row source[row] of x."""
    row = tl.program_id(0)
    src = tl.load(source + row).to(tl.int64)
    for start in range(0, H, BLOCK):
        col = start + tl.arange(0, BLOCK)
        value = tl.load(x + src * H + col, mask=col < H)
        tl.store(y + row.to(tl.int64) * H + col, value, mask=col < H)


KERNELS = {
    "indices_to_multihot": (indices_to_multihot, dict(indices="*i64", probs="*fp32", multihot="*i8", probs_out="*fp32", position="*i32"),
                            dict(TOPK=8, EXPERTS=128), dict(num_warps=1)),
    "weighted_swiglu": (weighted_swiglu, dict(x="*bf16", w="*fp32", y="*bf16"), dict(H=2048, BLOCK=1024), dict(num_warps=4)),
    "permute_rows": (permute_rows, dict(x="*bf16", source="*i32", y="*bf16"), dict(H=4096, BLOCK=1024), dict(num_warps=4)),
}
# Elements that one program writes (its main output), for SASS instructions per element and thread.
ELEMENTS = {"indices_to_multihot": 128, "weighted_swiglu": 2048, "permute_rows": 4096}


def compile_one(name, target=90):
    function, types, constants, options = KERNELS[name]
    order = function.arg_names
    signature = {k: types.get(k, "constexpr") for k in order}
    aligned = {(i,): [["tt.divisibility", 16]] for i, k in enumerate(order) if signature[k].startswith("*")}
    source = triton.compiler.ASTSource(fn=function, signature=signature,
                                       constexprs={(order.index(k),): v for k, v in constants.items()}, attrs=aligned)
    return triton.compile(source, target=GPUTarget("cuda", target, 32), options=options)
