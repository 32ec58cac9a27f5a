"""The main job, twice: every kernel is compiled, then every kernel comes from the cache. usage: layer_demo.py PROGRAM GOLDEN SCRATCH"""
import os
import re
import shutil
import subprocess
import sys

program, golden, scratch = sys.argv[1:]
cache = os.path.join(scratch, "layer_demo")
shutil.rmtree(cache, ignore_errors=True)
STAGES = r"compiled in [\d.]+ ms: record [\d.]+, parse [\d.]+, .*x86-64 code [\d.]+"
CACHED = r"from the cache in [\d.]+ ms"


def run(each_kernel, last):
    """Every kernel's line ends with `each_kernel`, the last line is `last`. Gives what these count."""
    done = subprocess.run([program, "--device", "sim", "--golden", golden], capture_output=True, text=True, timeout=500,
                          env={"PATH": os.environ["PATH"], "HOME": scratch, "MOEC_CACHE_DIR": cache})
    lines = done.stdout.splitlines()
    kernels = [line for line in lines if " for sim: " in line]
    wrong = [line for line in kernels if not re.search(r"^ *\w+ \(.*=.*\) for sim: " + each_kernel, line)]
    needed = ["device: simulated GPU", "tokens per expert: ", "against the recorded reference: max error", "y against the f64 reference of the host: max error"]
    missing = [text for text in needed if text not in done.stdout]
    end = re.fullmatch(last, lines[-1]) if lines else None
    if done.returncode or wrong or missing or not kernels or not end or int(end.group(1)) != len(kernels):
        sys.exit(f"status {done.returncode}; {len(kernels)} kernels; wrong: {wrong}; missing: {missing}; expected at the end: {last}\n{done.stdout}{done.stderr}")
    return len(kernels)


first = run(STAGES, r"ok: (\d+) kernels compiled, 0 from the cache, [\d.]+ s in all")
second = run(CACHED, r"ok: 0 kernels compiled, (\d+) from the cache, [\d.]+ s in all")
sys.exit(f"{first} kernels, then {second}" if first != second else 0)
