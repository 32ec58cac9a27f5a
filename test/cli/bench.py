"""moec bench on the simulated GPU: a row for each op, model and pass; what is too much for it is left out and says so.
usage: bench.py MOEC SCRATCH"""
import re
import sys

from moec_cli import Moec, Report


def main(program, scratch):
    report = Report()
    moec = Moec(program, scratch)
    def bench(*args):
        status, out, err = moec.run("bench", *args, "--device", "sim")
        report.check(status == 0, f"bench ends with {status}", out + err)
        return {(op, way, model): rest for op, way, model, rest in re.findall(r"^(\w+) +(forward|backward) +(\S+) +(.*)$", out, re.M)}, out

    rows, out = bench("weighted_swiglu", "grouped_mm", "--model", "qwen3-30b-a3b", "--tokens", "1")
    report.check(len(rows) == 4, "a row for 2 ops and 2 passes", out)
    memory = rows.get(("weighted_swiglu", "forward", "qwen3-30b-a3b"), "")
    report.check(re.search(r"T=1 D=2048 I=768 E=128 K=8 +\d+\.\d+ (us|ms|s) +\d+\.\d{3} GB/s +\d+\.\d\d% of copy", memory), "bytes, and the fraction of a copy", out)
    product = rows.get(("grouped_mm", "forward", "qwen3-30b-a3b"), "")
    report.check(re.search(r"\d+\.\d{3} GFLOP/s +\d+\.\d\d% of peak", product), "operations, and the fraction of the peak", out)
    rows, out = bench("grouped_mm", "--model", "mixtral-8x7b")
    report.check(len(rows) == 2 and all("left out on sim: " in row for row in rows.values()), "what takes too long is left out", out)
    status, out, err = moec.run("bench", "--list")
    ops = set(re.findall(r"^(\w+) ", out, re.M))
    status, listed, err = moec.run("list")
    every = set(re.findall(r"^  (\w+) ", listed.split("Kernels (moec compile)")[0], re.M))
    report.check(ops == every and len(ops) > 10, "every op has cases", f"{sorted(ops ^ every)}")
    return report.finish()


sys.exit(main(*sys.argv[1:]))
