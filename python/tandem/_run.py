# SPDX-License-Identifier: MIT
"""Runs and sweeps."""

import array
import collections
import concurrent.futures
import ctypes
import itertools
import json
import math
import os
import tempfile
import threading

from . import _program
from ._library import BadInput, ErrorStruct, Finished, RequestStruct, call, lib

COLUMNS = [name for name, _ in RequestStruct._fields_]
Request = collections.namedtuple("Request", COLUMNS)
NO_STATION = 2**64 - 1  # a response cache has answered


class Requests(collections.abc.Sequence):
    """The requests that were served, in the order in which they finished: by index, or by column."""

    def __init__(self):
        self.columns = {name: array.array({ctypes.c_uint64: "Q", ctypes.c_uint32: "I", ctypes.c_double: "d"}[kind])
                        for name, kind in RequestStruct._fields_}

    def __len__(self):
        return len(self.columns["id"])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return Request(*(column[index] for column in self.columns.values()))

    def __getattr__(self, name):
        """A column, or a latency: ttft_s, e2e_s, queue_s, tpot_s."""
        columns = self.__dict__.get("columns", {})
        if name in columns:
            return columns[name]
        ends = {"ttft_s": ("first_token_s", "arrival_s"), "e2e_s": ("answered_s", "arrival_s"), "queue_s": ("first_scheduled_s", "arrival_s")}
        if name in ends:
            last, first = (columns[c] for c in ends[name])
            return array.array("d", (a - b for a, b in zip(last, first)))
        if name == "tpot_s":
            return array.array("d", ((last - first) / (tokens - 1) if tokens > 1 else math.nan for last, first, tokens in
                                     zip(columns["last_token_s"], columns["first_token_s"], columns["output_tokens"])))
        raise AttributeError(name)

    def numpy(self):
        """Columns as NumPy arrays, without a copy."""
        import numpy
        return {name: numpy.frombuffer(column, dtype=column.typecode) if len(column) else numpy.array([], dtype=column.typecode)
                for name, column in self.columns.items()}

    def pandas(self):
        import pandas
        return pandas.DataFrame(self.numpy())


class Result:
    """What came of a run."""

    def __init__(self, run, requests, point=None):
        self._run = run
        self.requests = requests
        self.point = point or {}
        self.summary = {}
        statistics = list(names(lib.tandem_statistic_name))
        for metric in names(lib.tandem_metric_name):
            found = {s: lib.tandem_metric(run.handle, metric.encode(), s.encode()) for s in statistics}
            self.summary[metric] = {s: v for s, v in found.items() if not math.isnan(v)}
        for name in names(lambda index: lib.tandem_value_name(run.handle, index)):
            self.summary[name] = lib.tandem_value(run.handle, name.encode())

    @property
    def slo_met(self):
        """True, False, or None where no SLO was asked for."""
        return {1: True, 0: False}.get(lib.tandem_slo_met(self._run.handle))

    @property
    def slo_binding(self):
        """The SLO target that is closest to its limit, or farthest beyond."""
        return lib.tandem_slo_binding(self._run.handle).decode()

    def interval(self, metric, statistic):
        """The 95 % interval of a latency, (low, high); nan where there is none."""
        low, high = ctypes.c_double(), ctypes.c_double()
        lib.tandem_interval(self._run.handle, metric.encode(), statistic.encode(), ctypes.byref(low), ctypes.byref(high))
        return low.value, high.value

    def keep(self, db):
        """Writes the run into a database; its number there."""
        return self._run.keep(db)

    def report(self, out=None, format="html"):
        """Writes the run as a page, or in another form of `tandem report --format`. Without `out` the text is returned."""
        with tempfile.TemporaryDirectory() as folder:
            db, file = os.path.join(folder, "run.db"), os.fspath(out) if out else os.path.join(folder, "out")
            number = self.keep(db)
            words = ["report", str(number), "--db", db, "--format", format, "--out", file]
            _program.call(words + (["--quiet", "--no-headroom"] if format == "html" else []))
            if out:
                return file
            with open(file, encoding="utf-8") as text:
                return text.read()


