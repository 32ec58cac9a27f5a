"""moec verify on every recorded case that one rank can do, each output tensor compared. usage: verify_golden.py MOEC GOLDEN SCRATCH DEVICE"""
import os
import re
import sys

from moec_cli import Moec, Report

# What needs several ranks.
RANKS = ["token_dispatcher", "allgather_concat_varlen", "deepep_manager_padded", "dispatcher_initialize_metadata", "grouped_experts_ep",
         "grouped_experts_deepep", "hybridep_metadata"]


def main(program, golden, scratch, device):
    report = Report()
    moec = Moec(program, scratch)
    golden = os.path.abspath(golden)
    ops = {op: len([f for f in os.listdir(os.path.join(golden, op)) if f.endswith(".safetensors")])
           for op in sorted(os.listdir(golden)) if os.path.isdir(os.path.join(golden, op)) and op not in RANKS}
    status, out, err = moec.run("verify", "--strict", "--device", device, "--except", ",".join(RANKS), golden, timeout=580)
    report.check(status == 0, f"verify on {device} ends with {status}", "\n".join(l for l in out.split("\n") if not l.startswith(("pass", "   ")))[-3000:] + err)
    report.check(out.rstrip().split("\n")[-1] == f"{sum(ops.values())} passed, 0 failed, 0 unsupported", f"the last line, for {sum(ops.values())} cases", out[-300:])
    report.check(err == "", "nothing on standard error", err)
    for op, cases in ops.items():
        line = re.search(rf"^{op} +{cases} passed, 0 failed, 0 unsupported; largest error \d\.\d\d of its tolerance$", out, re.M)
        report.check(line, f"a line says that {cases} cases of {op} pass", out[-3000:])
        compared = re.findall(rf"^pass +{op}/.*\n((?: {{12}}.*\n)*)", out, re.M)
        report.check(len(compared) == cases and all(" pass " in c for c in compared), f"every case of {op} compares a tensor", "\n".join(compared))
    return report.finish()


sys.exit(main(*sys.argv[1:]))
