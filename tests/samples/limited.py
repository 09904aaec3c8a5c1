#!/usr/bin/python3
"""As many are at work as may be, never more, and they begin in the order in which they came."""
from harness import check, run


def check_log(tasks, at_once, out):
    asked = f"--tasks {tasks} --at-once {at_once}"
    *lines, last = out.splitlines()
    begun, at_work, most = [], set(), 0
    for line in lines:
        number = int(line.split()[1])
        if line.endswith(" ends"):
            check(line == f"task {number} ends" and number in at_work, f"{asked}: {line!r}")
            at_work.remove(number)
        else:
            at_work.add(number)
            check(line == f"task {number} begins, {len(at_work)} at work", f"{asked}: {line!r}")
            begun.append(number)
        most = max(most, len(at_work))
    check(begun == list(range(1, tasks + 1)) and not at_work, f"{asked}: begun {begun}, not ended {at_work}")
    check(most == min(tasks, at_once) and last == f"never more than {most} at once", f"{asked}: {most}, {last!r}")


for tasks, at_once in (20, 5), (0, 1), (1, 1), (10, 1), (500, 33), (20, 100):
    options = ["--tasks", tasks, "--at-once", at_once] if tasks != 20 or at_once != 5 else []
    status, out, err = run("limited", *options, preload=False)
    check((status, err) == (0, ""), f"{options}: {status}, {err!r}")
    check_log(tasks, at_once, out)

with open("/dev/full", "w") as full:
    status, _, err = run("limited", preload=False, stdout=full)
check(status == 1 and err.startswith("limited: ") and "write" in err, f"/dev/full: {status}, {err!r}")
