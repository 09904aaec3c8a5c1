#!/usr/bin/python3
"""crawl: three workers with two hundred fibers each hold six hundred requests open; one of them is killed; no page is
missing, and none was fetched twice but those that it had begun."""
from harness import check, directory, threads
from rabbit import broker, good, running
from web_site import Site, link, page, stored

FIBERS = 200
PATIENCE = 10_000  # seconds: what the site holds is held however slow this machine is

# The first page refers to more than there are fibers; those to one more each, to each other, and to what is not to be
# followed. The links of /long do not fit into one frame of AMQP.
pages = {"/": page("first", [link(f"/p/{n}") for n in range(700)] + [link("odd/"), link("/long")])}
for n in range(700):
    pages[f"/p/{n}"] = page(f"p {n}", [link(f"../q/{n % 100}"), link("/"), link(f"{(n + 1) % 700}#there"), link("http://127.0.0.1:1/")])
for n in range(100):
    pages[f"/q/{n}"] = page(f"q {n}", [link("/p/1"), link("mailto:somebody@127.0.0.1"), link("https://127.0.0.1/"), link("//nowhere.invalid/")])
pages["/odd/"] = page("odd", ["<A HREF='one'>", "<a class=x href=two>", '<a href="?a=1&amp;b=2">', "<a href=''>", "<a href='not closed"])
pages.update((path, page(path, [])) for path in ("/odd/one", "/odd/two", "/odd/?a=1&b=2"))
long = [f"/long?{n}{'x' * 7000}" for n in range(20)]
pages["/long"] = page("long", map(link, long))
pages.update((path, page(path, [])) for path in long)

with broker() as own:
    where = own.where("rabbitmq")
    with Site(pages, free=["/"]) as site, directory() as place:
        places = [place / name for name in ("a", "b", "c")]
        workers = [running(where, "crawl", "work", "--fibers", FIBERS, "--patience", PATIENCE, "--dir", each) for each in places]
        victim, *others = workers
        while own.queues("consumers").get("crawl.urls") != {"consumers": 3 * FIBERS}:
            pass
        leader = running(where, "crawl", "lead", site.url("/"))

        # Each fiber holds one page's message and waits for the site, in libcurl's call.
        held = site.wait_until_held(3 * FIBERS)
        by = site.owners([each.pid for each in workers])
        for each in workers:
            requests = sum(pid == each.pid for pid in by.values())
            check(requests == FIBERS, f"{each.name} has {requests} requests open")
            check(threads(each.pid) == 1, f"{each.name} has {threads(each.pid)} threads")
        now = own.queues("messages_ready", "messages_unacknowledged")["crawl.urls"]
        check(now == {"messages_ready": 702 - 3 * FIBERS, "messages_unacknowledged": 3 * FIBERS}, f"{now}")

        # Meanwhile another crawl begins and ends.
        lines = good(where, "crawl")
        check("121 pages fetched, 0 failed" in lines, f"crawl of its own site: {lines[-3:]}")

        victim.kill()
        begun = {path for path, port in held if by[port] == victim.pid}
        site.release()
        check(leader.ends_well() == [f"{len(pages)} pages fetched, 0 failed"], f"{leader.lines}")
        fetched = [int(each.ends_well()[-1].removeprefix("this worker: ").split()[0]) for each in others]

        check(site.asked == {path: 2 if path in begun else 1 for path in pages}, "not each page once")
        check(sorted(stored(*places)) == sorted(pages.values()), f"{len(stored(*places))} pages are stored, of {len(pages)}")
        check(sum(fetched) == len(pages) - len(stored(places[0])), f"{fetched} fetched")
        check(all(len(list(each.iterdir())) == count for each, count in zip(places[1:], fetched)), "something half is left")
        check(not own.queues(), f"queues are left: {own.queues()}")
