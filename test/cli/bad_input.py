"""Bad input and what moec says to it: the text names what is wrong, the status is the documented one, nothing crashes and nothing talks
about the library's inside. usage: bad_input.py MOEC GOLDEN SCRATCH [FILTER]"""
import os
import shutil
import sys

import bad_commands
import bad_files
import bad_modules
from moec_cli import Moec, Report, library_talk

MINIMUM = {"commands": 30, "modules": 30, "files": 40}


def main(program, golden, scratch, only=""):
    report = Report()
    moec = Moec(program, scratch)
    folder = os.path.join(moec.scratch, "bad")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for part, table in (("commands", bad_commands.rows(golden, folder)), ("modules", bad_modules.rows(folder)), ("files", bad_files.rows(golden, folder))):
        report.check(len(table) >= MINIMUM[part], f"{part}: only {len(table)} rows")
        for row in table:
            if only and only not in row.what:
                continue
            status, out, err = moec.run(*row.args, env=row.env, stdin=row.stdin, cwd=folder, timeout=60)
            said = (out if row.on_output else "") + err
            details = f"{' '.join(row.args)}\nstatus {status}\n{said}"
            report.check(status == row.status, f"{row.what}: status {status}, not {row.status}", details)
            for text in row.texts:
                report.check(text in said, f"{row.what}: '{text}' is not said", details)
            report.check(library_talk(out + err) is None, f"{row.what}: {library_talk(out + err)}", details)
            report.check(len(err) < 4000, f"{row.what}: the message has {len(err)} characters", details)
            if row.status == 0:
                report.check(err == "", f"{row.what}: a message, but status 0", details)
            left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
            report.check(not left, f"{row.what}: it left {left}")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
