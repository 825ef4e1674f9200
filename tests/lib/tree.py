"""The files of the source tree, for tests that read it."""

import os
import re
import subprocess

import pgtest

SRC = pgtest.SRC


def files():
    """Paths relative to the tree: what git has or would add; outside of git all that isn't built."""
    done = subprocess.run(["git", "-c", "safe.directory=*", "-C", SRC, "ls-files", "-z", "--cached", "--others",
                           "--exclude-standard"], capture_output=True, text=True)
    if done.returncode == 0:
        found = done.stdout.split("\0")
    else:
        found = []
        for folder, folders, names in os.walk(SRC):
            folders[:] = [f for f in folders if f not in (".git", "build", "__pycache__", "node_modules")]
            found += [os.path.relpath(os.path.join(folder, name), SRC) for name in names]
    # A file that was deleted and not committed is still listed.
    return sorted({f for f in found if f and os.path.isfile(os.path.join(SRC, f))})


def under(*folders, ends=("",)):
    return [f for f in files() if f.startswith(folders) and f.endswith(tuple(ends))]


def read(path):
    with open(os.path.join(SRC, path), encoding="utf-8", errors="replace") as f:
        return f.read()


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def c_code(text):
    """C without comments and without the inside of texts, with the same lines."""
    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] * 2
        return " " + "\n" * token.count("\n")
    return _TOKEN.sub(blank, text)


_SQL_TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$|'(?:''|[^'])*'", re.S)


def sql_code(text):
    """SQL without comments and without the inside of texts, with the same lines."""
    def blank(match):
        token = match.group(0)
        return ("" if token[0] in "-/" else "''") + "\n" * token.count("\n")
    return _SQL_TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
