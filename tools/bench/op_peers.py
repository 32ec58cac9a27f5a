"""What PyTorch and Triton need for the cases of `moec bench`: one JSON line per case and peer.

Called with a JSON file of cases. Each peer does what the op does, the way its users write it: eager PyTorch, and the Triton kernels of
triton_kernels.py. Times are medians after the L2 cache was overwritten, as moec's.
"""
import json
import statistics
import sys

DTYPES = {"bool": "bool", "i8": "int8", "u8": "uint8", "i32": "int32", "i64": "int64", "f16": "float16", "bf16": "bfloat16",
          "f32": "float32", "f64": "float64", "e4m3": "float8_e4m3fn", "e5m2": "float8_e5m2"}


def say(**what):
    print(json.dumps(what), flush=True)


class Routed:
    """Top-k ids, and what follows from them: the same distribution as moec's cases, not the same draws."""

    def __init__(self, case, torch, device):
        generator = torch.Generator().manual_seed(20251121)
        ids = torch.rand(case["T"], case["E"], generator=generator).topk(case["K"], dim=1).indices
        self.ids = ids.to(device)
        self.map = torch.zeros(case["T"], case["E"], dtype=torch.bool).scatter_(1, ids, True).to(device)
        self.counts = torch.bincount(ids.flatten(), minlength=case["E"])
        self.host_counts = self.counts.tolist()
        self.counts = self.counts.to(device)
        self.offs = self.counts.cumsum(0).to(torch.int32)
        self.slots = self.ids.flatten().argsort(stable=True)
        self.tokens = self.slots // case["K"]


def make_inputs(case, torch, device):
    routed = Routed(case, torch, device)
    known = {"indices": routed.ids, "selected_experts": routed.ids, "routing_map": routed.map, "offs": routed.offs,
             "tokens_per_expert": routed.counts, "m_sizes": routed.counts, "split_sizes": routed.counts,
             "gather_indices": routed.slots, "sorted_indices": routed.tokens}
    tensors = {}
    for name, tensor in case["inputs"].items():
        dtype = getattr(torch, DTYPES[tensor["dtype"]])
        if name in known and list(known[name].shape) == tensor["shape"]:
            tensors[name] = known[name].to(dtype)
        elif dtype.is_floating_point:
            tensors[name] = (torch.rand(tensor["shape"], device=device) * 2 - 1).to(dtype)
        else:
            tensors[name] = torch.ones(tensor["shape"], dtype=dtype, device=device)
    return tensors, routed


# ---- PyTorch: op -> function(case, tensors, routed, torch) -> its forward as a function of no arguments, and what gradients go to

def gated(function, interleaved=False):
    def make(case, t, routed, torch):
        def forward():
            x = t["x"].float()
            gate, up = (x[..., ::2], x[..., 1::2]) if interleaved else x.chunk(2, -1)
            y = function(gate, up, torch)
            weights = t.get("weights", t.get("probs"))
            return (y * weights if weights is not None else y).to(t["x"].dtype)
        return forward
    return make


def single(function):
    def make(case, t, routed, torch):
        def forward():
            y = function(t["x"].float(), torch)
            return (y * t["probs"] if "probs" in t else y).to(t["x"].dtype)
        return forward
    return make


def silu(x, alpha, torch):
    return x * torch.sigmoid(alpha * x)


def plain_swiglu(gate, up, torch):
    return torch.nn.functional.silu(gate) * up


def plain_geglu(gate, up, torch):
    return torch.nn.functional.gelu(gate, approximate="tanh") * up


def plain_quick_geglu(gate, up, torch):
    return silu(gate, 1.702, torch) * up


def swiglu_clamped(gate, up, torch):
    return torch.nn.functional.silu(gate.clamp(max=7)) * up.clamp(-7, 7)


def swiglu_oai(gate, up, torch):
    return silu(gate.clamp(max=7), 1.702, torch) * (up.clamp(-7, 7) + 1)


def permute(case, t, routed, torch):
    def forward():
        by_expert = t["routing_map"].T.contiguous()
        tokens = torch.arange(case["T"], device=by_expert.device).expand(case["E"], -1).masked_select(by_expert)
        if "probs" in t:
            t["probs"].T.contiguous().masked_select(by_expert)
        return t["tokens"].index_select(0, tokens)
    return forward


def unpermute(case, t, routed, torch):
    def forward():
        rows = t["permuted_tokens"]
        if "probs" in t:
            rows = rows * t["probs"].T.contiguous().masked_select(routed.map.T.contiguous()).unsqueeze(1)
        out = torch.zeros(case["T"], case["D"], dtype=rows.dtype, device=rows.device)
        return out.index_add(0, t["sorted_indices"], rows).to(t["permuted_tokens"].dtype)
    return forward


def multihot(case, t, routed, torch):
    def forward():
        index = t["indices"].long()
        return torch.zeros(case["T"], case["E"], dtype=t["probs"].dtype, device=index.device).scatter(1, index, t["probs"])
    return forward


def topk(case, t, routed, torch):
    return lambda: torch.softmax(t["gating_output"].float(), -1).to(t["gating_output"].dtype).topk(case["K"], dim=-1).values


def sort_slots(case, t, routed, torch):
    def forward():
        flat = t.get("indices", t.get("selected_experts")).flatten()
        flat.argsort(stable=True)
        return torch.bincount(flat, minlength=case["E"])
    return forward


def product(a, b, transposed=False):
    def make(case, t, routed, torch):
        def forward():
            weight = t[b].transpose(-2, -1) if transposed else t[b]
            return torch._grouped_mm(t[a], weight, offs=routed.offs)
        return forward
    return make


