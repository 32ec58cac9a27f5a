#!/usr/bin/env python3
"""Writes cases of routing ops that were not recorded by themselves, from plain models in f64, token by token:
expert_load, aux_loss, limit_capacity, unpermute_fused_te, and gates with a bias or a precision of their own.

usage: record_router.py FOLDER (writes FOLDER/expert_load/..., FOLDER/aux_loss/..., ...)
"""
import math
import os
import random
import sys

from case_file import as_bf16, as_f32, write

SOURCE = "tools/dev/record_router.py: a plain f64 model"
ROUND = {"F32": as_f32, "BF16": as_bf16, "F64": float}


def matrix(rng, rows, cols, dtype="F32", scale=1):
    return [[ROUND[dtype](rng.uniform(-scale, scale)) for _ in range(cols)] for _ in range(rows)]


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def softmax(row):
    p = [math.exp(v - max(row)) for v in row]
    return [v / math.fsum(p) for v in p]


def best(row, k):
    """Ids of the k greatest, the lower one first among equals."""
    return sorted(range(len(row)), key=lambda e: (-row[e], e))[:k]


def mask_of(rng, tokens, share):
    return [int(rng.random() >= share) for _ in range(tokens)]


# -- expert load and auxiliary loss

def load_of(ids, experts, mask):
    return [sum(row.count(e) for row, valid in zip(ids, mask) if valid) for e in range(experts)]


def expert_load(folder, seed, tokens, experts, topk, dtype="I64", masked=None, strangers=False):
    rng = random.Random(seed)
    low, high = (-3, experts + 3) if strangers else (0, experts - 1)
    ids = [[rng.randint(low, high) for _ in range(topk)] for _ in range(tokens)]
    mask = [1] * tokens if masked is None else mask_of(rng, tokens, masked)
    tensors = {"in.indices": (dtype, [tokens, topk], ids),
               "out.expert_load": ("I64", [experts], load_of(ids, experts, mask))}
    if masked is not None:
        tensors["in.token_mask"] = ("BOOL", [tokens], mask)
    case = f"t{tokens}_e{experts}_k{topk}_{dtype.lower()}" + ("" if masked is None else "_masked")
    write(os.path.join(folder, "expert_load"), case, tensors,
          {"op": "expert_load", "source": SOURCE, "seed": seed, "n_routed_experts": experts})


def weights_of_loss(load, topk, mask):
    """d loss / d score of a valid token, for each expert."""
    valid = max(sum(mask), 1)
    return [n * len(load) / (topk * valid) / valid for n in load]


def aux_loss(folder, seed, tokens, experts, topk, dtype="F32", masked=None):
    rng = random.Random(seed)
    scores = [[ROUND[dtype](v) for v in softmax(row)] for row in matrix(rng, tokens, experts, scale=2)]
    mask = [1] * tokens if masked is None else mask_of(rng, tokens, masked)
    load = load_of([best(row, topk) for row in scores], experts, mask)
    of_score = weights_of_loss(load, topk, mask)
    wide, grad = "F64" if dtype == "F64" else "F32", as_f32(rng.uniform(0.5, 2))
    loss = math.fsum(dot(row, of_score) for row, valid in zip(scores, mask) if valid)
    of_scores = [[grad * w * valid for w in of_score] for valid in mask]
    tensors = {"in.scores": (dtype, [tokens, experts], scores), "in.expert_load": ("I64", [experts], load),
               "in.grad_aux_loss": (wide, [], grad), "out.aux_loss": (wide, [], loss),
               "out.grad_scores": (dtype, [tokens, experts], of_scores)}
    if masked is not None:
        tensors["in.token_mask"] = ("BOOL", [tokens], mask)
    case = f"t{tokens}_e{experts}_k{topk}_{dtype.lower()}" + ("" if masked is None else f"_masked{masked}")
    write(os.path.join(folder, "aux_loss"), case, tensors,
          {"op": "aux_loss", "source": SOURCE, "seed": seed, "dtype": dtype.lower(), "n_activated_experts": topk,
           "n_routed_experts": experts})


# -- capacity

