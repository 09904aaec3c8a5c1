#!/usr/bin/python3
"""publish_subscribe, direct and topic: every listener gets what its queue is bound to, all of it, in order, and no more."""
import contextlib

from harness import check
from rabbit import broker, good, running

LAST = "that is all"


def delivered(where, program, bindings, messages, last):
    """Listeners with these bindings each get those of `messages`, key and text, that they are expected to get."""
    with contextlib.ExitStack() as stack:
        listeners = []
        for keys, expected in bindings:
            # The last message goes to all: what is behind those that are expected would come before it.
            one = stack.enter_context(running(where, program, "receive", *keys, "--count", len(expected) + len(last)))
            one.until("this listens")
            listeners.append((one, keys, expected))
        for words in (*messages, *last):
            good(where, program, "emit", *words)
        for one, keys, expected in listeners:
            got = [tuple(line.split("'")[1:2]) for line in one.ends_well()]
            wanted = [(words[-1],) for words in (*expected, *last)]
            check(got == wanted, f"{program} {keys} got {got}, not {wanted}")


def demo(where, program, expected):
    lines = good(where, program)
    for listener, texts in expected.items():
        got = [line.split("'")[1] for line in lines if line.startswith(f"{listener} got ")]
        check(got == texts, f"{program}: {listener} got {got}")
    check(sum(" got " in line for line in lines) == sum(map(len, expected.values())), f"{program}: {lines}")


with broker() as own:
    where = own.where("rabbitmq")

    hello = ["Hello", "everybody", "out there"]
    demo(where, "publish_subscribe", {"one": hello, "two": hello, "three": hello})
    demo(where, "direct", {"the screen": ["all is well", "it is hot", "it burns"], "the alarm": ["it burns"]})
    demo(where, "topic", {"all": ["a panic", "a device", "no clock"], "the kernel": ["a panic", "a device"],
                          "what is critical": ["a panic", "no clock"]})

    good(where, "publish_subscribe", "emit", "nobody listens")
    texts = [(f"text {number}",) for number in range(5)]
    delivered(where, "publish_subscribe", [([], texts)] * 3, texts, [(LAST,)])

    info, warning, error, other = (("info", "i"), ("warning", "w"), ("error", "e"), ("Error", "no such word"))
    delivered(where, "direct",
              [(["error"], [error, error]), (["info", "error"], [info, error, error]),
               (["info", "warning", "error"], [info, warning, error, error])],
              [info, other, warning, error, ("error.disk", "no pattern"), error], [("error", LAST)])

    keys = ["kern.critical", "kern.info", "cron.critical", "kern", "kern.disk.critical", "critical"]
    messages = {key: (key, f"of {key}") for key in keys}
    bindings = {
        ("#",): keys,
        ("kern.*",): ["kern.critical", "kern.info"],
        ("*.critical",): ["kern.critical", "cron.critical"],
        ("kern.#",): ["kern.critical", "kern.info", "kern", "kern.disk.critical"],
        ("kern.*", "*.critical"): ["kern.critical", "kern.info", "cron.critical"],  # once, though both fit
        ("#.critical",): ["kern.critical", "cron.critical", "kern.disk.critical", "critical"],
        ("*",): ["kern", "critical"],
    }
    # The key of the last one is bound besides.
    delivered(where, "topic", [([*patterns, "the.end.of.it"], [messages[key] for key in fit]) for patterns, fit in bindings.items()],
              messages.values(), [("the.end.of.it", LAST)])
    while own.queues():  # those of the listeners have gone with them
        pass