def experts(case, t, routed, torch):
    def forward():
        order, w = routed.slots, t["weights"].flatten()[routed.slots].unsqueeze(1)
        h = torch._grouped_mm(t["x"].index_select(0, routed.tokens), t["gate_and_up_projs"], offs=routed.offs)
        gate, up = h.float().chunk(2, -1)
        a = (torch.nn.functional.silu(gate) * up * w).to(h.dtype)
        rows = torch._grouped_mm(a, t["down_projs"], offs=routed.offs)
        return torch.zeros_like(t["x"]).index_add(0, routed.tokens, rows)
    return forward


TORCH = {"swiglu": gated(plain_swiglu), "weighted_swiglu": gated(plain_swiglu), "geglu": gated(plain_geglu),
         "weighted_geglu": gated(plain_geglu), "quick_geglu": gated(plain_quick_geglu), "weighted_quick_geglu": gated(plain_quick_geglu),
         "quick_gelu": single(lambda x, torch: silu(x, 1.702, torch)),
         "swiglu_clamped_deepep": gated(swiglu_clamped), "swiglu_oai_deepep": gated(swiglu_oai),
         "quick_geglu_deepep": gated(swiglu_oai, interleaved=True),
         "relu2_deepep": single(lambda x, torch: torch.relu(x).square()),
         "permute": permute, "unpermute": unpermute, "indices_to_multihot": multihot, "indices_to_multihot_unfused": multihot,
         "unsloth_calculate_topk": topk, "permute_tokens_for_grouped_mm": sort_slots, "unsloth_routing_permute": sort_slots,
         "grouped_mm": product("a", "b"), "unsloth_torch_grouped_gemm": product("x", "w", transposed=True),
         "unsloth_grouped_gemm": product("x", "w", transposed=True), "moe_experts_e2e": experts}
# What gradients go to, where an op has a backward pass.
LEAVES = ("x", "weights", "probs", "tokens", "permuted_tokens", "a", "b", "w", "gate_and_up_projs", "down_projs", "gating_output")


# ---- Triton: the forward passes that triton_kernels.py has

def triton_forward(case, t, routed, torch):
    import triton_kernels as kernels
    if case["op"] == "weighted_swiglu":
        rows, width = t["x"].shape
        y = torch.empty(rows, width // 2, dtype=t["x"].dtype, device=t["x"].device)
        return lambda: kernels.weighted_swiglu[(rows,)](t["x"], t["weights"], y, width // 2, 1024, num_warps=4)
    if case["op"] == "permute":  # without the map: the rows alone
        source = routed.tokens.to(torch.int32)
        y = torch.empty(len(source), case["D"], dtype=t["tokens"].dtype, device=source.device)
        return lambda: kernels.permute_rows[(len(source),)](t["tokens"], source, y, case["D"], 1024, num_warps=4)
    if case["op"] == "indices_to_multihot":
        if case["K"] & (case["K"] - 1) or case["E"] & (case["E"] - 1):
            return None
        size, device = (case["T"], case["E"]), t["indices"].device
        out = [torch.empty(size, dtype=d, device=device) for d in (torch.int8, t["probs"].dtype, torch.int32)]
        return lambda: kernels.indices_to_multihot[(case["T"],)](t["indices"], t["probs"], *out, case["K"], case["E"], num_warps=1)
    return None


# ---- timing

class Timer:
    def __init__(self, torch, device):
        self.torch, self.device = torch, device
        self.cold = torch.empty(256 << 20, dtype=torch.uint8, device=device) if device == "cuda" else None

    def once(self, function):
        import time
        torch = self.torch
        if self.cold is None:
            start = time.perf_counter()
            function()
            return time.perf_counter() - start
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        self.cold.zero_()
        start.record()
        function()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) * 1e-3

    def median(self, function):
        for _ in range(3):
            function()
        times = []
        while len(times) < 3 or (sum(times) < 0.3 and len(times) < 50):
            times.append(self.once(function))
        return statistics.median(times)


def backward_of(forward, tensors, torch):
    leaves = [t.requires_grad_() for name, t in tensors.items() if name in LEAVES and t.is_floating_point()]
    y = forward()
    grad = torch.ones_like(y)
    leaves = [t for t in leaves if t.requires_grad]
    return lambda: torch.autograd.grad(y, leaves, grad, retain_graph=True, allow_unused=True)


def run_case(index, case, torch, device, timer):
    tensors, routed = make_inputs(case, torch, device)
    if case["op"] in TORCH:
        forward = TORCH[case["op"]](case, tensors, routed, torch)
        work = forward if case["pass"] == "forward" else backward_of(forward, tensors, torch)
        say(case=index, peer="torch", seconds=timer.median(work))
    if case["pass"] == "forward" and device == "cuda":
        work = triton_forward(case, tensors, routed, torch)
        if work:
            say(case=index, peer="triton", seconds=timer.median(work))


def main():
    with open(sys.argv[1]) as f:
        cases = json.load(f)
    device, _, index_of_device = (sys.argv[2] if len(sys.argv) > 2 else "cuda").partition(":")
    try:
        import torch
    except ImportError as e:
        say(reason=f"{sys.executable}: {e}")
        return
    if device == "cuda" and not torch.cuda.is_available():
        say(reason="torch finds no CUDA device")
        return
    if index_of_device:
        torch.cuda.set_device(int(index_of_device))  # "cuda" is this one from here on
    timer = Timer(torch, device)
    for index, case in enumerate(cases):
        try:
            run_case(index, case, torch, device, timer)
        except Exception as e:  # one peer that cannot do one case (memory, dtype) leaves the others
            print(f"{case['op']} {case['pass']}: {type(e).__name__}: {e}", file=sys.stderr, flush=True)
        if device == "cuda":
            torch.cuda.empty_cache()


main()
