"""The house rules that a compiler doesn't check. Each failure says file:line and what to do instead."""

import glob
import os
import re
import subprocess
import unittest

import pgtest
import tree

# ---- the arrows -------------------------------------------------------------------------------

# layer -> whose headers it may include (besides its own)
MAY_INCLUDE = {
    "base": set(),
    "core": {"base"},
    "load": {"core", "base"},
    "io": {"ports", "core", "base", "sql"},
    "provider": {"flags", "ports", "core", "base"},
    "out": {"ports", "core", "base"},
    "ledger": {"ports", "core", "base", "sql"},
    "backfill": {"ledger", "ports", "core", "base", "sql"},
    "snapshot": {"ledger", "ports", "core", "base", "sql"},
    "engine": {"snapshot", "backfill", "ledger", "flags", "ports", "load", "core", "base", "sql"},
    "serve": {"engine", "ledger", "out", "flags", "ports", "load", "core", "base"},
    "shadow": {"io", "ports", "load", "core", "base", "sql"},
    "check": {"shadow", "ports", "load", "core", "base", "sql"},
    "demo": {"shadow", "serve", "out", "engine", "snapshot", "backfill", "provider", "ledger", "io", "load", "flags", "ports", "core", "base", "sql"},
    "rehearse": {"check", "shadow", "engine", "snapshot", "backfill", "provider", "ledger", "io", "load", "flags", "ports", "core", "base", "sql"},
    "cli": {"rehearse", "demo", "check", "shadow", "serve", "out", "engine", "snapshot", "backfill", "provider", "ledger", "io", "load", "flags", "ports", "core", "base", "sql"},
    # Seams that belong to no layer: tables of functions, implemented below, called from above.
    "ports": {"core", "base"},
    "flags": {"ports", "core", "base"},
}

# include/phasegate/<header>.h -> its layer or seam. A header not named here belongs to the layer of its own
# name: include/phasegate/engine.h to engine.
OWNER = {
    "arena": "base", "err": "base", "json_out": "base", "names": "base", "str": "base",
    "model": "core", "problem": "core", "phase": "core", "generate": "core", "plan": "core", "decide": "core", "rules": "core", "window": "core",
    "flag_server": "serve", "flag_ops": "engine", "measure": "engine", "statements": "load", "statement_facts": "load", "lint": "load", "suppress": "load", "capture": "load",
    "report": "core", "report_out": "out", "timeline": "core", "check": "check", "pg_local": "shadow",
    "provider": "provider", "backfill": "core", "backfill_sql": "core", "hours": "core", "backfill_run": "backfill", "backfill_ops": "engine",
    "data_needs": "core", "preflight": "engine", "rehearsal_ops": "engine", "rehearse_sql": "core", "snapshot": "snapshot", "store": "snapshot", "snapshot_sql": "core", "snapshot_ops": "engine",
    "document": "core", "fleet": "core", "runbook": "engine", "evidence": "engine", "notify": "engine", "validation": "engine",
}

GENERATED = {"sql_embedded.h": "sql", "phasegate_build.h": None, "embedded_schemas.h": None, "embedded_demo.h": "demo"}  # None: anybody's

# ---- what of the system a layer may see ---------------------------------------------------------

