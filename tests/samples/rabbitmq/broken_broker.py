#!/usr/bin/python3
"""What the broker refuses, and its end in the middle of everything: one line that says what and where, and status 1."""
import re

from harness import check
from rabbit import broker, good, run, running


def refused(where, words, reason, **more):
    program, *arguments = words
    status, _, err = run(where, program, *arguments, **more)
    check(status == 1 and err.startswith(f"{program}: {reason}") and len(err.splitlines()) == 1, f"{words} at {where}: {status}, {err!r}")


def gone_in_the_middle(own, where):
    receivers = [
        (["hello", "receive"], "received 'Hello World!'", "hello"),
        (["tasks", "work", "--workers", 50], None, "tasks"),
        (["publish_subscribe", "receive"], "this listens", "amq.gen-.*"),
        (["direct", "receive", "info"], "this listens", "amq.gen-.*"),
        (["topic", "receive", "#"], "this listens", "amq.gen-.*"),
    ]
    under_way = [(running(where, *words), first, queue) for words, first, queue in receivers]
    for each, first, _ in under_way:
        if first:
            each.until(first)
    while own.queues("consumers").get("tasks") != {"consumers": 50}:
        pass
    own.kill()
    for each, _, queue in under_way:
        status, rest, err = each.ended()
        check(status == 1 and rest == [], f"{each.name}: {status}, {rest}, {err!r}")
        check(re.fullmatch(rf"{each.name.split()[0]}: receive from queue {queue} at {where}: "
                           r"(connection closed unexpectedly|Connection reset by peer)\n", err), f"{each.name}: {err!r}")


with broker() as own:
    where = own.where("rabbitmq")
    good(where, "hello", "send", "x")

    refused(f"guest:wrong@{where}", ["hello"], "log in as guest: 403 ACCESS_REFUSED - Login was refused")
    refused(f"amqp://nobody:x@{where}", ["tasks"], "log in as nobody: 403 ACCESS_REFUSED")
    refused(f"amqp://guest:guest@{where}/none", ["crawl"], "log in as guest: 530 NOT_ALLOWED - vhost none not found")
    refused(where, ["tasks", "send", "x", "--queue", "hello"], "declare queue hello: 406 PRECONDITION_FAILED")
    refused(where, ["tasks", "work", "--queue", "hello", "--workers", 20], "declare queue hello: 406 PRECONDITION_FAILED")
    refused(where, ["tasks", "status", "--queue", "none"], "look at queue none: 404 NOT_FOUND")
    refused(where, ["hello", "--queue", "amq.own"], "declare queue amq.own: 403 ACCESS_REFUSED")
    refused(where, ["hello", "--queue", "x" * 300], "declare queue xxx")
    good(f"amqp://guest:guest@{where}/%2F", "hello", "send", "y")

    # What could not be written is not acknowledged.
    with open("/dev/full", "w") as full:
        refused(where, ["hello", "receive", "--count", 1], "write to stdout: No space left on device", stdout=full)
        good(where, "tasks", "send", "z")
        for words in ["hello"], ["hello", "send"], ["tasks"], ["tasks", "status"], ["publish_subscribe"], ["direct"], ["topic"], ["crawl"]:
            refused(where, words, "write to stdout: No space left on device", stdout=full)
    ready = own.queues("messages_ready", "messages_unacknowledged")
    check(ready.keys() == {"hello", "tasks"}, f"queues are left: {ready}")
    check(ready["hello"] == {"messages_ready": 3, "messages_unacknowledged": 0}, f"{ready}")
    check(ready["tasks"] == {"messages_ready": 7, "messages_unacknowledged": 0}, f"{ready}")

    good(where, "tasks", "work", "--count", 7, "--dot", 0)
    gone_in_the_middle(own, where)
