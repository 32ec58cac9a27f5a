"""moec verify on the recorded cases of chosen ops, of which every tensor must be compared. usage: verify_golden.py MOEC GOLDEN SCRATCH DEVICE"""
import os
import re
import sys

from moec_cli import Moec, Report

OPS = ["indices_to_multihot", "indices_to_multihot_unfused", "multihot_to_indices", "permute", "unpermute", "weighted_swiglu", "grouped_mm",
       "permute_tokens_for_grouped_mm", "unsloth_calculate_topk", "unsloth_routing_permute", "unsloth_grouped_gemm", "unsloth_torch_grouped_gemm",
       "apply_bias", "deterministic_bias_grad", "gate_route", "moe_aux_loss_auto_scaler", "moe_experts_e2e", "unsloth_qwen3_moe_block",
       "unsloth_llama4_moe_block"]


def main(program, golden, scratch, device):
    report = Report()
    moec = Moec(program, scratch)
    golden = os.path.abspath(golden)
    paths = [os.path.join(golden, op) for op in OPS]
    cases = sum(len(os.listdir(p)) for p in paths)
    status, out, err = moec.run("verify", "--strict", "--device", device, *paths)
    report.check(status == 0, f"verify on {device} ends with {status}", out[-3000:] + err)
    report.check(out.rstrip().split("\n")[-1] == f"{cases} passed, 0 failed, 0 unsupported", f"the last line, for {cases} cases", out[-300:])
    report.check(err == "", "nothing on standard error", err)
    for op in OPS:
        compared = re.findall(rf"^pass +{op}/.*\n((?: {{12}}.*\n)*)", out, re.M)
        report.check(compared and all(" pass " in c for c in compared), f"every case of {op} compares a tensor", "\n".join(compared))
    return report.finish()


sys.exit(main(*sys.argv[1:]))
