#include "protocol/config/listen.h"

#include "protocol/config/node.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

bool listen_host_is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return strcasecmp(host, "localhost") == 0;
}

/* The host part, brackets taken off an IPv6 address; its colons are allowed only inside them. */
static bool take_host(const char *text, size_t n, struct listen_address *ret)
{
    bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
    if (brackets) {
        text++;
        n -= 2;
    }
    if (!n || n >= sizeof ret->host || (!brackets && memchr(text, ':', n)))
        return false;
    memcpy(ret->host, text, n);
    ret->host[n] = '\0';
    return !strpbrk(ret->host, " /[]@");
}

bool listen_parse(const char *text, struct listen_address *ret)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    *ret = (struct listen_address){0};
    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        !core_whole(colon + 1, &port) || port > UINT16_MAX)
        return false;
    if (!take_host(text, (size_t)(colon - text), ret))
        return false;
    ret->port = (uint16_t)port;
    ret->loopback = listen_host_is_loopback(ret->host);
    return true;
}