def limit_capacity(folder, seed, tokens, experts, capacity, policy, dtype="F32", levels=None, map_dtype="BOOL"):
    """levels: the probabilities have so few values, so that there are ties."""
    rng = random.Random(seed)
    routed = [[int(rng.random() < 0.6) for _ in range(experts)] for _ in range(tokens)]
    probs = matrix(rng, tokens, experts, dtype)
    if levels:
        probs = [[rng.randint(0, levels - 1) / levels for _ in range(experts)] for _ in range(tokens)]
    stays = [row[:] for row in routed]
    for e in range(experts):
        key = (lambda t: (-probs[t][e], t)) if policy == "probs" else (lambda t: t)
        for t in sorted((t for t in range(tokens) if routed[t][e]), key=key)[capacity:]:
            stays[t][e] = 0
    grad, shape = matrix(rng, tokens, experts, dtype), [tokens, experts]

    def of_kept(values):
        return [[v if s or not r else 0.0 for v, s, r in zip(*rows)] for rows in zip(values, stays, routed)]

    tensors = {"in.routing_map": (map_dtype, shape, routed), "in.probs": (dtype, shape, probs),
               "in.grad_probs": (dtype, shape, grad), "out.routing_map": (map_dtype, shape, stays),
               "out.probs": (dtype, shape, of_kept(probs)), "out.grad_probs": (dtype, shape, of_kept(grad)),
               "out.routed": ("I32", [experts], [sum(row[e] for row in routed) for e in range(experts)])}
    case = f"t{tokens}_e{experts}_c{capacity}_{policy}_{dtype.lower()}" + ("_ties" if levels else "")
    write(os.path.join(folder, "limit_capacity"), case, tensors,
          {"op": "limit_capacity", "source": SOURCE, "seed": seed, "dtype": dtype.lower(), "capacity": capacity,
           "drop_policy": policy})


# -- unpermute by row_id_map

def unpermute_fused(folder, seed, tokens, experts, hidden, dtype="F32", weighted=True, padding=0):
    """padding: rows after each expert's that belong to no token."""
    rng = random.Random(seed)
    routed = [[rng.random() < 0.5 for _ in range(experts)] for _ in range(tokens)]
    row_of, rows = [[-1] * experts for _ in range(tokens)], 0
    for e in range(experts):
        for t in (t for t in range(tokens) if routed[t][e]):
            row_of[t][e] = rows
            rows += 1
        rows += padding
    lists = []
    for row in row_of:
        own = sorted(((r, e) for e, r in enumerate(row) if r >= 0), reverse=True)
        rest = [-1] * (experts - len(own))
        lists.append([r for r, _ in own] + rest + [e for _, e in own] + rest + [len(own)])
    x, grad = matrix(rng, rows, hidden, dtype), matrix(rng, tokens, hidden, dtype)
    probs = matrix(rng, tokens, experts)
    y = [[0.0] * hidden for _ in range(tokens)]
    of_x, of_probs = [[0.0] * hidden for _ in range(rows)], [[0.0] * experts for _ in range(tokens)]
    for t, row in enumerate(row_of):
        for e, r in ((e, r) for e, r in enumerate(row) if r >= 0):
            w = probs[t][e] if weighted else 1.0
            y[t] = [a + w * v for a, v in zip(y[t], x[r])]
            of_x[r] = [w * g for g in grad[t]]
            of_probs[t][e] = dot(grad[t], x[r])
    tensors = {"in.permuted_tokens": (dtype, [rows, hidden], x),
               "in.row_id_map": ("I32", [tokens, 2 * experts + 1], lists),
               "in.grad_output": (dtype, [tokens, hidden], grad), "out.output": (dtype, [tokens, hidden], y),
               "out.grad_permuted_tokens": (dtype, [rows, hidden], of_x)}
    if weighted:
        tensors["in.merging_probs"] = ("F32", [tokens, experts], probs)
        tensors["out.grad_merging_probs"] = ("F32", [tokens, experts], of_probs)
    case = f"t{tokens}_e{experts}_d{hidden}_{dtype.lower()}" + ("" if weighted else "_noprobs")
    write(os.path.join(folder, "unpermute_fused_te"), case, tensors,
          {"op": "unpermute_fused_te", "source": SOURCE, "seed": seed, "dtype": dtype.lower(), "tokens": tokens,
           "num_experts": experts, "hidden": hidden})


# -- gates

def scored(logits, function):
    if function == "softmax":
        return softmax(logits)
    if function == "sqrtsoftplus":
        return [math.sqrt(math.log1p(math.exp(v))) for v in logits]
    return [1 / (1 + math.exp(-v)) for v in logits]


def gate_weights(logits, ids, c):
    """The weights of the chosen experts of one token."""
    if c["score_func"] == "softmax" and not c["softmax_before_topk"]:
        w = softmax([logits[e] for e in ids])
    else:
        s = scored(logits, c["score_func"])
        w = [s[e] for e in ids]
    if c["norm_topk_prob"] and len(ids) > 1:
        w = [v / (math.fsum(w) + 1e-20) for v in w]
    return [v * c["route_scale"] for v in w]


