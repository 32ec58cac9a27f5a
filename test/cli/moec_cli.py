"""What the tests of the command line share: running moec in a clean environment, and safetensors files, good and bad."""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

# None may appear in what moec says: it is the library's talk about itself. (A kernel's file and line are fine, the library's kernels' too.)
LIBRARY_TALK = [
    (re.compile(r"Assertion|assert\(|terminate called|Aborted|Segmentation|PLEASE submit|Stack dump|LLVM ERROR|AddressSanitizer|runtime error:"), "a crash's text"),
    (re.compile(r"\b(runtime|compiler|dsl|tools)/[\w/]+\.(cpp|h):\d+"), "a line of moec's own source"),
    (re.compile(r"\[json\.exception|std::|basic_string|mlir::|llvm::"), "a library's name"),
    (re.compile(r"internal error"), "an internal error"),
]


class Moec:
    """The program under test. Its caches and scratch files are below `scratch`."""

    def __init__(self, program, scratch):
        self.program = os.path.abspath(program)
        self.scratch = os.path.abspath(scratch)
        os.makedirs(self.scratch, exist_ok=True)

    def environment(self, extra=None):
        env = {"PATH": "/usr/bin:/bin", "HOME": self.scratch, "MOEC_CACHE_DIR": os.path.join(self.scratch, "cache"), "MOEC_CHECK": "record",
               "MOEC_DEVICE": os.environ.get("MOEC_DEVICE", "sim"), "ASAN_OPTIONS": "allow_user_poisoning=0:detect_leaks=0"}
        env.update(extra or {})
        return {k: v for k, v in env.items() if v is not None}

    def run(self, *args, env=None, stdin=b"", cwd=None, timeout=300):
        """(status, standard output, standard error); output as text unless it is not UTF-8."""
        done = subprocess.run([self.program, *args], input=stdin, capture_output=True, env=self.environment(env), cwd=cwd or self.scratch, timeout=timeout)
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


class Report:
    """Collects what is wrong; a script's last line is `sys.exit(report.finish())`."""

    def __init__(self):
        self.checks, self.wrong = 0, 0

    def check(self, ok, what, details=""):
        self.checks += 1
        if ok:
            return
        self.wrong += 1
        print(f"WRONG: {what}")
        if details:
            print("    " + details.strip()[:2000].replace("\n", "\n    "))

    def finish(self):
        print(f"{self.checks} checks, {self.wrong} wrong")
        return 1 if self.wrong or not self.checks else 0


def library_talk(text):
    """What must not be in a message, or None."""
    for pattern, what in LIBRARY_TALK:
        found = pattern.search(text)
        if found:
            return f"{what}: {found.group(0)}"
    return None


# ---- safetensors

def pack(header, data=b"", length=None):
    """A file with this header (bytes, text or an object), whatever is wrong with it."""
    if not isinstance(header, (bytes, str)):
        header = json.dumps(header)
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def read(path):
    """(metadata, {name: (dtype, shape, bytes)}) of a good file."""
    raw = open(path, "rb").read()
    n = struct.unpack_from("<Q", raw)[0]
    header = json.loads(raw[8:8 + n])
    metadata = header.pop("__metadata__", {})
    return metadata, {k: (v["dtype"], v["shape"], raw[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]) for k, v in header.items()}


def write(path, metadata, tensors):
    header, data = {"__metadata__": metadata}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    with open(path, "wb") as out:
        out.write(pack(header, data))


def zeros(dtype, shape):
    size = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I8": 1, "U8": 1, "BOOL": 1}[dtype]
    for n in shape:
        size *= n
    return dtype, shape, bytes(size)


class Row:
    """One line of a table of bad input."""

    def __init__(self, what, args, status, *texts, env=None, stdin=b"", on_output=False):
        self.what, self.args, self.status, self.texts = what, args, status, texts
        self.env, self.stdin = env, stdin
        self.on_output = on_output  # verify reports on standard output
