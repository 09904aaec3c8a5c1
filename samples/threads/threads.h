/* What these programs have in common: how many threads there are and how often each does what it does, and that they
 * are begun and joined. Plain pthreads: nothing here knows of coir. */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { most_threads = 1000, most_times = 100000 };

static int threads = 4, times = 100;
static struct numbered {
    pthread_t thread;
    int number; /* from 1 on */
} all[most_threads];

/* The calls of pthreads return the error. */
static void must(char const* what, int error) {
    if (!error) return;
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(error));
    exit(1);
}

static void begin_all(void* (*body)(void*)) {
    for (int i = 0; i < threads; ++i) {
        all[i].number = i + 1;
        must("pthread_create", pthread_create(&all[i].thread, NULL, body, &all[i].number));
    }
}

static inline void join_all(void) {
    for (int i = 0; i < threads; ++i) must("pthread_join", pthread_join(all[i].thread, NULL));
}

static int finish(void) {
    if (fflush(stdout) != 0 || ferror(stdout)) must("write to stdout", errno ? errno : EIO);
    return 0;
}

/* Sets `threads` and `times`. Ends the program, with 2, when the options are wrong. */
static void take_options(int argc, char** argv, char const* what) {
    static struct option const options[] = {{"help", no_argument, NULL, 'h'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"times", required_argument, NULL, 'n'},
                                            {0}};
    int const usual[] = {threads, times};
    int one, is_right = 1;
    while (is_right && (one = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (one == 'h' || one == '?') {
            is_right = 0;
            break;
        }
        char* end;
        long const number = strtol(optarg, &end, 10);
        is_right = end != optarg && !*end && number >= 1 && number <= (one == 't' ? most_threads : most_times);
        *(one == 't' ? &threads : &times) = (int)number;
    }
    if (is_right && optind == argc) return;
    int const is_asked_for = !is_right && one == 'h';
    fprintf(is_asked_for ? stdout : stderr,
            "%s\n"
            "Usage: %s [OPTIONS]\n\n"
            "Options:\n"
            "  -h,--help      Print this help message and exit\n"
            "  --threads N    how many there are, 1 to %d [%d]\n"
            "  --times N      how often each does it, 1 to %d [%d]\n",
            what, program_invocation_short_name, most_threads, usual[0], most_times, usual[1]);
    exit(is_asked_for ? finish() : 2);
}