def gate(folder, name, seed, tokens, experts, topk, hidden, dtype="F32", corrected=False, precision=None, **settings):
    c = {"score_func": "softmax", "softmax_before_topk": False, "norm_topk_prob": False, "route_scale": 1.0, **settings}
    rng = random.Random(seed)
    x, grad = matrix(rng, tokens, hidden, dtype), matrix(rng, tokens, topk, dtype)
    router, bias = matrix(rng, experts, hidden, "F32", 0.6), matrix(rng, 1, experts)[0]
    correction = matrix(rng, 1, experts, scale=0.3)[0]
    ids, weights, of_logits = [], [], []
    for token, g in zip(x, grad):
        logits = [dot(row, token) + b for row, b in zip(router, bias)]
        selecting = logits if c["score_func"] == "softmax" else scored(logits, c["score_func"])
        if corrected:
            selecting = [s + v for s, v in zip(selecting, correction)]
        chosen = best(selecting, topk)
        ids.append(chosen)
        weights.append(gate_weights(logits, chosen, c))

        def moved(e, step):
            return dot(gate_weights([v + step * (i == e) for i, v in enumerate(logits)], chosen, c), g)

        of_logits.append([(moved(e, 1e-5) - moved(e, -1e-5)) / 2e-5 for e in range(experts)])
    of_x = [[dot(row, [r[d] for r in router]) for d in range(hidden)] for row in of_logits]
    of_router = [[math.fsum(row[e] * t[d] for row, t in zip(of_logits, x)) for d in range(hidden)]
                 for e in range(experts)]
    of_bias = [math.fsum(row[e] for row in of_logits) for e in range(experts)]
    tensors = {"in.x": (dtype, [tokens, hidden], x), "in.weight": ("F32", [experts, hidden], router),
               "in.bias": ("F32", [experts], bias), "in.grad_weights": (dtype, [tokens, topk], grad),
               "out.weights": (dtype, [tokens, topk], weights), "out.indices": ("I64", [tokens, topk], ids),
               "out.expert_load": ("I64", [experts], load_of(ids, experts, [1] * tokens)),
               "out.grad_x": (dtype, [tokens, hidden], of_x),
               "out.grad_weight": ("F32", [experts, hidden], of_router), "out.grad_bias": ("F32", [experts], of_bias)}
    if corrected:
        tensors["in.e_score_correction_bias"] = ("F32", [experts], correction)
    if precision:
        c["gate_precision"] = precision
    write(os.path.join(folder, "gate_route"), name, tensors,
          {"op": "gate_route", "source": SOURCE, "seed": seed, "dtype": dtype.lower(), "n_activated_experts": topk,
           "n_routed_experts": experts, "router_bias": True, **c})


def main():
    folder = sys.argv[1]
    expert_load(folder, 1, 9, 6, 2)
    expert_load(folder, 2, 13, 5, 3, "I32", 0.3, strangers=True)
    expert_load(folder, 3, 0, 4, 2)
    expert_load(folder, 4, 301, 130, 8, masked=0.1)
    aux_loss(folder, 11, 9, 6, 2)
    aux_loss(folder, 12, 150, 5, 3, masked=0.3)
    aux_loss(folder, 13, 12, 130, 4, "BF16")
    aux_loss(folder, 14, 7, 3, 1, "F64", masked=0.3)
    aux_loss(folder, 15, 4, 5, 2, masked=1)
    aux_loss(folder, 16, 600, 1, 1, masked=0.3)
    aux_loss(folder, 17, 531, 2, 1)
    limit_capacity(folder, 21, 23, 6, 7, "probs")
    limit_capacity(folder, 22, 23, 6, 7, "position", map_dtype="I64")
    limit_capacity(folder, 23, 40, 3, 9, "probs", "BF16", levels=4)
    limit_capacity(folder, 24, 41, 9, 0, "probs")
    limit_capacity(folder, 25, 5, 2, 5, "position", "F64")
    unpermute_fused(folder, 41, 12, 4, 16)
    unpermute_fused(folder, 42, 9, 6, 11, weighted=False)
    unpermute_fused(folder, 43, 7, 5, 24, "BF16", padding=2)
    unpermute_fused(folder, 44, 0, 3, 8)
    gate(folder, "bias_softmax_after", 31, 9, 7, 3, 16)
    gate(folder, "bias_softmax_before", 32, 11, 8, 2, 12, softmax_before_topk=True, norm_topk_prob=True, route_scale=1.5)
    gate(folder, "bias_sigmoid", 33, 10, 9, 4, 16, corrected=True, score_func="sigmoid", norm_topk_prob=True,
         route_scale=2.5)
    gate(folder, "bias_sqrtsoftplus", 34, 6, 5, 5, 8, corrected=True, score_func="sqrtsoftplus")
    gate(folder, "precision_f32_of_bf16", 35, 12, 8, 3, 16, "BF16", precision="torch.float32", norm_topk_prob=True)


if __name__ == "__main__":
    main()
