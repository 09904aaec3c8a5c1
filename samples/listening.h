/* What select_echo and epoll_echo have in common beside what they are about: the option --port, the socket that it asks
 * for, and a descriptor that tells when the program is to end. Plain C for one thread. */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void fail(char const* what) {
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

static void print_usage(FILE* to, char const* what, int port) {
    fprintf(to,
            "%s\n"
            "Usage: %s [OPTIONS]\n\n"
            "Options:\n"
            "  -h,--help    Print this help message and exit\n"
            "  --port N     where to listen on 127.0.0.1; 0: any free port [%d]\n",
            what, program_invocation_short_name, port);
}

/* The port that is asked for, else `port`. Ends the program, with 2, when the options are wrong. */
static int port_of(int argc, char** argv, char const* what, int port) {
    static struct option const options[] = {
        {"help", no_argument, NULL, 'h'}, {"port", required_argument, NULL, 'p'}, {0}};
    int chosen = port, one;
    while ((one = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (one == 'h') {
            print_usage(stdout, what, port);
            if (fflush(stdout) != 0) fail("write to stdout");
            exit(0);
        }
        char* end = NULL;
        long const number = one == 'p' ? strtol(optarg, &end, 10) : -1;
        if (number >= 0 && number <= 65535 && end != optarg && !*end) {
            chosen = (int)number;
            continue;
        }
        if (one == 'p') fprintf(stderr, "--port: %s is no port\n", optarg);
        print_usage(stderr, what, port);
        exit(2);
    }
    if (optind == argc) return chosen;
    fprintf(stderr, "%s: surplus\n", argv[optind]);
    print_usage(stderr, what, port);
    exit(2);
}

/* A socket that listens on 127.0.0.1, and says so. `flags`: SOCK_NONBLOCK, or 0. */
static int listen_on(int port, int flags) {
    char where[64];
    snprintf(where, sizeof where, "listen on 127.0.0.1:%d", port);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int const yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(listener, (struct sockaddr*)&address, size) != 0 || listen(listener, SOMAXCONN) != 0 ||
        getsockname(listener, (struct sockaddr*)&address, &size) != 0)
        fail(where);
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    if (fflush(stdout) != 0) fail("write to stdout");
    return listener;
}

/* Readable when the program has been told to end, by SIGTERM or SIGINT. */
static int ending_signals(void) {
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    int const signals = signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals < 0) fail("signalfd");
    return signals;
}

/* After an accept that failed: there is nothing to make a connection of. Said once. Anything else is the end of a
 * connection that nobody had accepted yet: ECONNABORTED, and on Linux every error that was pending on the new socket
 * (accept(2)). */
static int is_shortage(int error) {
    static int said;
    if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM) return 0;
    if (!said++)
        fprintf(stderr, "%s: accept: %s; serving on, new connections wait (ulimit -n is %ld)\n",
                program_invocation_short_name, strerror(error), sysconf(_SC_OPEN_MAX));
    return 1;
}
