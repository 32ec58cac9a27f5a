"""What the commands say and do where nothing is wrong with the command line: list, compile through pipes, run, and cache with damaged
entries in it. usage: good_commands.py MOEC GOLDEN SCRATCH"""
import os
import re
import signal
import subprocess
import sys

from moec_cli import Moec, Report


def check_list(moec, report):
    _, out, _ = moec.run("list", "weighted_swiglu")  # an op and a kernel
    report.check("source: " in out and "weighted_swiglu (kernel)" in out and "set block " in out, "list of an op and kernel shows both", out)
    report.check("functions weighted_swiglu, weighted_swiglu_backward," in out and "kernels   weighted_swiglu, activation_backward" in out
                 and "silu, gelu_tanh, relu2" in out, "list names functions, kernels and the values of enums", out)


def check_opt(moec, report):
    status, out, _ = moec.run("opt", "--help")
    report.check(status == 0 and "--tile-lower-views" in out, "opt --help is moec-opt's", out[:300])


def check_pipes(moec, report):
    _, tile, _ = moec.run("compile", "weighted_swiglu", "--emit", "tile")
    status, ptx, err = moec.run("compile", "-", "--emit", "ptx", stdin=tile.encode())
    report.check(status == 0 and ".entry weighted_swiglu" in ptx, "compile - reads standard input", err)
    # Who was to read the output has gone: neither a defect nor a message.
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([moec.program, "compile", "-", "--emit", "tilegpu"], input=tile.encode(), stdout=writer, stderr=subprocess.PIPE, env=moec.environment())
    os.close(writer)
    report.check(done.returncode == -signal.SIGPIPE and not done.stderr, "a closed pipe ends compile quietly", f"{done.returncode} {done.stderr}")


def check_run(moec, report, golden):
    case = os.path.abspath(os.path.join(golden, "moe_experts_e2e", "t6_d16_i8_e4_k2_swiglu_small.safetensors"))
    status, out, err = moec.run("run", "moe_experts_e2e", "--in", case, "--out", "y.safetensors", "--device", "interp")
    report.check(status == 0 and "out.y" in out, "run", out + err)
    report.check("the op has no input router_scores; that tensor" in err, "run says which tensors it leaves out", err)
    status, _, err = moec.run("run", "moe_experts_e2e", "--in", case, "--out", "-", "--device", "interp")
    report.check(status == 0, "run to standard output", err)


def check_cache(moec, report, golden):
    case = os.path.abspath(os.path.join(golden, "weighted_swiglu", "t21_h24_f32.safetensors"))
    moec.run("cache", "clear")
    moec.run("verify", case)
    folder = moec.run("cache", "path")[1].strip()
    entries = sorted(name for name in os.listdir(folder) if name.endswith(".moec"))
    report.check(len(entries) >= 2, "verify fills the cache", str(entries))

    def says(expected, *args, want=0):
        status, out, err = moec.run("cache", *args)
        report.check(status == want and re.search(expected, out), f"cache {' '.join(args)}: status {status}, '{expected}' expected", out + err)

    says(f"{len(entries)} entries, .* 0 bad", "stat")
    says(f"{len(entries)} good, 0 bad", "verify")
    with open(os.path.join(folder, entries[0]), "r+b") as f:
        f.seek(-1, os.SEEK_END)
        last = f.read(1)
        f.seek(-1, os.SEEK_END)
        f.write(bytes([last[0] ^ 1]))
    with open(os.path.join(folder, entries[1]), "r+b") as f:
        f.truncate(40)
    says(f"{len(entries)} entries, .* 2 bad", "stat")
    says("BAD: checksum mismatch", "ls")
    says(f"{entries[1]}: truncated", "verify", want=1)
    status, out, err = moec.run("doctor")
    report.check(" 2 bad" in out, "doctor counts damaged entries", out + err)
    says("removed 2", "verify", "--repair")
    says(f"{len(entries) - 2} good, 0 bad", "verify")
    status, out, err = moec.run("verify", case)
    report.check(status == 0, "what was removed is made again", out + err)
    says(f"{len(entries)} good, 0 bad", "verify")
    says(f"removed {len(entries)} entries", "prune", "--to", "0B")
    says("0 entries, 0 B", "stat")


def main(program, golden, scratch):
    report = Report()
    moec = Moec(program, scratch)
    check_list(moec, report)
    check_opt(moec, report)
    check_pipes(moec, report)
    check_run(moec, report, golden)
    check_cache(moec, report, golden)
    return report.finish()


sys.exit(main(*sys.argv[1:]))
