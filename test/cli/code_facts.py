"""What the compiled kernels are made of. For chosen specializations: layout conversions in tilegpu, 128-bit accesses in PTX, and the
census: every synchronizing operation of the LLVM+NVVM module is in the PTX, and nothing else is. Where nvdisasm is, in the SASS too.
usage: code_facts.py MOEC SCRATCH DEPS"""
import collections
import concurrent.futures
import glob
import os
import re
import subprocess
import sys

from moec_cli import Moec, Report

# kernel, settings, layout conversions (None: not pinned), least number of 128-bit loads and stores
KERNELS = [
    ("indices_to_multihot", "topk=8,experts=128,rows=1", 0, 0, 0),
    ("indices_to_multihot", "topk=8,experts=128,rows=2", 0, 0, 0),
    ("weighted_swiglu", "block=1024,H=2048", 0, 2, 1),
    ("weighted_swiglu", "block=1024,H=2048,dtype=f32", 0, 2, 1),
    ("gather_rows", "cols=4096,block=1024", 0, 1, 1),
    ("gather_rows", "cols=2048,block=1024,divide=8,index=i64", 0, 1, 1),
    ("activation_backward", "block=1024,H=768,U=1536", None, 2, 1),
    ("calculate_topk", "topk=8,experts=128,rows=1,renormalize=true", None, 0, 0),
    ("route_count", "topk=8,experts=128,block=2048", None, 0, 0),
    ("route_place", "topk=8,experts=128,block=2048", None, 0, 0),
    ("combine_rows", "topk=8,cols=2048,block=1024", None, 1, 1),
    ("grouped_mm", "experts=8,k=2048,n=2048,bm=64,bn=128,bk=64", None, 0, 1),
    ("grouped_mm_backward_b", "experts=128,k=2048,n=1536,bm=64,bn=128,bk=64", None, 0, 0),
]
TARGETS = ["sm_80", "sm_90a", "sm_100a"]

ORDERS = {"monotonic": "relaxed", "acquire": "acquire", "release": "release", "acq_rel": "acq_rel"}
SCOPES = {"device": "gpu", "block": "cta", "": "sys"}


def atomic(line, scope, order):
    # Of shared memory the scope says nothing: its CTA alone reaches it, and LLVM leaves it out.
    return f"atomic {ORDERS.get(order, order)} " + ("shared" if "!llvm.ptr<3>" in line else SCOPES.get(scope or "", "?"))


def nvvm_census(text):
    """name -> how many."""
    count = collections.Counter()
    for line in text.splitlines():
        line = line.strip()
        if re.search(r"nvvm\.barrier(0|\b)", line):
            count["barrier"] += 1
        for name in ("shfl.sync", "redux.sync", "vote.sync", "mma.sync", "ldmatrix", "cp.async.commit.group"):
            count[name] += len(re.findall(r"\bnvvm\." + re.escape(name) + r"\b", line))
        count["cp.async"] += len(re.findall(r"\bnvvm\.cp\.async\.shared\.global\b", line))
        found = re.search(r"\bnvvm\.cp\.async\.wait\.group (\d+)", line)
        if found:
            count["cp.async.wait " + found.group(1)] += 1
        count["fence"] += len(re.findall(r"\bllvm\.fence\b|\bnvvm\.memory\.barrier\b|\bnvvm\.fence", line))
        found = re.search(r'\bllvm\.atomicrmw (?:volatile )?\w+ .*?(?:syncscope\("(\w*)"\) )?(monotonic|acquire|release|acq_rel|seq_cst)', line)
        if found:
            count[atomic(line, *found.groups())] += 1
        found = re.search(r'\bllvm\.cmpxchg .*?(?:syncscope\("(\w*)"\) )?(monotonic|acquire|release|acq_rel|seq_cst) (?:monotonic|acquire|seq_cst)', line)
        if found:
            count[atomic(line, *found.groups())] += 1
    return +count


def ptx_census(text):
    count = collections.Counter()
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("//"):
            continue
        count["barrier"] += len(re.findall(r"\b(?:bar|barrier)\.(?:cta\.)?sync\b", line))
        count["shfl.sync"] += "shfl.sync" in line
        count["redux.sync"] += "redux.sync" in line
        count["vote.sync"] += "vote.sync" in line
        count["mma.sync"] += bool(re.search(r"\bmma\.sync", line))
        count["ldmatrix"] += bool(re.search(r"\bldmatrix\.sync", line))
        count["cp.async.commit.group"] += "cp.async.commit_group" in line
        count["cp.async"] += bool(re.search(r"\bcp\.async\.c[ag]\.shared\.global", line))
        found = re.search(r"\bcp\.async\.wait_group\s+(\d+)", line)
        if found:
            count["cp.async.wait " + found.group(1)] += 1
        count["fence"] += bool(re.search(r"\b(?:membar|fence)\.", line))
        found = re.search(r"\b(?:atom|red)\b((?:\.\w+)+)", line)
        if found and not line.startswith("."):
            words = found.group(1).split(".")
            order = next((w for w in words if w in ("relaxed", "acquire", "release", "acq_rel")), "relaxed")
            scope = "shared" if "shared" in words else next((w for w in words if w in ("cta", "gpu", "sys")), "gpu")
            count[f"atomic {order} {scope}"] += 1
    return +count


