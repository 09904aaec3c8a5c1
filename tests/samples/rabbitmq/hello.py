#!/usr/bin/python3
"""hello: what is sent is received, whole and in order, whoever comes first; one thread waits and sends at once."""
import json

from harness import check, threads
from rabbit import broker, good, run, running

with broker() as own:
    where = own.where("rabbitmq")

    # Alone, it waits for what it sends only then: a call that blocked the thread would never return.
    out = good(where, "hello")
    check(out[0] == "waiting for messages" and sorted(out[1:]) == ["received 'Hello World!'", "sent 'Hello World!'"],
          f"hello: {out}")

    # The receiver first; the queue is empty behind it.
    texts = ["", "a", "ä\n'\"\\", "x" * 100_000, "last"]
    with running(where, "hello", "receive", "--count", len(texts)) as receiver:
        receiver.until("waiting for messages")
        check(threads(receiver.pid) == 1, f"{threads(receiver.pid)} threads")
        out = good(where, "hello", "send", *texts[:3])
        check(len(out) == 4, f"send: {out}")  # one of them has two lines
        good(where, "hello", "send", *texts[3:4])
        good(where, "hello", "send", *texts[4:])
        got = "\n".join(receiver.ends_well())
    check(got == "\n".join(f"received '{text}'" for text in texts), f"received {got[:100]!r}…")

    # The sender first; two that receive share what is there.
    numbers = [str(number) for number in range(50)]
    good(where, "hello", "send", *numbers)
    got = good(where, "hello", "receive", "--count", 20) + good(where, "hello", "receive", "--count", 30)
    got = [line for line in got if line.startswith("received")]
    check(got == [f"received '{number}'" for number in numbers], f"received {got}")

    # Nothing says that the queue outlives the broker, and it does not.
    good(where, "hello", "send", "lost")
    check(own.queues("messages_ready", "durable") == {"hello": {"messages_ready": 1, "durable": False}}, "the queue is not there")
    own.restart()
    check(own.queues() == {}, "the queue is still there")
    with running(where, "hello", "receive", "--count", 1) as receiver:
        receiver.until("waiting for messages")
        good(where, "hello", "send", "found")
        check(receiver.ends_well() == ["received 'found'"], f"{receiver.lines}")
