#include "protocol/config/shard.h"

#include "protocol/base/slice.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* The shard with the highest hash: those of the others do not depend on how many there are. */
uint32_t shard_of_quota(const char *quota, uint32_t shards)
{
    uint64_t highest = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < shards; i++) {
        uint64_t hash = XXH3_64bits_withSeed(quota, strlen(quota), i + 1);
        if (i && hash <= highest)
            continue;
        highest = hash;
        best = i;
    }
    return best;
}

static bool is_number(const char *digits, uint32_t *ret)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(digits, &end, 10);
    if (!isdigit((unsigned char)*digits) || *end || errno || n >= SHARDS_MAX)
        return false;
    *ret = (uint32_t)n;
    return true;
}

enum err_code shard_parse(const char *text, const char *host, uint32_t *ret, struct err *err)
{
    char own[HOST_NAME_MAX + 1] = "";
    if (strcmp(text, "hostname") != 0)
        return is_number(text, ret)
                   ? ERR_OK
                   : err_set(err, ERR_CONFIG,
                             "the shard must be a number from 0 to %d, or hostname",
                             SHARDS_MAX - 1);
    if (!host && gethostname(own, sizeof own - 1) == 0)
        host = own;
    const char *digits = host ? host + strcspn(host, ".") : "";
    while (host && digits > host && isdigit((unsigned char)digits[-1]))
        digits--;
    char number[16] = "";
    size_t n = strspn(digits, "0123456789");
    if (n && n < sizeof number)
        memcpy(number, digits, n);
    return is_number(number, ret)
               ? ERR_OK
               : err_set(err, ERR_CONFIG,
                         "the shard is taken from the end of the host's name, but %s has no number "
                         "from 0 to %d there: name the shard itself",
                         host && *host ? host : "it", SHARDS_MAX - 1);
}
