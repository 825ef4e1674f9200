"""The JSON schema of SARIF 2.1.0, from npm, whose package is pinned by its checksum and kept in a cache folder.

    sarif_schema.load()                        the schema, a dict (JSON Schema draft-04)

By hand: python3 tests/lib/sarif_schema.py     (prints the file)

The package is 22 kB, licensed MIT; nothing of it is run. What's missing (npm, the registry) raises; nothing is skipped.
"""

import base64
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile

PACKAGE = "@microsoft/sarif-matcher-utils"
VERSION = "1.0.0-beta.0"
SHA512 = "JZzMgMK8nvSk6IDDjdC6HKbvj7knvatzwHmGAV5HeMe6kC6LFAy/a179Zzhw8lCKFXsR9siUm1H0nmc3KjcuZQ=="
MEMBER = "package/lib/schemas/sarif-2.1.0-rtm.5.json"


def cached():
    base = os.environ.get("PHASEGATE_TEST_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "phasegate-tests")
    return os.path.join(base, "sarif-2.1.0-%s.schema.json" % hashlib.sha256((SHA512 + MEMBER).encode()).hexdigest()[:12])


def _fetch(folder):
    """The schema's bytes, of a package that is the one it should be."""
    if not shutil.which("npm"):
        raise RuntimeError("no npm: apt-get install npm")
    done = subprocess.run(["npm", "pack", "--pack-destination", folder, "--ignore-scripts", "--loglevel=error",
                           "%s@%s" % (PACKAGE, VERSION)], cwd=folder, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    packed = glob.glob(os.path.join(folder, "*.tgz"))
    if done.returncode != 0 or len(packed) != 1:
        raise RuntimeError("npm pack %s@%s failed: %s" % (PACKAGE, VERSION, done.stdout))
    with open(packed[0], "rb") as f:
        found = base64.b64encode(hashlib.sha512(f.read()).digest()).decode()
    if found != SHA512:
        raise RuntimeError("%s@%s has checksum %s instead of %s" % (PACKAGE, VERSION, found, SHA512))
    with tarfile.open(packed[0]) as tar:
        return tar.extractfile(MEMBER).read()


def install():
    """The file; fetched when it isn't there."""
    path = cached()
    if os.path.exists(path):
        return path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(path):
            return path
        # Written beside and renamed: half a schema is never taken for one.
        with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
            half = os.path.join(folder, "schema.json")
            with open(half, "wb") as f:
                f.write(_fetch(folder))
            os.rename(half, path)
    return path


def load():
    with open(install(), encoding="utf-8") as f:
        return json.load(f)


if __name__ == "__main__":
    print(install())
