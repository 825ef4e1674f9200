"""The examples of a page of documentation, run as a reader would type them.

    ```console
    $ phasegate status                  a command; lines that start with "> " belong to it
    1 outstanding of 1 plan             what it prints, both streams as they come
    ...                                 any number of lines; within a line ... is any text
    ```

The blocks of a page run in order in one bash. Not compared: run ids at the start of a line (a terminal doesn't show
them), how long something took, times of day, how many spaces there are, empty lines at the end. Every other difference fails with the line of
the page. Names of files in a sentence that ends in a colon,
right above a ```yaml or ```sql block, say what the reader is to write into which file.
"""

import fnmatch
import glob
import os
import re
import signal
import subprocess
import sys
import threading

import pgtest

LONGEST_S = 90  # of one command
_MARK = "---- end of a command: "
_RUN_ID = re.compile(r"^\[\d{17}-[0-9a-f]{8}\] ", re.M)


class Block:
    """.language, .text, .line (of the page, of its first line), .above (the text before it, up to a blank line)"""

    def __init__(self, language, text, line, above):
        self.language, self.text, self.line, self.above = language, text, line, above


def blocks(path):
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    found, start, above = [], None, []
    for number, line in enumerate(lines):
        if start is None and line.startswith("```"):
            start, language = number, line[3:].strip()
        elif start is not None and line == "```":
            found.append(Block(language, "\n".join(lines[start + 1:number]) + "\n", start + 2, " ".join(above)))
            start, above = None, []
        elif start is None and line:
            above = above + [line] if number and lines[number - 1] else [line]
    if start is not None:
        raise AssertionError("%s:%d: a block without an end" % (path, start + 1))
    return found


def commands(block):
    """[(line of the page, command, expected output)] of a console block"""
    found = []
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("$ "):
            found.append([number, line[2:], []])
        elif line.startswith("> ") and found and not found[-1][2]:
            found[-1][1] += "\n" + line[2:]
        elif found:
            found[-1][2].append(line)
        else:
            raise AssertionError("line %d: a console block starts with a command: $ ..." % number)
    return found


_VARIES = [(re.compile(pattern), instead) for pattern, instead in (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"(?<=_drop_)\d{8}(?=_)", "<day>"),
    (r"(?<=[/ ])\d{14}(?=-[a-z])", "<stamp>"),
    (r"\b\d+ ?(ms|s|m|h)\b( \d+ ?(ms|s|m)\b)?", "<duration>"),
    (r"\s+", " "))]


def plain(line):
    for pattern, instead in _VARIES:
        line = pattern.sub(instead, line)
    return line.strip()


# Bash tells of a job that was killed whenever it comes to it.
JOB_KILLED = re.compile(r"bash: line \d+: +\d+ Killed ")


def is_like(shown, got):
    """Lists of lines; a line ... stands for any lines, ... in a line for any text."""
    if not shown:
        return not got
    if shown[0].strip() == "...":
        return any(is_like(shown[1:], got[i:]) for i in range(len(got) + 1))
    if not got:
        return False
    pattern = "*".join(re.sub(r"([\[*?])", r"[\1]", part) for part in plain(shown[0]).split("..."))
    return fnmatch.fnmatchcase(plain(got[0]), pattern) and is_like(shown[1:], got[1:])


class Shell:
    """One bash in a folder. run() gives (output of both streams, exit code)."""

    def __init__(self, folder, env):
        path = os.path.dirname(os.path.abspath(pgtest.BIN)) + os.pathsep + os.environ["PATH"]
        self._bash = subprocess.Popen(["bash", "--norc"], cwd=folder, text=True, errors="replace",
                                      env=pgtest.phasegate_env({"PATH": path, **env}), stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def folder(self):
        """Where it is now."""
        return os.readlink("/proc/%d/cwd" % self._bash.pid)

    def run(self, command):
        # The next command sees our exit code in $?, as on a terminal.
        self._bash.stdin.write("%s\n{ __rc=$?; echo; echo '%s'$__rc; (exit $__rc); }\n" % (command, _MARK))
        self._bash.stdin.flush()
        lines = []
        alarm = threading.Timer(LONGEST_S, self._kill)
        alarm.start()
        try:
            for line in self._bash.stdout:
                if line.startswith(_MARK):
                    return _RUN_ID.sub("", "".join(lines)[:-1]), int(line[len(_MARK):])
                lines.append(line)
        finally:
            alarm.cancel()
        raise AssertionError("the shell ended, or this took %d s: %s\n%s" % (LONGEST_S, command, "".join(lines)))

    def _kill(self, number=signal.SIGKILL):
        try:
            os.killpg(self._bash.pid, number)
        except ProcessLookupError:
            pass

    def close(self):
        """End the shell and whatever it left running in the background."""
        self._kill(signal.SIGTERM)
        try:
            self._bash.stdin.close()
        except OSError:
            pass
        self._bash.stdout.close()
        try:
            self._bash.wait(10)
        except subprocess.TimeoutExpired:
            self._kill()
            self._bash.wait()


def write_file(shell, block, replace):
    """What the reader was told to write. Where the file is there under another time, its timestamp stays."""
    named = re.findall(r"`([\w./*-]+\.%s)`[^`]*:$" % block.language, block.above)
    if not named:
        return None
    folder = shell.folder()
    found = glob.glob(os.path.join(folder, named[-1]))
    path, text = found[0] if found else os.path.join(folder, named[-1]), replace(block.text)
    stamp = re.match(r"\d{14}", os.path.basename(path))
    if stamp:
        text = re.sub(r"^timestamp: \d{14}", "timestamp: " + stamp.group(0), text, flags=re.M)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return named[-1]


def play(path, shell, replace=lambda text: text, hooks=None):
    """Run a page; replace changes what is typed and what is expected. hooks: words above a block -> what happens in the
    world before it. Returns the number of commands. Setting PHASEGATE_SHOW prints what came, for whoever writes the
    page."""
    n, waiting = 0, dict(hooks or {})
    for block in blocks(path):
        for words in [w for w in waiting if w in block.above]:
            waiting.pop(words)()
        if block.language in ("yaml", "sql"):
            write_file(shell, block, replace)
        if block.language != "console":
            continue
        for line, command, shown in commands(block):
            out, rc = shell.run(replace(command))
            if os.environ.get("PHASEGATE_SHOW"):
                print("$ %s\n%s[%d]" % (command, out, rc), file=sys.stderr)
            elif not is_like([replace(s) for s in shown],
                             [got for got in out.rstrip().splitlines() if not JOB_KILLED.match(got)]):
                raise AssertionError("%s:%d: $ %s\n--- the page shows\n%s\n--- it prints (exit code %d)\n%s"
                                     % (path, line, command, "\n".join(shown), rc, out))
            n += 1
    if waiting:
        raise AssertionError("%s: no block says %s" % (path, ", ".join(waiting)))
    return n
