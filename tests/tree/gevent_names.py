#!/usr/bin/python3
"""Every public name of gevent and greenlet stands in the table of hub/README.md, with what coir has for it or why not."""
import importlib
import pathlib
import re
import sys

import gevent
import greenlet

table = (pathlib.Path(sys.argv[1]) / "hub/README.md").read_text().split("## gevent's and greenlet's names")[1]
said = set(re.findall(r"`([^`]+)`", "\n".join(row.split("|")[1] for row in table.splitlines() if row.startswith("|"))))


def public(what):
    return {name for name in dir(what) if not name.startswith("_")}


# What a module exports, and the attributes of its classes. What is Python's and only passed on is not gevent's.
wanted = {"gevent": set(gevent.__all__), "greenlet": public(greenlet) - {"absolute_import", "division", "print_function"}}
wanted["greenlet.greenlet"] = public(greenlet.greenlet)
for module, classes in {
    "event": ["Event", "AsyncResult"],
    "lock": ["Semaphore", "BoundedSemaphore", "DummySemaphore", "RLock"],
    "queue": ["SimpleQueue", "Queue", "PriorityQueue", "LifoQueue", "JoinableQueue", "Channel"],
    "pool": ["Group", "Pool", "PoolFull"],
    "threadpool": ["ThreadPool", "ThreadResult", "ThreadPoolExecutor"],
    "timeout": ["Timeout"],
    "local": ["local"],
    "hub": ["Hub"],
    "core": ["loop"],
    "greenlet": ["Greenlet"],
    "exceptions": ["LoopExit"],
    "util": [],
}.items():
    loaded = importlib.import_module("gevent." + module)
    if module not in ("hub", "greenlet"):
        wanted[module] = set(getattr(loaded, "__all__", ()))
    for name in classes:
        wanted[f"{module}.{name}"] = {name} | public(getattr(loaded, name))

of_exceptions = public(BaseException) - {"add_note", "with_traceback"}
missing = [f"{where}: {name}" for where, names in sorted(wanted.items())
           for name in sorted(names - said - of_exceptions)]
if missing:
    sys.exit("hub/README.md does not say what there is for\n  " + "\n  ".join(missing))
print(f"{len(set().union(*wanted.values()))} names")
