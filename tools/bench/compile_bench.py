"""Cold compile time of moec against Triton, in alternating pairs in one run: record (or trace) to cubin, both processes warm, no cache.

usage: compile_bench.py <moec_compile_bench> [--pairs 30]"""
import argparse
import json
import os
import re
import resource
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


def cpu_seconds():
    """CPU time of this process and of the ptxas processes that it has waited for."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def compile_triton(name):
    """Wall and CPU milliseconds, and the kernel."""
    with tempfile.TemporaryDirectory() as folder:
        knobs.cache.dir = folder
        start, cpu = time.perf_counter(), cpu_seconds()
        kernel = peers.compile_one(name)
        return (time.perf_counter() - start) * 1e3, (cpu_seconds() - cpu) * 1e3, kernel


def machine_code(cubin, trips):
    """SASS instructions (the padding behind the last branch stripped), those that a thread issues, and registers. `trips`: of each loop."""
    tools = os.path.join(os.path.dirname(triton.__file__), "backends", "nvidia", "bin")
    with tempfile.NamedTemporaryFile(suffix=".cubin") as f:
        f.write(cubin)
        f.flush()
        sass = subprocess.run([os.path.join(tools, "nvdisasm"), "-c", f.name], capture_output=True, text=True, check=True).stdout
        use = subprocess.run([os.path.join(tools, "cuobjdump"), "--dump-resource-usage", f.name], capture_output=True, text=True, check=True).stdout
    lines, labels, loops = [], {}, []
    for line in sass.splitlines():
        if m := re.match(r"(\.L_x_\d+):", line):
            labels[m.group(1)] = len(lines)
        if m := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(.*?);", line):
            lines.append(m.group(1))
            target = re.search(r"BRA.*`\((\.L_x_\d+)\)", m.group(1))
            if target and labels.get(target.group(1), len(lines)) < len(lines) - 1:
                loops.append(len(lines) - labels[target.group(1)])
    while lines and (lines[-1].startswith("NOP") or lines[-1].startswith("BRA")):
        lines.pop()
    if len(loops) != len(trips):
        raise SystemExit(f"{len(loops)} loops in the machine code, not {len(trips)}: correct TRIPS")
    issued = len(lines) + sum(body * (n - 1) for body, n in zip(loops, trips))
    return len(lines), issued, int(re.search(r"REG:(\d+)", use).group(1))


# How often moec's loops run: over the slots, over blocks of columns. Triton's are unrolled.
TRIPS = {"indices_to_multihot": [8], "weighted_swiglu": [2], "permute_rows": []}


class Measured:
    """Alternating pairs of one kernel: milliseconds of each side, in order."""

    def __init__(self, moec, name, pairs, cubin):
        moec.compile(name, cubin.name)
        self.kernel = compile_triton(name)[2]  # both warm
        self.ours, self.theirs = [], []
        for i in range(pairs):
            for side in (0, 1) if i % 2 == 0 else (1, 0):
                if side == 0:
                    self.ours.append(moec.compile(name, cubin.name))
                else:
                    wall, cpu, self.kernel = compile_triton(name)
                    self.theirs.append({"total_ms": wall, "cpu_ms": cpu})
        self.cubin = open(cubin.name, "rb").read()

    def median(self, side, key):
        return statistics.median(r[key] for r in side)

    def ratio(self, key):
        return statistics.median(t[key] / o[key] for o, t in zip(self.ours, self.theirs))

    def outside(self):
        return statistics.median(r["total_ms"] - r["nvjitlink_ms"] for r in self.ours)

    def stages(self):
        names = [s["name"] for s in self.ours[0]["stages"]]
        return {n: statistics.median(sum(s["ms"] for s in r["stages"] if s["name"] == n) for r in self.ours) for n in names}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--stages", action="store_true", help="how long each of moec's stages took")
    args = parser.parse_args()
    moec = Moec(args.program)
    rows = {}
    load = os.getloadavg()[0]
    for name in peers.KERNELS:
        with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
            rows[name] = m = Measured(moec, name, args.pairs, cubin)
        print(f"{name}: {m.ratio('total_ms'):.1f}x", flush=True)
        if args.stages:
            print("  " + ", ".join(f"{n} {ms:.2f}" for n, ms in m.stages().items()))
    print()
    print(f"| kernel | moec ms | of it outside nvJitLink | Triton {triton.__version__} ms | ratio | CPU ms moec / Triton | ratio | "
          "SASS moec / Triton | issued per element written | registers |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, m in rows.items():
        (s1, i1, r1), (s2, i2, r2) = machine_code(m.cubin, TRIPS[name]), machine_code(m.kernel.asm["cubin"], [])
        each = 32 * peers.KERNELS[name][3]["num_warps"] / peers.ELEMENTS[name]
        print(f"| {name} | {m.median(m.ours, 'total_ms'):.1f} | {m.outside():.1f} | {m.median(m.theirs, 'total_ms'):.1f} | "
              f"**{m.ratio('total_ms'):.1f}x** | {m.median(m.ours, 'cpu_ms'):.1f} / {m.median(m.theirs, 'cpu_ms'):.1f} | "
              f"**{m.ratio('cpu_ms'):.1f}x** | {s1} / {s2} | {i1 * each:.2f} / {i2 * each:.2f} | {r1} / {r2} |")
    print(f"\nsm_90a, medians of {args.pairs} alternating pairs, {os.cpu_count()} cores, load average {load:.1f}; `./dev bench compile`")


if __name__ == "__main__":
    main()
