# SPDX-License-Identifier: MIT
"""What the program `tandem` does and the library does not: pages, and plans."""

import json
import os
import shutil
import subprocess
import tempfile

from ._library import HERE, BadInput, RunFailed


def find():
    """TANDEM_PROGRAM, the wheel's own, or one on the PATH."""
    named = os.environ.get("TANDEM_PROGRAM")
    own = os.path.join(HERE, "bin", "tandem")
    found = named or (own if os.path.exists(own) else shutil.which("tandem"))
    if not found:
        raise RunFailed("the program tandem was found neither in the package nor on the PATH; TANDEM_PROGRAM may name its file")
    return found


def call(arguments, allowed=(0,), progress=False):
    """Runs the program; what it prints on standard output. Its one sentence becomes the exception."""
    program, environment = find(), dict(os.environ)
    own = os.path.join(HERE, "lib")
    if program.startswith(HERE) and os.path.isdir(own):
        environment["LD_LIBRARY_PATH"] = own + (":" + environment["LD_LIBRARY_PATH"] if environment.get("LD_LIBRARY_PATH") else "")
    done = subprocess.run([program, *arguments], env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=None if progress else subprocess.PIPE, check=False)
    if done.returncode in allowed:
        return done.stdout
    sentence = (done.stderr or "").strip().split("\n")[-1] or f"tandem {arguments[0]} ended with status {done.returncode}"
    raise (BadInput if done.returncode == 2 else RunFailed)(sentence)


def settings(values):
    """{"cluster.replicas": 2} as --set cluster.replicas=2."""
    words = []
    for path, value in (values or {}).items():
        words += ["--set", f"{path}={value if isinstance(value, str) else json.dumps(value)}"]
    return words


def plan(plan, set=None, *, replications=None, confidence=None, threads=None, db=None, progress=False):
    """The cheapest way to meet an SLO: a plan as a dict, a file, or one that is shipped. Returns what `tandem plan --json`
    writes. `progress`: the program's own lines on standard error."""
    with tempfile.TemporaryDirectory() as folder:
        name, answer = plan, os.path.join(folder, "answer.json")
        if isinstance(plan, dict):
            name = os.path.join(folder, "plan.json")
            with open(name, "w", encoding="utf-8") as out:
                json.dump(plan, out)
        words = ["plan", os.fspath(name), "--json", answer, *settings(set)]
        words += ["--db", os.fspath(db)] if db else ["--no-db"]
        for option, value in (("--replications", replications), ("--confidence", confidence), ("-j", threads)):
            words += [option, str(value)] if value is not None else []
        call(words if progress else [*words, "--quiet"], allowed=(0, 3), progress=progress)
        with open(answer, encoding="utf-8") as found:
            return json.load(found)
