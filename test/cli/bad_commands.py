"""Wrong command lines, settings, outputs and environment variables."""
import os

from moec_cli import Row


def rows(golden, folder):
    good = os.path.abspath(os.path.join(golden, "weighted_swiglu", "t21_h24_f32.safetensors"))
    os.makedirs(os.path.join(folder, "a_folder"), exist_ok=True)
    toolkit = os.path.join(folder, "toolkit")
    os.makedirs(os.path.join(toolkit, "lib64"), exist_ok=True)
    with open(os.path.join(toolkit, "lib64", "libnvJitLink.so.13"), "w") as file:
        file.write("no library")

    def compile(*args):
        return ["compile", *args]

    def run(*args, out="out.safetensors"):
        return ["run", "weighted_swiglu", "--in", good, "--out", out, "--device", "interp", *args]

    def environment(name, value, *texts):
        return Row(f"{name}={value}", ["verify", good], 1, f"read {name}='{value}' from the environment", "wrong value", *texts, env={name: value})

    return [
        # the command line
        Row("no command", [], 2, "A subcommand is required"),
        Row("bench of an unknown op", ["bench", "permut"], 2, "did you mean permute?"),
        Row("bench with an unknown model", ["bench", "permute", "--model", "gpt-5", "--list"], 1, "it may be mixtral-8x7b"),
        Row("bench with integers", ["bench", "permute", "--dtype", "i32", "--list"], 1, "it may be bf16, f16, f32 or f64"),
        Row("bench with fewer than no tokens", ["bench", "permute", "--tokens", "-1", "--list"], 1, "there must be tokens"),
        Row("bench without tokens", ["bench", "permute", "--tokens", "0", "--list"], 1, "there must be tokens"),
        Row("an unknown command", ["compil"], 2, "there is no command 'compil'; moec --help lists them"),
        Row("an unknown option", ["list", "--everything"], 2, "--everything"),
        Row("compile nothing", compile(), 2, "kernel is required"),
        Row("run without input", ["run", "permute", "--out", "x"], 2, "--in is required"),
        Row("verify nothing", ["verify"], 2, "paths is required"),
        Row("an unknown stage", compile("weighted_swiglu", "--emit", "sass"), 2, "--emit: sass not in {tile,tilegpu"),
        Row("warps that are no number", compile("weighted_swiglu", "--num-warps", "many"), 2, "--num-warps"),
        Row("cache without a command", ["cache"], 2, "A subcommand is required"),
        Row("an unknown command of cache", ["cache", "lst"], 2, "there is no command 'lst'; moec cache --help lists them"),
        Row("a cubin without nvJitLink", compile("weighted_swiglu", "--emit", "cubin"), 3, "compile weighted_swiglu for sm_90a: there is no nvJitLink to make a cubin",
            "--emit ptx", env={"MOEC_CUDA_ROOT": "none"}),
        Row("prune to no size", ["cache", "prune", "--to", "lots"], 2, "lots"),
        # kernels, settings, targets
        Row("an unknown kernel", compile("weighted_swigloo"), 1, "kernel weighted_swigloo: there is no such kernel; did you mean weighted_swiglu?", "`moec list`"),
        Row("a kernel unlike any", compile("qqqqqqqqqqqqqqqq"), 1, "there is no such kernel; `moec list` shows all"),
        Row("an unknown name to list", ["list", "permut"], 2, "op or kernel permut: there is none; did you mean permute?"),
        Row("a kernel's name, mistyped, to list", ["list", "gather_row"], 2, "op or kernel gather_row: there is none; did you mean gather_rows?"),
        Row("a number that names no gate", compile("weighted_swiglu", "--set", "gate=3"), 1, "the value does not fit; by default it is silu"),
        Row("an unknown setting", compile("weighted_swiglu", "--set", "blok=3"), 1, "weighted_swiglu with blok=3: there is no such setting; did you mean block?"),
        Row("a setting without a value", compile("weighted_swiglu", "--set", "block"), 1, "setting 'block': it is not name=value", "topk=8,experts=128"),
        Row("a setting without a name", compile("weighted_swiglu", "--set", "=7"), 1, "setting '=7': it is not name=value"),
        Row("a setting of another type", compile("weighted_swiglu", "--set", "block=x"), 1, "block=x: the value does not fit; by default it is"),
        Row("a size below 0", compile("weighted_swiglu", "--set", "H=-5"), 1, "H=-5: the value does not fit"),
        Row("a size beyond 64 bits", compile("weighted_swiglu", "--set", "H=99999999999999999999"), 1, "H=99999999999999999999: the value does not fit"),
        Row("a dimension beyond 2^31", compile("weighted_swiglu", "--set", "H=9999999999999"), 1, "dimension 1 has more than 2^31-1 elements"),
        Row("an unknown dtype", compile("weighted_swiglu", "--set", "dtype=f8"), 1, "dtype=f8: the value does not fit"),
        Row("a block that is no power of two", compile("weighted_swiglu", "--set", "block=3"), 1, "arange(3): 3 is not a power of two; use lanes(3)"),
        Row("a block of nothing", compile("map_pad_columns", "--set", "columns=0"), 1, "cdiv(128, 0): the divisor is not positive"),
        Row("experts beyond a tile", compile("aux_loss", "--set", "experts=2147483647"), 1, "a tile has at most 1048576 elements"),
        Row("a block beyond a tile", compile("weighted_swiglu", "--set", "rows=2097152"), 1, "a tile has at most 1048576 elements"),
        Row("a setting for a file", compile("-", "--set", "a=1"), 1, "--set is for kernels of the library"),
        Row("an unknown target", compile("weighted_swiglu", "--target", "gfx942"), 1, "compile weighted_swiglu for gfx942", "unknown target 'gfx942' (targets: sm_80"),
        Row("a target that is too old", compile("weighted_swiglu", "--target", "sm_75"), 1, "target sm_75 is too old: moec needs sm_80 or later"),
        Row("an option in a target", compile("weighted_swiglu", "--target", "sm_80;num_warps=3"), 1, "num_warps"),
        Row("a stage that the simulator has not", compile("weighted_swiglu", "--target", "sim", "--emit", "ptx"), 1, "emit=ptx: the simulated GPU", "use emit=nvvm"),
        Row("3 warps", compile("weighted_swiglu", "--num-warps", "3"), 1, "num_warps=3: must be one of 1, 2, 4, 8, 16"),
        Row("99 stages", compile("weighted_swiglu", "--num-stages", "99"), 1, "num_stages=99: must be one of 1"),
        Row("a dump that cannot be written", compile("weighted_swiglu"), 1, "dump IR into /proc/no/such/weighted_swiglu-", "set MOEC_DUMP to a folder that can be written",
            env={"MOEC_DUMP": "/proc/no/such"}),
        # ops, parameters, devices
        Row("run an unknown op", ["run", "permut", "--in", good, "--out", "x"], 2, "op permut: there is no such op; did you mean permute?"),
        Row("run with an unknown parameter", run("--set", "limit=7"), 1, "weighted_swiglu with limit=7: the op has no such parameter"),
        Row("run on an unknown device", [*run()[:-1], "tpu"], 1, "tpu", "say best, sim, interp, cuda or cuda:<index>"),
        Row("run on a device that is not there", [*run()[:-1], "cuda:99"], 3, "cuda"),
        Row("verify on an unknown device", ["verify", good, "--device", "cuda:x"], 1, "cuda:x"),
        Row("run another op's tensors", ["run", "permute", "--in", good, "--out", "x", "--device", "interp"], 1, "permute: the tensor tokens [T, D] is missing"),
        Row("run without a parameter", ["run", "indices_to_multihot", "--in", good, "--out", "x", "--device", "interp"], 1, "indices_to_multihot", "is missing"),
        # outputs and inputs that cannot be
        Row("write into no folder", compile("weighted_swiglu", "-o", "/nonexistent/x"), 1, "write /nonexistent/x: No such file or directory"),
        Row("write to a folder", compile("weighted_swiglu", "-o", "a_folder"), 1, "write a_folder: it is a directory; give a file"),
        Row("write to a full disk", compile("weighted_swiglu", "-o", "/dev/full"), 1, "write /dev/full: No space left on device"),
        Row("write below a file", compile("weighted_swiglu", "-o", good + "/x"), 1, "Not a directory"),
        Row("run into no folder", run(out="/nonexistent/x"), 1, "write /nonexistent/x: No such file or directory"),
        Row("read no file", compile("nothing.mlir"), 1, "read nothing.mlir: No such file or directory"),
        Row("read a folder", compile("./a_folder"), 1, "read ./a_folder: it is a directory; give a file"),
        Row("run from no file", ["run", "permute", "--in", "nothing.safetensors", "--out", "x"], 1, "read nothing.safetensors: No such file or directory"),
        Row("run from a folder", ["run", "permute", "--in", "a_folder", "--out", "x"], 1, "read a_folder: it is not a regular file"),
        Row("run from a device", ["run", "permute", "--in", "/dev/zero", "--out", "x"], 1, "read /dev/zero: it is not a regular file"),
        Row("verify no file", ["verify", "nothing.safetensors"], 1, "verify nothing.safetensors: there is no such file or directory"),
        Row("verify a folder without cases", ["verify", "a_folder"], 1, "verify a_folder: no *.safetensors file lies below it"),
        # the environment
        environment("MOEC_DEVICE", "gpu", "say best, sim, interp, cuda or cuda:<index>"),
        environment("MOEC_CACHE", "maybe", "say on, off or require"),
        environment("MOEC_CACHE_DIR", "here", "say an absolute one"),
        environment("MOEC_CACHE_MAX_BYTES", "-1", "for example 1073741824, 512M or 2G"),
        environment("MOEC_CHECK", "everything", "say record or none"),
        environment("MOEC_SIM_CHECKED", "2", "say 0 or 1"),
        environment("MOEC_SIM_SEED", "x", "whole number"),
        environment("MOEC_SIM_WORKERS", "100000", "0 (all cores) to 1024"),
        environment("MOEC_SIM_LEVEL", "v9", "auto, v2, v3 or v4"),
        environment("MOEC_LINEINFO", "perhaps", "say 0 or 1"),
        environment("MOEC_LOG", "loud", "off, warn, info or debug"),
        Row("a variable that is none", ["doctor"], 1, "MOEC_DEVIEC", "moec has no such variable", env={"MOEC_DEVIEC": "sim"}, on_output=True),
        Row("no compiler there", ["verify", "--device", "sim", good], 1, "/nonexistent/lib.so", env={"MOEC_COMPILER": "/nonexistent/lib.so", "MOEC_CACHE": "off"}, on_output=True),
        Row("a compiler that is no library", ["verify", "--device", "sim", good], 1, good, env={"MOEC_COMPILER": good, "MOEC_CACHE": "off"}, on_output=True),
        Row("an assembler that is no library", compile("weighted_swiglu", "--target", "sm_90a", "--emit", "cubin"), 3, "libnvJitLink.so.13: file too short",
            "MOEC_CUDA_ROOT", env={"MOEC_CUDA_ROOT": toolkit}),
        Row("a toolkit that is nowhere", compile("weighted_swiglu", "--target", "sm_90a", "--emit", "cubin"), 3, "/nonexistent/lib64/libnvJitLink.so.13: cannot open",
            "MOEC_CUDA_ROOT", env={"MOEC_CUDA_ROOT": "/nonexistent"}),
        Row("a cache below a file", ["cache", "stat"], 1, f"keep kernels in {good}/cache: it is a symbolic link or no directory; set MOEC_CACHE_DIR",
            env={"MOEC_CACHE_DIR": good + "/cache"}),
        Row("a machine without a cache", ["doctor"], 1, f"keep kernels in {good}/cache", env={"MOEC_CACHE_DIR": good + "/cache"}, on_output=True),
        Row("a cache that must have it", ["verify", "--device", "sim", good], 1, "MOEC_CACHE=require forbids compiling",
            env={"MOEC_CACHE": "require", "MOEC_CACHE_DIR": os.path.join(folder, "empty")}, on_output=True),
    ]
