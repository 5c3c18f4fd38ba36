# SPDX-License-Identifier: MIT
"""libtandem by ctypes: include/tandem/tandem.h in Python's words."""

import ctypes
import ctypes.util
import glob
import os

HERE = os.path.dirname(os.path.abspath(__file__))


class Error(Exception):
    """Something went wrong; the text is one sentence."""


class BadInput(Error, ValueError):
    """A scenario, a path or a value is wrong."""


class IOFailure(Error, OSError):
    """A file cannot be read or written."""


class NoMemory(Error, MemoryError):
    """Memory is short."""


class RunFailed(Error, RuntimeError):
    """The run itself failed."""


KINDS = {1: BadInput, 2: IOFailure, 3: NoMemory, 4: RunFailed}


class ErrorStruct(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("text", ctypes.c_char * 1024)]

    def exception(self):
        return KINDS.get(self.code, Error)(self.text.decode("utf-8", "replace"))


class RequestStruct(ctypes.Structure):
    _fields_ = ([("id", ctypes.c_uint64), ("station", ctypes.c_uint64)]
                + [(name, ctypes.c_uint32) for name in ("prompt_tokens", "output_tokens", "cached_tokens", "preemptions")]
                + [(name, ctypes.c_double) for name in ("arrival_s", "first_scheduled_s", "first_token_s", "last_token_s", "answered_s")])


Finished = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(RequestStruct))
Run, Text, Size, Problem = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ErrorStruct)

SIGNATURES = {
    "tandem_version": (Text, []),
    "tandem_api_major": (ctypes.c_int, []),
    "tandem_plugin_load": (ctypes.c_int, [Text, Problem]),
    "tandem_open": (Run, [Text, Problem]),
    "tandem_open_text": (Run, [Text, Problem]),
    "tandem_set": (ctypes.c_int, [Run, Text, Text, Problem]),
    "tandem_on_finished": (ctypes.c_int, [Run, Finished, ctypes.c_void_p, Size, Problem]),
    "tandem_simulate": (ctypes.c_int, [Run, Problem]),
    "tandem_stop": (None, [Run]),
    "tandem_metric": (ctypes.c_double, [Run, Text, Text]),
    "tandem_interval": (None, [Run, Text, Text, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double)]),
    "tandem_value": (ctypes.c_double, [Run, Text]),
    "tandem_metric_name": (Text, [Size]),
    "tandem_statistic_name": (Text, [Size]),
    "tandem_value_name": (Text, [Run, Size]),
    "tandem_slo_met": (ctypes.c_int, [Run]),
    "tandem_slo_binding": (Text, [Run]),
    "tandem_keep_in": (ctypes.c_int, [Run, Text, Problem]),
    "tandem_keep": (ctypes.c_int64, [Run, Problem]),
    "tandem_close": (None, [Run]),
}


def find():
    """TANDEM_LIBRARY, the wheel's own, or what the system has."""
    named = os.environ.get("TANDEM_LIBRARY")
    own = os.path.join(HERE, "lib", "libtandem.so.1")
    return named or (own if os.path.exists(own) else ctypes.util.find_library("tandem") or "libtandem.so.1")


def bring_needs():
    """The libraries that the wheel's own needs, in an order in which each finds its own."""
    waiting = [f for f in sorted(glob.glob(os.path.join(HERE, "lib", "*.so*"))) if "libtandem" not in f]
    while waiting:
        left = []
        for file in waiting:
            try:
                ctypes.CDLL(file, mode=ctypes.RTLD_GLOBAL)
            except OSError:
                left.append(file)
        if len(left) == len(waiting):
            return
        waiting = left


def load():
    path = find()
    if path.startswith(HERE):
        bring_needs()
    try:
        library = ctypes.CDLL(path)
    except OSError as problem:
        raise ImportError(f"libtandem cannot be loaded: {problem}; TANDEM_LIBRARY may name its file") from None
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    if library.tandem_api_major() != 1:
        raise ImportError(f"{path}: expected version 1 of the library's interface, found {library.tandem_api_major()}")
    return library


lib = load()


def check(status, problem):
    """The exception of a call that has failed."""
    if status is None or status == -1:
        raise problem.exception()
    return status


def call(function, *arguments):
    problem = ErrorStruct()
    return check(function(*arguments, ctypes.byref(problem)), problem)


def version():
    return lib.tandem_version().decode()


def load_plugin(path):
    """Loads a plug-in for all runs of this process. Its code is trusted from then on."""
    call(lib.tandem_plugin_load, os.fsencode(path))
