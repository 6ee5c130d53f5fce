/* The address that `settings.listen` names: host and port apart, and whether only this machine can
 * reach it. Pure. */
#ifndef SLUICE_CONFIG_LISTEN_H
#define SLUICE_CONFIG_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

enum { LISTEN_HOST_BYTES = 256 };

struct listen_address {
    char host[LISTEN_HOST_BYTES]; /* without brackets */
    uint16_t port;                /* 0: any that is free */
    bool loopback;
};

/** Takes host:port and [address]:port; false where text is neither. */
bool listen_parse(const char *text, struct listen_address *ret);

/** 127.0.0.0/8, ::1 or localhost: what no other machine can reach. */
bool listen_host_is_loopback(const char *host);

#endif
