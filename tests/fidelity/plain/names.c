/* waits: getaddrinfo */
/* Names of hosts and services, all of them known on this machine. */
#include "plain.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

static char text[NI_MAXHOST], service[NI_MAXSERV];

static void look_up(char const* host, char const* port, int family, int type, int flags) {
    struct addrinfo const hints = {.ai_family = family, .ai_socktype = type, .ai_flags = flags};
    struct addrinfo* found = NULL;
    int error;
    do error = getaddrinfo(host, port, &hints, &found);
    while (IS_CAREFUL && error == EAI_SYSTEM && errno == EINTR);
    if (IS_CAREFUL && (error == EAI_MEMORY || (error == EAI_SYSTEM && is_hard(errno)))) give_up("getaddrinfo");
    printf("%s %s: %s\n", host ? host : "-", port ? port : "-", error ? gai_strerror(error) : "found");
    for (struct addrinfo* each = error ? NULL : found; each; each = each->ai_next) {
        error = getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, service, sizeof service,
                            NI_NUMERICHOST | NI_NUMERICSERV);
        if (error && IS_CAREFUL) give_up("getnameinfo");
        printf("  %s %s, type %d, name %s\n", text, service, each->ai_socktype, each->ai_canonname ? each->ai_canonname : "-");
    }
    if (found) freeaddrinfo(found);
}

static void a_child_looks_up(void) { look_up("localhost", "80", AF_INET, SOCK_STREAM, 0); }

static void* a_thread_looks_up(void* nothing) {
    struct addrinfo* found = NULL;
    struct addrinfo const hints = {.ai_family = AF_INET};
    int const error = getaddrinfo("localhost", NULL, &hints, &found);
    if (error == 0) freeaddrinfo(found);
    (void)nothing;
    return error ? &text : NULL;
}

int main(void) {
    look_up("localhost", "http", AF_INET, SOCK_STREAM, AI_CANONNAME);
    look_up("127.0.0.1", "80", AF_UNSPEC, SOCK_STREAM, 0);
    look_up("::1", "443", AF_INET6, SOCK_DGRAM, AI_NUMERICHOST);
    look_up(NULL, "7", AF_INET, SOCK_STREAM, AI_PASSIVE);
    look_up("not-an-address", "80", AF_INET, SOCK_STREAM, AI_NUMERICHOST);
    look_up("127.0.0.1", "no-such-service", AF_INET, SOCK_STREAM, 0);
    look_up(NULL, NULL, AF_INET, SOCK_STREAM, 0);
    look_up("localhost", "80", 77, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int error = getnameinfo((struct sockaddr*)&address, sizeof address, text, sizeof text, service, sizeof service, 0);
    if (IS_CAREFUL && error) give_up("getnameinfo");
    printf("getnameinfo %d: %s %s\n", error, error ? "-" : text, error ? "-" : service);
    error = getnameinfo((struct sockaddr*)&address, sizeof address, text, 3, NULL, 0, NI_NUMERICHOST);
    printf("getnameinfo %s\n", gai_strerror(error));
    struct hostent const* const host = gethostbyname("localhost");
    if (IS_CAREFUL && !host) give_up("gethostbyname");
    printf("gethostbyname: %s\n", host ? inet_ntoa(*(struct in_addr*)host->h_addr_list[0]) : "-");
    struct servent const* const known = getservbyname("https", "tcp");
    if (IS_CAREFUL && !known) give_up("getservbyname");
    printf("getservbyname: %d\n", known ? ntohs((unsigned short)known->s_port) : -1);
    ended(child(a_child_looks_up));
    pthread_t thread;
    void* result = &text;
    RETURNS(pthread_create(&thread, NULL, a_thread_looks_up, NULL));
    RETURNS(pthread_join(thread, &result));
    if (IS_CAREFUL && result) give_up("getaddrinfo");
    printf("a thread's: %s\n", result ? "failed" : "found");
    a_while();
    return finish();
}
