#!/usr/bin/env python3
"""Every C++ block of a document is a region of a source file that is compiled and run, and the other way round.

usage: docs_agree.py DOCUMENT SOURCE
In the document a block follows a line `<!-- snippet: NAME -->`; in the source it lies between `// [NAME]` and `// [end]`.
"""
import re
import sys
import textwrap


def main():
    document, source = (open(p).read() for p in sys.argv[1:])
    regions = {m.group(1): textwrap.dedent(m.group(2)).strip() for m in re.finditer(r"^ *// \[(\w+)\]\n(.*?)^ *// \[end\]$", source, re.S | re.M)}
    wrong, used = [], set()
    for m in re.finditer(r"(<!-- snippet: (\w+) -->\n)?```cpp\n(.*?)```", document, re.S):
        name, text = m.group(2), m.group(3).strip()
        if not name:
            wrong.append("a block without a snippet line: " + text.splitlines()[0])
        elif regions.get(name) != text:
            wrong.append(f"{name} differs from the source" if name in regions else f"{name} is no region of the source")
        used.add(name)
    wrong += [f"region {name} is not in the document" for name in regions if name not in used]
    print(*(wrong or [f"{len(used)} snippets agree"]), sep="\n")
    return 1 if wrong or not used else 0


if __name__ == "__main__":
    sys.exit(main())
