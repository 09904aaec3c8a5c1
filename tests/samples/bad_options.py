#!/usr/bin/python3
"""Bad options: usage on stderr, nothing on stdout, exit status 2. --help is none."""
from harness import check, run

for program, *options in [
    ["downloader"],
    ["downloader", "--nonsense", "http://127.0.0.1/x"],
    ["downloader", "--jobs", "0", "http://127.0.0.1/x"],
    ["downloader", "--jobs", "-3", "http://127.0.0.1/x"],
    ["downloader", "--jobs", "many", "http://127.0.0.1/x"],
    ["downloader", "--timeout", "0", "http://127.0.0.1/x"],
    ["downloader", "http://127.0.0.1/x", "--dir"],
    ["echo_server", "--port", "70000"],
    ["echo_server", "surplus"],
    ["echo_client", "--connections", "0"],
    ["echo_client", "--size", "70000"],
    ["echo_client", "--messages", "x"],
    ["greenlets", "surplus"],
    ["generators", "--items", "-1"],
    ["generators", "--items", "many"],
    ["traffic_light", "--cars", "0"],
    ["traffic_light", "--red", "-1"],
    ["producer_consumer", "--room", "0"],
    ["producer_consumer", "surplus"],
    ["limited", "--at-once", "0"],
    ["limited", "--tasks", "all"],
    ["counter", "--fibers", "0"],
    ["copy_folder"],
    ["copy_folder", "from"],
    ["copy_folder", "from", "to", "surplus"],
    ["copy_folder", "from", "to", "--jobs", "0"],
    ["process_pool", "--workers", "0"],
    ["process_pool", "--crash", "all"],
    ["process_pool", "surplus"],
    ["select_echo", "--port", "65536"],
    ["select_echo", "--port", "many"],
    ["epoll_echo", "--nonsense"],
    ["epoll_echo", "--port"],
    ["epoll_echo", "surplus"],
    ["udp_chat", "--port", "70000"],
    ["udp_chat", "surplus"],
]:
    status, out, err = run(program, *options)
    asked = f"{program} {' '.join(options)}"
    check(status == 2, f"{asked}: exit status {status}")
    check("Usage: " in err and out == "", f"{asked}: stdout {out!r}, stderr {err!r}")

for program in ("downloader", "echo_server", "echo_client", "greenlets", "generators", "traffic_light", "producer_consumer",
                "limited", "counter", "copy_folder", "process_pool", "udp_chat", "select_echo", "epoll_echo"):
    status, out, err = run(program, "--help")
    check(status == 0 and "Usage: " in out and err == "", f"{program} --help: {status}, {out!r}, {err!r}")