def sass_census(nvdisasm, cubin):
    done = subprocess.run([nvdisasm, "-c", cubin], capture_output=True, text=True)
    if done.returncode:
        return None
    count = collections.Counter()
    for line in done.stdout.splitlines():
        found = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)", line)
        name = found.group(1) if found else ""
        count["barrier"] += name.startswith("BAR.SYNC")
        count["mma.sync"] += bool(re.match(r"(HMMA|DMMA|IMMA)\b", name))
        count["ldmatrix"] += name.startswith("LDSM")
        count["cp.async"] += name.startswith("LDGSTS")
        count["atomic"] += bool(re.match(r"(ATOM|ATOMG|ATOMS|RED|REDG)\b", name))
        count["shfl.sync"] += name.startswith("SHFL")
    return +count


def check_sass(report, what, nvvm, sass):
    # The assembler may split an mma and unroll a loop; it may never lose a barrier, a copy or an atomic.
    for name in ("barrier", "mma.sync", "ldmatrix", "cp.async", "shfl.sync"):
        report.check(bool(nvvm[name]) == bool(sass[name]) and sass[name] >= nvvm[name], f"{what}: {nvvm[name]} {name} in NVVM, {sass[name]} in SASS", str(sass))
    atomics = sum(n for k, n in nvvm.items() if k.startswith("atomic"))
    report.check(bool(atomics) == bool(sass["atomic"]), f"{what}: {atomics} atomics in NVVM, {sass['atomic']} in SASS", str(sass))


def main(program, scratch, deps):
    report = Report()
    moec = Moec(program, scratch)
    jobs = [(row, target) for row in KERNELS for target in TARGETS]
    nvdisasm = next(iter(glob.glob(os.path.join(deps, "triton/lib/python*/site-packages/triton/backends/nvidia/bin/nvdisasm"))), "")
    have_sass = bool(nvdisasm)
    if not have_sass:
        print("no nvdisasm: the census of SASS is left out (python3 -m venv .deps/triton; .deps/triton/bin/pip install triton==3.9.0 brings one)")

    def emit(row, target, stage):
        out = "-" if stage != "cubin" else os.path.join(moec.scratch, f"{row[0]}_{target}_{abs(hash(row[1]))}.cubin")
        status, text, err = moec.run("compile", row[0], *(a for s in row[1].split(",") for a in ("--set", s)), "--target", target, "--emit", stage, "-o", out)
        return (text if out == "-" else out) if status == 0 else f"FAILED {err}"

    def all_stages(job):
        row, target = job
        return {s: emit(row, target, s) for s in ["tilegpu", "nvvm", "ptx"] + (["cubin"] if have_sass else [])}

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(all_stages, jobs))
    seen = collections.Counter()
    for (row, target), stages in zip(jobs, results):
        kernel, settings, conversions, loads, stores = row
        what = f"{kernel} {settings} for {target}"
        for stage, text in stages.items():
            report.check(not text.startswith("FAILED"), f"{what}: {stage}", text)
        have = len(re.findall(r"\btilegpu\.convert_layout\b", stages["tilegpu"]))
        report.check(conversions is None or have == conversions, f"{what}: {have} layout conversions, not {conversions}")
        vectors = {way: len(re.findall(way + r"\.global(?:\.\w+)*\.v4\.[bfu]32|" + way + r"\.global(?:\.\w+)*\.v2\.[bfu]64", stages["ptx"])) for way in ("ld", "st")}
        report.check(vectors["ld"] >= loads and vectors["st"] >= stores, f"{what}: {vectors} accesses of 128 bits, not {loads} and {stores}")
        nvvm, ptx = nvvm_census(stages["nvvm"]), ptx_census(stages["ptx"])
        seen.update(nvvm)
        report.check(nvvm == ptx, f"{what}: NVVM {dict(nvvm)}, PTX {dict(ptx)}")
        if have_sass:
            sass = sass_census(nvdisasm, stages["cubin"])
            report.check(sass is not None, f"{what}: nvdisasm reads the cubin")
            if sass is not None:
                check_sass(report, what, nvvm, sass)
    print("in all: " + ", ".join(f"{n} {k}" for k, n in sorted(seen.items())))
    for kind in ("barrier", "shfl.sync", "mma.sync", "ldmatrix", "cp.async", "cp.async.commit.group"):
        report.check(seen[kind] > 0, f"no kernel here has a {kind}: the census shows nothing of it")
    report.check(any(k.startswith("cp.async.wait") for k in seen), "no kernel here waits for copies")
    return report.finish()


sys.exit(main(*sys.argv[1:]))
