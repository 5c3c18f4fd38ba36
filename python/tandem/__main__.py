# SPDX-License-Identifier: MIT
"""The program of the wheel: `tandem`, or `python -m tandem`."""

import os
import sys

from . import _program
from ._library import HERE


def main():
    program, own = _program.find(), os.path.join(HERE, "lib")
    if program.startswith(HERE):
        before = os.environ.get("LD_LIBRARY_PATH")
        os.environ["LD_LIBRARY_PATH"] = own + (":" + before if before else "")
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