def names(name_at):
    for index in itertools.count():
        name = name_at(index)
        if name is None:
            return
        yield name.decode()


class Handle:
    """A scenario that is open in the library; closed with the last that holds it."""

    def __init__(self, scenario):
        if isinstance(scenario, (dict, list)):
            self.handle = call(lib.tandem_open_text, json.dumps(scenario).encode())
        else:
            self.handle = call(lib.tandem_open, os.fsencode(scenario))
        self.database = None

    def __del__(self):
        if getattr(self, "handle", None):
            lib.tandem_close(self.handle)

    def set(self, path, value):
        text = value if isinstance(value, str) else json.dumps(value)
        call(lib.tandem_set, self.handle, path.encode(), text.encode())

    def keep_in(self, db):
        call(lib.tandem_keep_in, self.handle, os.fsencode(db))
        self.database = os.fspath(db)

    def keep(self, db):
        if self.database != os.fspath(db):
            self.keep_in(db)
        return call(lib.tandem_keep, self.handle)

    def simulate(self, gather, progress, every):
        """In a thread of its own, so that an interrupt from the keyboard ends it."""
        requests = Requests() if gather else None
        appends = [column.append for column in requests.columns.values()] if gather else []
        done, problems = itertools.count(1), []

        def finished(_, at):
            try:
                request = at.contents
                for append, name in zip(appends, COLUMNS):
                    append(getattr(request, name))
                count = next(done)
                if progress and count % every == 0:
                    progress(count)
            except BaseException as problem:  # of the caller's function: it ends the run, and is raised there
                problems.append(problem)
                lib.tandem_stop(self.handle)

        told = Finished(finished) if gather or progress else Finished()
        call(lib.tandem_on_finished, self.handle, told, None, ctypes.sizeof(RequestStruct))
        problem, status = ErrorStruct(), []
        work = threading.Thread(target=lambda: status.append(lib.tandem_simulate(self.handle, ctypes.byref(problem))))
        work.start()
        try:
            work.join()
        except BaseException:
            lib.tandem_stop(self.handle)
            work.join()
            raise
        finally:
            call(lib.tandem_on_finished, self.handle, Finished(), None, ctypes.sizeof(RequestStruct))
        if problems:
            raise problems[0]
        if status[0] != 0:
            raise problem.exception()
        return requests


def run(scenario="default", set=None, *, requests=True, db=None, progress=None, every=1000):
    """Simulates a scenario: a dict, a file, or the name of one that is shipped. `set` changes values by path, as --set
    does. `requests=False` does not gather them, which is faster. `db`: keeps the run there. `progress(finished)` is
    called for every so many finished requests."""
    handle = Handle(scenario)
    for path, value in (set or {}).items():
        handle.set(path, value)
    if db:
        handle.keep_in(db)
    gathered = handle.simulate(requests, progress, every)
    if db:
        handle.keep(db)
    return Result(handle, gathered)


def sweep(scenario="default", vary=None, set=None, *, threads=None, requests=False, progress=None):
    """Simulates every combination of `vary`, {path: [values]}, the last varying fastest, on so many threads (all
    processors). Returns results in that order; `result.point` says which one it is. `progress(done, all)`."""
    if not vary:
        raise BadInput("sweep: expected values to vary, {path: [value, ...]}, found none")
    points = [dict(zip(vary, values)) for values in itertools.product(*vary.values())]

    def simulate(point):
        result = run(scenario, {**(set or {}), **point}, requests=requests)
        result.point = point
        return result

    with concurrent.futures.ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        waiting = [pool.submit(simulate, point) for point in points]
        try:
            for count, _ in enumerate(concurrent.futures.as_completed(waiting), 1):
                if progress:
                    progress(count, len(points))
            return [future.result() for future in waiting]
        except BaseException:
            for future in waiting:
                future.cancel()
            raise
