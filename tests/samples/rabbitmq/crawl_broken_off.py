#!/usr/bin/python3
"""crawl: its leader is killed, the broker is, a directory goes, pages fail: it goes on, or says why not, and loses none."""
import contextlib
import re

from harness import check, directory
from rabbit import broker, good, run, running
from web_site import Site, link, page, stored

pages = {f"/{n}": page(f"{n}", [link(f"/{3 * n + each}") for each in (1, 2, 3) if 3 * n + each < 200]) for n in range(200)}
FIRST = ["/0", *(f"/{n}" for n in range(1, 13))]  # three generations
OVER = f"{len(pages)} pages fetched, 0 failed"


def work(where, place, patience=10_000):
    return running(where, "crawl", "work", "--fibers", 50, "--dir", place, "--patience", patience)


def lead(where, *first):
    return running(where, "crawl", "lead", *first)


def settled(own, acted_upon):
    """Until there is no report that the leader has not acted upon, and so many that it has."""
    columns = "messages_ready", "messages_unacknowledged"
    while True:
        now = own.queues(*columns)
        reports, log = ({**now.get(name, dict.fromkeys(columns, -1))} for name in ("crawl.reports", "crawl.log"))
        if sum(reports.values()) == 0 and sum(log.values()) == acted_upon:
            return


def until_nobody_leads(where):
    while "nobody leads" not in good(where, "crawl", "status")[0]:
        pass


def leader_killed(own, where):
    with Site(pages, free=FIRST) as site, directory() as place, work(where, place) as worker:
        with lead(where, site.url("/0")) as leader:
            held = site.wait_until_held(27)  # all of the fourth generation
            settled(own, 1 + len(FIRST))
            status, out, err = run(where, "crawl", "lead", site.url("/0"))
            check(status == 1 and out == "" and err.startswith("crawl: consume from queue crawl.reports: 403 ACCESS_REFUSED"),
                  f"a second leader: {status}, {out!r}, {err!r}")
            leader.kill()
        until_nobody_leads(where)
        # What may come late or twice: in the log, from the killed one; a report, from a worker; one of another crawl.
        again = [f"{site.url(path)}\n\n{site.url('/2')}\n" for path in ("/0", "/1")]
        good(where, "tasks", "send", "--queue", "crawl.log", *again)
        good(where, "tasks", "send", "--queue", "crawl.reports", *again, "http://127.0.0.1:1/\n\nhttp://127.0.0.1:1/x\n")
        site.release()
        while own.queues("messages_ready")["crawl.reports"] != {"messages_ready": len(held) + 3}:
            pass  # the worker goes on as long as there are pages
        with lead(where) as leader:
            check(leader.ends_well() == [OVER], f"{leader.lines}")
        worker.ends_well()
        check(sorted(stored(place)) == sorted(pages.values()), f"{len(stored(place))} pages are stored")
        check(site.asked == dict.fromkeys(pages, 1), "not each page once")


def broker_killed(own, where):
    with Site(pages, free=FIRST) as site, directory() as place:
        with work(where, place) as worker, lead(where, site.url("/0")) as leader:
            held = site.wait_until_held(27)
            settled(own, 1 + len(FIRST))
            own.restart()
            for each in worker, leader:
                status, _, err = each.ended()
                check(status == 1 and len(err.splitlines()) == 1 and err.startswith("crawl: receive from queue crawl.") and where in err,
                      f"{each.name}: {status}, {err!r}")
        site.release()
        with work(where, place) as worker, lead(where) as leader:
            check(leader.ends_well() == [OVER], f"{leader.lines}")
            worker.ends_well()
        check(sorted(stored(place)) == sorted(pages.values()), f"{len(stored(place))} pages are stored")
        begun = {path for path, _ in held}
        check(site.asked == {path: 2 if path in begun else 1 for path in pages}, "not each page once")


def directory_gone(own, where):
    """A worker that cannot store a page ends, and the page is another one's."""
    with Site(pages, free=pages) as site, directory() as place, directory() as gone:
        with work(where, gone / "x") as worker:
            while own.queues("consumers").get("crawl.urls") != {"consumers": 50}:
                pass
            (gone / "x").rmdir()
            with lead(where, site.url("/0")) as leader:
                status, _, err = worker.ended()
                check(status == 1 and err.startswith(f"crawl: open {gone}/x/.") and err.endswith(": No such file or directory\n"),
                      f"no directory: {status}, {err!r}")
                with work(where, place) as worker:
                    check(leader.ends_well() == [OVER], f"{leader.lines}")
                    worker.ends_well()
        check(sorted(stored(place)) == sorted(pages.values()), f"{len(stored(place))} pages are stored")


def half(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"<a href=/nobody-reads-this>")


def away(handler):
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:1/")
    handler.end_headers()


def for_ever(handler):
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while not handler.server.over.wait(0.01):
            handler.wfile.write(b"x")


def fail(where, world, reasons, patience):
    """A crawl of a site with pages that fail, each for its reason, and some that do not."""
    good_ones = [content for content in world.values() if not callable(content)]
    told = f"{len(good_ones)} pages fetched, {len(reasons)} failed"
    with Site(world) as site, directory() as place:
        site.release()
        with work(where, place, patience) as worker, lead(where, site.url(next(iter(world)))) as leader:
            status, out, err = leader.ended()
            check(status == 1 and out == [told], f"{status}, {out}, {err}")
            errors = dict(line.split(": ", 1) for line in err.splitlines())
            check(errors.keys() == {site.url(path) for path in reasons}, f"{err}")
            for path, reason in reasons.items():
                check(re.search(reason, errors[site.url(path)]), f"{path}: {errors[site.url(path)]}")
            check(worker.ends_well()[-1] == f"this worker: {told}", f"{worker.lines}")
        check(sorted(stored(place)) == sorted(good_ones), f"{list(place.iterdir())}")
        check(len(list(place.iterdir())) == len(good_ones), f"something half is left: {list(place.iterdir())}")


def pages_fail(where):
    bad = {"/half": half, "/away": away}
    fail(where, {"/": page("first", map(link, ["/good", "/missing", *bad])), "/good": page("good", []), **bad},
         {"/missing": "404", "/half": "transfer closed", "/away": "Connection refused"}, 10_000)
    # On a busy machine this one may be too late already before its first byte.
    fail(where, {"/late": for_ever}, {"/late": "took longer than 3 s|timed out|too slow"}, 3)


def forgotten(where):
    status, _, err = run(where, "crawl", "lead")
    check(status == 1 and "name a URL" in err, f"nothing to lead: {status}, {err!r}")
    with directory() as place, work(where, place) as worker:
        with lead(where, "http://127.0.0.1:1/") as leader:
            leader.ended()
        check(worker.ends_well()[-1] == "this worker: 0 pages fetched, 1 failed", f"{worker.lines}")
    good(where, "crawl", "forget")
    status, _, err = run(where, "crawl", "status")
    check(status == 1 and err.startswith("crawl: look at queue crawl.urls: 404 NOT_FOUND"), f"status: {status}, {err!r}")


with broker() as own:
    where = own.where("rabbitmq")
    leader_killed(own, where)
    broker_killed(own, where)
    directory_gone(own, where)
    pages_fail(where)
    forgotten(where)
    check(not own.queues(), f"queues are left: {own.queues()}")
