#!/usr/bin/python3
"""tasks: shared out fairly, each to be done whatever happens to the worker that had begun it, or to the broker."""
from harness import check, threads
from rabbit import broker, good, running

FOR_EVER = 1_000_000_000  # ms for a dot: nobody sees the end of such a task
QUEUE = "messages_ready", "messages_unacknowledged", "consumers"


def names(first, last):
    return [f"task{number}." for number in range(first, last + 1)]


def begun(worker, count):
    """What it says next to have begun: [(fiber, task, whether it was begun before)]."""
    found = [worker.until(r"worker (\d+) begins '(.*?)'( again)?") for _ in range(count)]
    return [(int(each[1]), each[2], bool(each[3])) for each in found]


def done(worker, count):
    return [worker.until(r"worker \d+ has done '(.*)'")[1] for _ in range(count)]


def waits_for(own, ready, unacknowledged, consumers):
    """Until the broker sees the queue like this."""
    while tuple(own.queues(*QUEUE).get("tasks", {}).values()) != (ready, unacknowledged, consumers):
        pass


def fair(own, where):
    """While a slow worker has one task a quick one does all others, and that one too when the slow one is killed."""
    with running(where, "tasks", "work", "--workers", 1, "--dot", FOR_EVER) as slow:
        good(where, "tasks", "send", *names(0, 0))
        check(begun(slow, 1) == [(1, "task0.", False)], f"slow: {slow.lines}")
        good(where, "tasks", "send", *names(1, 20))  # if it were given more than one, here they went to it
        with running(where, "tasks", "work", "--workers", 1, "--dot", 0) as quick:
            check(done(quick, 20) == names(1, 20), f"quick: {quick.lines}")
            good(where, "tasks", "send", *names(21, 60))
            check(done(quick, 40) == names(21, 60), f"quick: {quick.lines}")
            waits_for(own, 0, 1, 2)
            slow.kill()
            check(begun(quick, 1) == [(1, "task0.", True)], f"quick: {quick.lines}")
            check(done(quick, 1) == ["task0."], f"quick: {quick.lines}")
            waits_for(own, 0, 0, 1)


def at_once(own, where, fibers):
    """All fibers of one thread wait for a task at once, and then each has one that it has not acknowledged."""
    with running(where, "tasks", "work", "--workers", fibers, "--dot", FOR_EVER) as worker:
        waits_for(own, 0, 0, fibers)
        check(threads(worker.pid) == 1, f"{threads(worker.pid)} threads")
        good(where, "tasks", "send", *names(1, fibers))
        got = begun(worker, fibers)
        check(sorted(each for each, _, _ in got) == list(range(1, fibers + 1)), f"not one for each: {got}")
        check(sorted(task for _, task, _ in got) == sorted(names(1, fibers)), f"not each of them: {got}")
        waits_for(own, 0, fibers, fibers)
        check(threads(worker.pid) == 1, f"{threads(worker.pid)} threads")
    with running(where, "tasks", "work", "--workers", 2, "--count", fibers, "--dot", 0) as heir:
        lines = heir.ends_well()
        again = [line for line in lines if line.endswith("' again")]
        check(len(again) == fibers and len(lines) == 2 * fibers, f"{len(again)} of {fibers} came again")
    waits_for(own, 0, 0, 0)


def broker_restarted(own, where, count):
    """What `send` says is sent is there after the broker was killed, and so is what was begun."""
    good(where, "tasks", "send", *names(1, count))
    with running(where, "tasks", "work", "--workers", 4, "--dot", FOR_EVER) as worker:
        begun(worker, 4)
        own.restart()
    check(good(where, "tasks", "status") == [f"{count} tasks wait, 0 workers"], "not all of the tasks are there")
    lines = good(where, "tasks", "work", "--workers", 3, "--count", count, "--dot", 0)
    got = [line.split("'")[1] for line in lines if " has done " in line]
    check(sorted(got) == sorted(names(1, count)), f"{len(got)} of {count} done, {len(set(got))} different")
    waits_for(own, 0, 0, 0)


with broker() as own:
    where = own.where("rabbitmq")
    lines = good(where, "tasks", "--dot", 10)
    check(lines[0] == "6 tasks are sent" and len(lines) == 13, f"tasks: {lines}")
    first = [line.split()[1] for line in lines[1:4]]
    check(sorted(first) == ["1", "2", "3"] and all(" begins " in line for line in lines[1:4]), f"three at once: {lines}")
    fair(own, where)
    at_once(own, where, 3)
    at_once(own, where, 300)
    broker_restarted(own, where, 500)
