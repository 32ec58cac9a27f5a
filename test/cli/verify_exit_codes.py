"""moec verify where cases do not pass: planted mistakes, unsupported ops, --strict, --except. usage: verify_exit_codes.py MOEC GOLDEN SCRATCH"""
import os
import shutil
import sys

from moec_cli import Moec, Report, library_talk, read, write


class Cases:
    def __init__(self, golden, folder):
        self.golden, self.folder = golden, folder
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)

    def changed(self, name, case, change):
        """A recorded case after change(metadata, tensors)."""
        metadata, tensors = read(os.path.join(self.golden, case + ".safetensors"))
        change(metadata, tensors)
        path = os.path.join(self.folder, name + ".safetensors")
        write(path, metadata, tensors)
        return path


def flip(name, byte):
    """Changes one byte of a tensor."""
    def change(metadata, tensors):
        dtype, shape, raw = tensors[name]
        tensors[name] = dtype, shape, raw[:byte] + bytes([raw[byte] ^ 0x40]) + raw[byte + 1:]
    return change


def shorter(name):
    """Drops a tensor's last row."""
    def change(metadata, tensors):
        dtype, shape, raw = tensors[name]
        tensors[name] = dtype, [shape[0] - 1] + shape[1:], raw[:len(raw) // shape[0] * (shape[0] - 1)]
    return change


def setting(key, value):
    return lambda metadata, tensors: metadata.__setitem__(key, value)


def main(program, golden, scratch):
    report = Report()
    moec = Moec(program, scratch)
    golden = os.path.abspath(golden)
    cases = Cases(golden, os.path.join(moec.scratch, "cases"))
    good = os.path.join(golden, "weighted_swiglu", "t21_h24_f32.safetensors")
    float_wrong = cases.changed("float_wrong", "weighted_swiglu/t21_h24_f32", flip("out.y", 7 * 4 + 3))
    int_wrong = cases.changed("int_wrong", "permute_tokens_for_grouped_mm/" + sorted(os.listdir(os.path.join(golden, "permute_tokens_for_grouped_mm")))[0][:-12],
                              flip("out.offs", 0))
    shape_wrong = cases.changed("shape_wrong", "weighted_swiglu/t21_h24_f32", shorter("out.y"))
    no_op = cases.changed("no_op", "weighted_swiglu/t21_h24_f32", setting("op", "weighted_swigloo"))
    no_value = cases.changed("no_value", "moe_experts_e2e/t10_d16_i24_e6_k3_geglu_masked", setting("activation", "reglu"))
    extra = cases.changed("extra", "weighted_swiglu/t21_h24_f32", lambda m, t: t.__setitem__("out.nothing", ("F32", [1], bytes(4))))
    broken = os.path.join(cases.folder, "broken.safetensors")
    open(broken, "wb").write(open(good, "rb").read()[:-5])

    rows = [  # arguments, status, last line, texts that must be there, texts that must not
        ("a good case", [good], 0, "1 passed, 0 failed, 0 unsupported", [" y  ", "max error"], ["FAIL"]),
        ("a wrong float", [float_wrong], 1, "0 passed, 1 failed, 0 unsupported", ["FAIL", " y  ", "element [0, 7] is", "tolerance"], []),
        ("a wrong integer", [int_wrong], 1, "0 passed, 1 failed, 0 unsupported", ["FAIL", " offs  ", "element [0] is", "(exact)"], []),
        ("a wrong shape", [shape_wrong], 1, "0 passed, 1 failed, 0 unsupported", ["FAIL", " y  ", "f32[21, 24]", "f32[20, 24]"], []),
        ("quietly", ["-q", good, float_wrong], 1, "1 passed, 1 failed, 0 unsupported", ["FAIL", " y  "], ["pass  "]),
        ("an unknown op", [no_op], 2, "0 passed, 0 failed, 1 unsupported", ["weighted_swigloo", "no such op", "weighted_swiglu"], []),
        ("an unsupported value", [no_value], 2, "0 passed, 0 failed, 1 unsupported", ["reglu"], []),
        ("failed wins over unsupported", [no_op, float_wrong, good], 1, "1 passed, 1 failed, 1 unsupported", [], []),
        ("an output that is not made", [extra], 0, "1 passed, 0 failed, 0 unsupported", [" nothing ", "1 output tensors are not produced"], []),
        ("the same, strictly", ["--strict", extra], 2, "0 passed, 0 failed, 1 unsupported", [" nothing ", "not produced"], []),
        ("a whole case, strictly", ["--strict", good], 0, "1 passed, 0 failed, 0 unsupported", [], []),
        ("all but one op", ["--except", "weighted_swiglu", good, float_wrong], 0, "0 passed, 0 failed, 0 unsupported", [], [" y  "]),
        ("all but two ops", ["--except", "weighted_swiglu,weighted_swigloo", float_wrong, no_op], 0, "0 passed, 0 failed, 0 unsupported", [], []),
        ("another op left out", ["--except", "permute", float_wrong], 1, "0 passed, 1 failed, 0 unsupported", [" y  "], []),
        ("a damaged file", [broken, good], 1, "1 passed, 1 failed, 0 unsupported", ["broken.safetensors", "data"], []),
        ("a folder", [cases.folder], 1, None, [" y  ", " offs  ", "weighted_swigloo", "broken.safetensors"], []),
    ]
    for what, args, want, last, present, absent in rows:
        status, out, err = moec.run("verify", "--device", "interp", *args)
        report.check(status == want, f"{what}: status {status}, not {want}", out + err)
        report.check(last is None or out.rstrip().split("\n")[-1] == last, f"{what}: the last line is not '{last}'", out)
        for text in present:
            report.check(text in out, f"{what}: '{text}' is not said", out + err)
        for text in absent:
            report.check(text not in out, f"{what}: '{text}' is said", out + err)
        report.check(library_talk(out + err) is None, f"{what}: {library_talk(out + err)}", out + err)
    # The checked simulator is the default of verify; MOEC_SIM_CHECKED=0 turns it off, and both are other specializations in the cache.
    for checked, env in ((1, {}), (0, {"MOEC_SIM_CHECKED": "0"})):
        moec.run("cache", "clear")
        status, out, err = moec.run("verify", "--device", "sim", good, env=env)
        _, entries, _ = moec.run("cache", "ls")
        report.check(status == 0 and f"checked={checked}" in entries, f"verify compiles for the simulator with checked={checked}", out + err + entries)
    return report.finish()


sys.exit(main(*sys.argv[1:]))
