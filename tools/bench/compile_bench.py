"""Cold compile time of moec against Triton, in alternating pairs in one run: record (or trace) to cubin, both processes warm, no cache.

usage: compile_bench.py <moec_compile_bench> [--pairs 30]"""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

import triton
import triton.knobs as knobs
import triton_kernels as peers


class Moec:
    """The C++ half, a process that compiles what it reads on standard input."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "MOEC_CACHE": "off"})

    def compile(self, name, cubin):
        self.process.stdin.write(f"{name} {cubin}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("moec_compile_bench stopped")
        return json.loads(line)


def compile_triton(name):
    with tempfile.TemporaryDirectory() as folder:
        knobs.cache.dir = folder
        start = time.perf_counter()
        kernel = peers.compile_one(name)
        return (time.perf_counter() - start) * 1e3, kernel


def machine_code(cubin):
    """Issued SASS instructions (the padding behind the last branch stripped) and registers."""
    tools = os.path.join(os.path.dirname(triton.__file__), "backends", "nvidia", "bin")
    with tempfile.NamedTemporaryFile(suffix=".cubin") as f:
        f.write(cubin)
        f.flush()
        sass = subprocess.run([os.path.join(tools, "nvdisasm"), "-c", f.name], capture_output=True, text=True, check=True).stdout
        use = subprocess.run([os.path.join(tools, "cuobjdump"), "--dump-resource-usage", f.name], capture_output=True, text=True, check=True).stdout
    lines = [m.group(1) for m in re.finditer(r"^\s+/\*[0-9a-f]{4,}\*/\s+(.*?);", sass, re.M)]
    while lines and (lines[-1].startswith("NOP") or lines[-1].startswith("BRA")):
        lines.pop()
    return len(lines), int(re.search(r"REG:(\d+)", use).group(1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--pairs", type=int, default=30)
    args = parser.parse_args()
    moec = Moec(args.program)
    rows = []
    for name in peers.KERNELS:
        cubin = tempfile.NamedTemporaryFile(suffix=".cubin")
        moec.compile(name, cubin.name)
        _, kernel = compile_triton(name)  # both warm
        ours, outside, theirs, ratios = [], [], [], []
        for i in range(args.pairs):
            record = None
            for side in (0, 1) if i % 2 == 0 else (1, 0):
                if side == 0:
                    record = moec.compile(name, cubin.name)
                else:
                    ms, kernel = compile_triton(name)
            ours.append(record["total_ms"])
            outside.append(record["total_ms"] - record["nvjitlink_ms"])
            theirs.append(ms)
            ratios.append(ms / record["total_ms"])
        our_code, our_regs = machine_code(open(cubin.name, "rb").read())
        their_code, their_regs = machine_code(kernel.asm["cubin"])
        rows.append((name, statistics.median(ours), statistics.median(outside), statistics.median(theirs), statistics.median(ratios),
                     our_code, their_code, our_regs, their_regs, peers.ELEMENTS[name]))
        print(f"{name}: {rows[-1][4]:.1f}x", flush=True)
    print()
    print("| kernel | moec ms | of it outside nvJitLink | Triton %s ms | ratio | SASS moec / Triton | per element written | registers |" % triton.__version__)
    print("|---|---|---|---|---|---|---|---|")
    for name, a, b, c, r, s1, s2, r1, r2, n in rows:
        threads = 32 * peers.KERNELS[name][3]["num_warps"]
        print(f"| {name} | {a:.1f} | {b:.1f} | {c:.1f} | **{r:.1f}x** | {s1} / {s2} | {s1 * threads / n:.2f} / {s2 * threads / n:.2f} | {r1} / {r2} |")
    print(f"\nsm_90a, medians of {args.pairs} alternating pairs, {os.cpu_count()} cores; `./dev bench compile`")


if __name__ == "__main__":
    main()
