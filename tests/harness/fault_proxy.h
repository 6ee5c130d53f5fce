/*
 * The program faultproxy run by a C test: orders are obeyed when fault_proxy_say returns.
 *
 * It dies with the test. Every function aborts the test with a sentence on stderr when it cannot do
 * what is asked. The orders are described in faultproxy.c. Blocking; one thread.
 */
#ifndef SLUICE_TESTS_FAULT_PROXY_H
#define SLUICE_TESTS_FAULT_PROXY_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct fault_proxy {
    pid_t pid;
    FILE *orders, *answers;
    uint16_t port; /* 0: it listens on a unix socket */
};

/** listen and target: "PORT" of 127.0.0.1 ("0": any free one) or an absolute path. */
void fault_proxy_start(struct fault_proxy *p, const char *listen, const char *target);
/** "blackhole", "delay 200", … */
void fault_proxy_say(struct fault_proxy *p, const char *order);
void fault_proxy_stop(struct fault_proxy *p);

#endif