# Values in, values out: no clock, no environment, no I/O.
PURE = {"assert.h", "ctype.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdalign.h", "stdarg.h",
        "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "stdnoreturn.h", "string.h", "strings.h"}
FILES = {"dirent.h", "fcntl.h", "sys/stat.h", "sys/types.h", "unistd.h", "fnmatch.h", "glob.h", "libgen.h"}
SYSTEM = {"core": PURE, "base": PURE, "ledger": PURE, "engine": PURE, "provider": PURE,
          "backfill": PURE | {"pthread.h"},  # workers
          "snapshot": PURE | FILES,
          "load": PURE | FILES | {"pthread.h", "signal.h", "stdatomic.h"},  # a stack that fits a long text; many statements at once
          "out": PURE | {"unistd.h", "sys/ioctl.h"}}  # the terminal; io, serve and cli: anything but the below

LIBRARY = {  # header -> layers
    r"yaml\.h": {"load"},
    r"pg_query.*\.h|pg_query/.*|protobuf-c/.*": {"load"},
    r"libpq-fe\.h|libpq/.*|pg_config.*\.h": {"io", "shadow", "demo"},
    r"curl/.*": {"io", "demo"},
    r"microhttpd\.h": {"serve"},
    r"openssl/.*": {"load", "io", "provider", "serve", "demo", "snapshot"},
    r"zstd\.h|expat\.h": {"snapshot"},
    r"jansson\.h": {"load", "io", "provider", "ledger", "backfill", "snapshot", "engine", "shadow", "check", "serve", "out", "demo", "rehearse", "cli"},
    r"archive(_entry)?\.h": {"io"},
}

# ---- calls ------------------------------------------------------------------------------------

BANNED = {
    "system": "host_run, which needs no shell", "popen": "host_run, which needs no shell",
    "strcpy": "str", "strcat": "str", "stpcpy": "str", "sprintf": "str_addf", "vsprintf": "str_addf",
    "gets": "read into a str", "strtok": "strcspn", "setjmp": "return false", "longjmp": "return false",
    "alloca": "an arena", "atoi": "a parser that sees the end", "atol": "a parser that sees the end",
}
PRINTING = ("printf", "fprintf", "vprintf", "vfprintf", "dprintf", "puts", "fputs", "putchar", "putc", "fputc", "perror",
            "psignal")
PRINTERS = {"cli", "out"}
IMPURE = ("getenv", "secure_getenv", "setenv", "time", "clock", "clock_gettime", "gettimeofday", "localtime", "localtime_r",
          "gmtime", "gmtime_r", "mktime", "timegm", "strftime", "rand", "random", "srand", "getrandom", "fopen", "open",
          "openat", "read", "write", "close", "fread", "fwrite", "socket", "getpid", "sleep", "usleep", "nanosleep",
          "setlocale", "exit", "strerror")

LONGEST_FILE = 900  # 600 is the aim; over it a file is listed, over this one the test fails


def layer_of(path):
    """src/<layer>/x.c or include/phasegate/x.h -> layer"""
    parts = path.split("/")
    if parts[0] == "src":
        return parts[1]
    name = parts[-1].removesuffix(".h")
    return OWNER.get(name, name if name in MAY_INCLUDE else None)


def c_files():
    return [f for f in tree.under("src/", ends=(".c", ".h")) if layer_of(f) in MAY_INCLUDE]


def includes(path):
    """(line, header, is it a <header>)"""
    for number, line in enumerate(tree.read(path).splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', line)
        if found:
            yield number, found.group(1) or found.group(2), bool(found.group(1))


class Check(unittest.TestCase):
    maxDiff = None

    def none_of(self, problems):
        problems = list(problems)
        self.assertEqual(problems, [], "\n" + "\n".join(problems))

    # A checker that sees no file passes for ever.
    def test_there_is_something_to_check(self):
        self.assertGreater(len(c_files()), 5)
        self.assertGreater(len(tree.under("include/phasegate/")), 5)

    def test_every_folder_of_src_is_a_layer(self):
        folders = {f.split("/")[1] for f in tree.under("src/") if f.count("/") > 1}
        self.none_of("src/%s: not a layer: name it in MAY_INCLUDE and docs/ARCHITECTURE.md" % f
                     for f in sorted(folders - set(MAY_INCLUDE) - {"sql"}))

    def test_every_public_header_has_an_owner(self):
        self.none_of("%s: whose is it? Name its layer in OWNER" % f
                     for f in tree.under("include/phasegate/", ends=(".h",)) if layer_of(f) is None)

    def test_include_arrows(self):
        problems = []
        for path in c_files() + tree.under("include/phasegate/", ends=(".h",)):
            layer = layer_of(path)
            if layer is None:
                continue
            for line, header, is_system in includes(path):
                if is_system:
                    continue
                if header.startswith("phasegate/"):
                    other = layer_of("include/" + header)
                elif header in GENERATED:
                    other = GENERATED[header]
                elif "/" in header:
                    other = header.split("/")[0]
                    if other != layer and layer != "cli":
                        problems.append("%s:%d: %s is private to %s" % (path, line, header, other))
                        continue
                else:
                    other = layer
                    if not os.path.exists(os.path.join(tree.SRC, os.path.dirname(path), header)):
                        problems.append("%s:%d: %s isn't beside it" % (path, line, header))
                if other is not None and other != layer and other not in MAY_INCLUDE[layer]:
                    problems.append("%s:%d: %s may not include %s (%s)" % (path, line, layer, header, other))
        self.none_of(problems)

    def test_system_headers(self):
        problems = []
        for path in c_files():
            layer = layer_of(path)
            for line, header, is_system in includes(path):
                if not is_system:
                    continue
                library = next((who for pattern, who in LIBRARY.items() if re.fullmatch(pattern, header)), None)
                if library is not None:
                    if layer not in library:
                        problems.append("%s:%d: <%s> is for %s" % (path, line, header, ", ".join(sorted(library))))
                elif layer in SYSTEM and header not in SYSTEM[layer]:
                    problems.append("%s:%d: %s may not see <%s>: go through a port" % (path, line, layer, header))
        self.none_of(problems)

    def test_banned_calls(self):
        problems = []
        for path in c_files():
            layer, code = layer_of(path), tree.c_code(tree.read(path))
            words = dict(BANNED)
            if layer not in PRINTERS:
                words.update(dict.fromkeys(PRINTING, "an err or an event; only cli and out print"))
            if layer in ("core", "base"):
                words.update(dict.fromkeys(IMPURE, "an argument; core and base see neither clock, environment nor I/O"))
            # Not a member (.open, ->read), and not a declaration of a function pointer.
            for found in re.finditer(r"(?<![\w.>])(%s)\s*\(" % "|".join(words), code):
                problems.append("%s:%d: %s: use %s" % (path, tree.line_of(code, found.start()), found.group(1),
                                                       words[found.group(1)]))
            for found in re.finditer(r"\bgoto\b", code):
                problems.append("%s:%d: goto: return, with AUTO for what must be released"
                                % (path, tree.line_of(code, found.start())))
            for found in re.finditer(r"\b(_Thread_local|__thread)\b", code):
                problems.append("%s:%d: a thread-local: pass it" % (path, tree.line_of(code, found.start())))
        self.none_of(problems)

    def test_core_and_base_keep_nothing(self):
        """No writable data in their objects: the linker's own answer to "no mutable statics"."""
        problems = []
        for layer in ("base", "core"):
            if not glob.glob(os.path.join(tree.SRC, "src", layer, "*.c")):
                continue
            archive = os.path.join(pgtest.BUILD, "libpg_%s.a" % layer)
            self.assertTrue(os.path.exists(archive), "%s: build first" % archive)
            done = subprocess.run(["objdump", "-t", archive], capture_output=True, text=True, check=True)
            member, seen = "", 0
            for line in done.stdout.splitlines():
                if ":     file format" in line:
                    member = line.split(":")[0]
                    continue
                # 0000000000000040 l     O .bss  0000000000000004 counter
                found = re.match(r"[0-9a-f]+ .{7} (\S+)\s+[0-9a-f]+ +(?:\.hidden )?(\S.*)$", line)
                if not found:
                    continue
                seen += 1
                section, name = found.groups()
                ours = not re.search(r"asan|ubsan|gcov|^\.|^\*|^_sub_|^__", name, re.I)
                if ours and re.fullmatch(r"\.data(\.(?!rel\.ro).*)?|\.bss(\..*)?|\.tdata.*|\.tbss.*|\*COM\*", section):
                    problems.append("src/%s: %s has writable data: %s (%s)" % (layer, member, name, section))
            self.assertGreater(seen, 5, "objdump of %s shows no symbols" % archive)
        self.none_of(problems)

    # ---- SQL of our own -----------------------------------------------------------------------

    WORDS = set("""select insert update delete from where and or not in as on using values set exists any all some case when
        then else coalesce nullif greatest least extract cast over filter within group partition order by row array with
        recursive materialized lateral unique primary key check references constraint foreign exclude default generated
        always table index only into conflict do returning union except intersect having limit between like is distinct
        overlay position substring trim grouping sets cube rollup for of varchar char numeric decimal timestamp timestamptz
        time bit interval include language join left right full inner cross void returns function if begin execute operator""".split())

    def sql_files(self):
        return [f for f in tree.under("src/sql/", ends=(".sql",)) if f.count("/") == 2]

    def test_sql_states_its_contract(self):
        problems = []
        for path in self.sql_files():
            head = re.match(r"(?:--[^\n]*\n)*", tree.read(path)).group(0).lower()
            for word in ("params", "returns"):
                if not re.search(r"^--\s*%s\b" % word, head, re.M):
                    problems.append("%s:1: its leading comment has no line `-- %s: ...`" % (path, word))
            if not re.match(r"--\s*(purpose:\s*)?(?!params|returns)\w", head):
                problems.append("%s:1: starts with its purpose: `-- ...`" % path)
        for path in tree.under("src/sql/schema/", ends=(".sql",)):
            if not re.match(r"--\s*\w", tree.read(path)):
                problems.append("%s:1: starts with its purpose: `-- ...`" % path)
        self.none_of(problems)

    def test_sql_is_qualified(self):
        """Calls and relations name their schema: the user's search_path must not choose ours."""
        problems = []
        for path in tree.under("src/sql/", ends=(".sql",)):
            code = tree.sql_code(tree.read(path))
            own = {w.lower() for w in re.findall(r"(?:\bwith|\brecursive|,|\))\s*([a-z_]\w*)\s*(?:\([^()]*\)\s*)?as\s*"
                                                 r"(?:not\s+materialized|materialized)?\s*\(", code, re.I)}
            own |= {w.lower() for w in re.findall(r"\bas\s+([a-z_]\w*)\s*\(", code, re.I)}
            for found in re.finditer(r"(?<![\w.\"])([a-z_]\w*)\s*\(", code, re.I):
                word = found.group(1).lower()
                # unnest(...) WITH ORDINALITY AS u (a, n), ") x (a, b)": names of columns, not a call
                before = code[:found.start()].rstrip()
                if word in self.WORDS or word in own or before.endswith(")"):
                    continue
                problems.append("%s:%d: %s( : write pg_catalog.%s(" % (path, tree.line_of(code, found.start()), word, word))
            for found in re.finditer(r"\b(from|join|into|update)\s+(only\s+)?([a-z_]\w*)(?!\w|\s*[.(])", code, re.I):
                word = found.group(3).lower()
                before = code[:found.start()].rstrip().lower()
                if word in own or word in self.WORDS or before.endswith(("distinct", "for", "do", "on", "no key")):
                    continue
                if re.search(r"\bextract\s*\([^()]*$", code[:found.start()], re.I):
                    continue
                problems.append("%s:%d: %s %s: name its schema"
                                % (path, tree.line_of(code, found.start()), found.group(1).upper(), word))
        self.none_of(problems)

    # ---- files ------------------------------------------------------------------------------------

    def test_length_of_files(self):
        sizes = {f: tree.read(f).count("\n")
                 for f in tree.under("src/", "include/", "tests/", ends=(".c", ".h", ".py", ".sh"))}
        for path, size in sorted(sizes.items(), key=lambda item: -item[1]):
            if size > 600:
                print("long: %s has %d lines" % (path, size))
        self.none_of("%s: %d lines; split it" % item for item in sizes.items() if item[1] > LONGEST_FILE)

    def test_a_decision_has_one_heading(self):
        problems = []
        for path in tree.under("docs/decisions/", ends=(".md",)):
            text = re.sub(r"^```.*?^```", "", tree.read(path), flags=re.M | re.S)
            headings = re.findall(r"^# \S.*$", text, re.M)
            if len(headings) != 1:
                problems.append("%s: %d headings of the first level instead of one" % (path, len(headings)))
        self.none_of(problems)

    def test_no_path_of_somebodys_machine(self):
        problems = []
        pattern = re.compile(r"(?<![\w.~}*-])/(?:home|Users|root|work)/\w[\w.+-]*|/tmp/(?:brief|build-)\w*")
        for path in tree.files():
            if path == "tests/arch/test_arch.py":
                continue
            for number, line in enumerate(tree.read(path).splitlines(), 1):
                found = pattern.search(line)
                if found:
                    problems.append("%s:%d: %s" % (path, number, found.group(0)))
        self.none_of(problems)

    def test_scripts_can_be_run(self):
        problems = []
        for path in tree.files():
            with open(os.path.join(tree.SRC, path), "rb") as f:
                is_script = f.read(3) == b"#!/"
            if is_script and not os.access(os.path.join(tree.SRC, path), os.X_OK):
                problems.append("%s: chmod +x" % path)
        self.none_of(problems)


if __name__ == "__main__":
    unittest.main()
