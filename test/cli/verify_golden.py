"""moec verify on every recorded case of the first milestone. usage: verify_golden.py MOEC GOLDEN SCRATCH DEVICE"""
import os
import re
import sys

from moec_cli import Moec, Report

OPS = ["indices_to_multihot", "indices_to_multihot_unfused", "multihot_to_indices", "permute", "unpermute", "weighted_swiglu", "grouped_mm",
       "permute_tokens_for_grouped_mm", "unsloth_calculate_topk", "unsloth_routing_permute", "unsloth_grouped_gemm", "unsloth_torch_grouped_gemm",
       "apply_bias", "deterministic_bias_grad", "gate_route", "moe_aux_loss_auto_scaler"]
LAYERS = ["t37_d64_i96_e8_k2_swiglu", "t24_d32_i48_e8_k2_swiglu_empty", "t20_d32_i32_e8_k2_swiglu_torchmm", "t16_d32_i32_e8_k2_swiglu_bf16",
          "t6_d16_i8_e4_k2_swiglu_small"]


def main(program, golden, scratch, device):
    report = Report()
    moec = Moec(program, scratch)
    golden = os.path.abspath(golden)
    paths = [os.path.join(golden, op) for op in OPS] + [os.path.join(golden, "moe_experts_e2e", c + ".safetensors") for c in LAYERS]
    cases = sum(len(os.listdir(p)) if os.path.isdir(p) else 1 for p in paths)
    status, out, err = moec.run("verify", "--device", device, *paths)
    report.check(status == 0, f"verify on {device} ends with {status}", out[-3000:] + err)
    report.check(out.rstrip().split("\n")[-1] == f"{cases} passed, 0 failed, 0 unsupported", f"the last line, for {cases} cases", out[-300:])
    report.check(err == "", "nothing on standard error", err)
    for case in LAYERS:
        found = re.search(rf"^pass +moe_experts_e2e/{case} .*\n(?: +.*\n)*? +y +pass", out, re.M)
        report.check(found, f"out.y of {case} is compared and passes", out[-3000:])
    for op in OPS:
        compared = re.findall(rf"^pass +{op}/.*\n((?: {{12}}.*\n)*)", out, re.M)
        report.check(compared and all(" pass " in c for c in compared), f"every case of {op} compares a tensor", "\n".join(compared))
    return report.finish()


sys.exit(main(*sys.argv[1:]))
