#!/usr/bin/env python3
"""Writes test/golden/unsloth_llama4_moe_block: the block and its gradients by a plain model in f64, token by token.

usage: record_llama4_block.py FOLDER
The upstream block cannot be recorded on a CPU; the formulas are those of its documentation (docs/ops.md).
"""
import array
import math
import random
import sys

from case_file import write


def matrix(rng, rows, cols, scale):
    values = array.array("f", (rng.uniform(-scale, scale) for _ in range(rows * cols)))  # rounded to f32
    return [list(values[r * cols:(r + 1) * cols]) for r in range(rows)]


def zeros(rows, cols):
    return [[0.0] * cols for _ in range(rows)]


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


class Mlp:
    """(silu(g) u) down^T with [g | u] = x up^T."""

    def __init__(self, up, down):
        self.up, self.down, self.inter = up, down, len(down[0])
        self.grad_up, self.grad_down = zeros(len(up), len(up[0])), zeros(len(down), self.inter)

    def forward(self, x):
        h = [dot(row, x) for row in self.up]
        self.x, self.g, self.u = x, h[:self.inter], h[self.inter:]
        self.a = [g * sigmoid(g) * u for g, u in zip(self.g, self.u)]
        return [dot(row, self.a) for row in self.down]

    def backward(self, grad):
        of_h = [0.0] * (2 * self.inter)
        for i, (g, u) in enumerate(zip(self.g, self.u)):
            of_a, s = dot(grad, [row[i] for row in self.down]), sigmoid(g)
            of_h[i] = of_a * u * s * (1 + g * (1 - s))
            of_h[self.inter + i] = of_a * g * s
        for row, v in zip(self.grad_down, grad):
            for i, a in enumerate(self.a):
                row[i] += v * a
        for row, v in zip(self.grad_up, of_h):
            for d, x in enumerate(self.x):
                row[d] += v * x
        return [dot(of_h, [row[d] for row in self.up]) for d in range(len(self.x))]


def block(x, router, experts, shared, grad):
    y, grad_x, grad_router = [], [], zeros(len(router), len(router[0]))
    for token, g in zip(x, grad):
        logits = [dot(row, token) for row in router]
        e = logits.index(max(logits))
        w = sigmoid(logits[e])
        y.append([a + b for a, b in zip(experts[e].forward([w * v for v in token]), shared.forward(token))])
        of_input, of_shared = experts[e].backward(g), shared.backward(g)
        of_logit = dot(of_input, token) * w * (1 - w)
        grad_x.append([w * a + b + of_logit * r for a, b, r in zip(of_input, of_shared, router[e])])
        for d, v in enumerate(token):
            grad_router[e][d] += of_logit * v
    return y, grad_x, grad_router


def record(folder, seed, batch, seq, hidden, inter, shared_inter, experts):
    rng, tokens = random.Random(seed), batch * seq
    x, grad = matrix(rng, tokens, hidden, 1), matrix(rng, tokens, hidden, 1)
    router = matrix(rng, experts, hidden, 0.5)
    mlps = [Mlp(matrix(rng, 2 * inter, hidden, 0.5), matrix(rng, hidden, inter, 0.5)) for _ in range(experts)]
    shared = Mlp(matrix(rng, 2 * shared_inter, hidden, 0.5), matrix(rng, hidden, shared_inter, 0.5))
    y, grad_x, grad_router = block(x, router, mlps, shared, grad)
    tokens_shape = [batch, seq, hidden]
    tensors = {
        "in.x": (tokens_shape, x),
        "in.grad_output": (tokens_shape, grad),
        "in.router": ([experts, hidden], router),
        "in.gate_up_proj": ([experts, 2 * inter, hidden], [m.up for m in mlps]),
        "in.down_proj": ([experts, hidden, inter], [m.down for m in mlps]),
        "in.shared_gate_up": ([2 * shared_inter, hidden], shared.up),
        "in.shared_down": ([hidden, shared_inter], shared.down),
        "out.y": (tokens_shape, y),
        "out.grad_x": (tokens_shape, grad_x),
        "out.grad_router": ([experts, hidden], grad_router),
        "out.grad_gate_up_proj": ([experts, 2 * inter, hidden], [m.grad_up for m in mlps]),
        "out.grad_down_proj": ([experts, hidden, inter], [m.grad_down for m in mlps]),
        "out.grad_shared_gate_up": ([2 * shared_inter, hidden], shared.grad_up),
        "out.grad_shared_down": ([hidden, shared_inter], shared.grad_down),
    }
    case = f"b{batch}_s{seq}_d{hidden}_i{inter}_e{experts}"
    metadata = {
        "op": "unsloth_llama4_moe_block", "dtype": "f32",
        "source": "tools/dev/record_llama4_block.py: a plain f64 model of Llama4GroupedGemmTextMoe",
        "seed": seed, "num_experts": experts, "hidden": hidden, "inter": inter, "batch": batch, "seq": seq,
    }
    write(folder, case, {name: ("F32", *tensor) for name, tensor in tensors.items()}, metadata)


def main():
    folder = sys.argv[1]
    record(folder, 7401, 1, 9, 16, 12, 20, 4)
    record(folder, 7402, 2, 3, 8, 5, 7, 6)
    record(folder, 7403, 1, 21, 24, 16, 8, 3)


if __name__ == "__main__":
    main()
