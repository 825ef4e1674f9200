"""Programs from npm, each installed once into a cache folder. What's missing (npm, the registry) raises; nothing is skipped."""

import fcntl
import json
import os
import platform
import shutil
import subprocess
import tempfile


def cache_dir(name):
    base = os.environ.get("PHASEGATE_TEST_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "phasegate-tests")
    return os.path.join(base, name)


def _npm_install(folder, package):
    if not shutil.which("npm"):
        raise RuntimeError("no npm: apt-get install npm")
    done = subprocess.run(["npm", "install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund",
                           "--no-save", "--no-package-lock", "--loglevel=error", package],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=900)
    if done.returncode != 0:
        raise RuntimeError("npm install %s failed: %s" % (package, done.stdout))


def _locked(folder):
    """One installation at a time, however many tests want it."""
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    lock = open(folder + ".lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _install_into(folder, is_there, package):
    with _locked(folder):
        if is_there(folder):
            return
        shutil.rmtree(folder, ignore_errors=True)
        # Installed beside and renamed: half an installation is never taken for one.
        half = tempfile.mkdtemp(prefix=os.path.basename(folder) + ".", dir=os.path.dirname(folder))
        try:
            _npm_install(half, package)
            os.rename(half, folder)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise


def install(package, version):
    """The folder with node_modules/PACKAGE of that version; installs it when it isn't there."""
    folder = cache_dir(package.replace("-server", "") + "-" + version)

    def is_there(folder):
        try:
            with open(os.path.join(folder, "node_modules", package, "package.json"), encoding="utf-8") as f:
                return json.load(f)["version"] == version
        except (OSError, ValueError, KeyError):
            return False

    if not is_there(folder):
        _install_into(folder, is_there, package + "@" + version)
        if not is_there(folder):
            raise RuntimeError("%s %s isn't in %s after its installation" % (package, version, folder))
    return folder


def _node_fits(path, at_least, below):
    try:
        out = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20).stdout
        return at_least <= int(out.strip().lstrip("v").split(".")[0]) < below
    except (OSError, ValueError, subprocess.SubprocessError):
        return False


def node(at_least, below):
    """A node of that range: the system's, else the one that npm has as a package."""
    system = shutil.which("node") or shutil.which("nodejs")
    if system and _node_fits(system, at_least, below):
        return system
    package = "node-linux-" + {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    folder = cache_dir("node-%d" % (below - 1))
    binary = os.path.join(folder, "node_modules", package, "bin", "node")

    def fits(_):
        return _node_fits(binary, at_least, below)

    if not fits(folder):
        _install_into(folder, fits, "%s@%d" % (package, below - 1))
    if not fits(folder):
        raise RuntimeError("no node >=%d <%d: %s" % (at_least, below, binary))
    return binary
