/*
 * What a stranger's request brings: first line, headers that decide who it is, keys as people write
 * them. Input: a line for each, as far as they go. Whatever is taken must be what its header
 * promises.
 */
#include "protocol/base/utf8.h"
#include "scheduler/api/record_key.h"
#include "scheduler/api/request.h"
#include "scheduler/state/key.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    ensure(text && utf8_valid(slice_str(text)));
}

static void try_target(const char *uri)
{
    static struct request_target t;
    struct err err;
    uint64_t n = 5;
    if (request_target_parse(uri, &t, &err)) {
        ensure(err.code == ERR_INVALID && *err.text);
        return;
    }
    ensure(t.segment_count <= REQUEST_SEGMENTS_MAX && t.query_count <= REQUEST_QUERY_MAX);
    for (size_t i = 0; i < t.segment_count; i++)
        check_text(t.segments[i]);
    for (size_t i = 0; i < t.query_count; i++) {
        check_text(t.query[i].name);
        check_text(t.query[i].value);
        ensure(request_query(&t, t.query[i].name) != NULL);
    }
    if (!request_query_number(&t, "limit", 1, 1000, &n, &err))
        ensure(n >= 1 && n <= 1000);
}

static void try_headers(const char *line)
{
    char host[64];
    struct slice s;
    const char *end = line + strlen(line);
    if (request_cookie(line, "sid", &s))
        ensure(s.p >= line + 4 && s.p + s.n <= end && !memchr(s.p, ';', s.n));
    if (request_bearer(line, &s))
        ensure(s.p >= line && s.p + s.n <= end && !memchr(s.p, ' ', s.n));
    if (request_host(line, host, sizeof host))
        ensure(*host && !strpbrk(host, "]"));
    request_origin_is(line, "localhost:8470");
}

static void try_key(const char *text)
{
    static const char *const names[] = {"id", "nr"};
    for (size_t columns = 1; columns <= ARRAY_LEN(names); columns++) {
        const struct model model = {.primary_key = names, .primary_key_count = columns};
        CLEANUP(buf_done) struct buf keys;
        size_t ends[RECORD_KEYS_MAX], count, from = 0;
        struct value values[ARRAY_LEN(names)];
        struct err err;
        buf_init(&keys, 1 << 16);
        if (record_keys(&model, text, &keys, ends, &count, &err))
            continue;
        ensure(count && count <= RECORD_KEYS_MAX);
        for (size_t i = 0; i < count; from = ends[i++])
            ensure(!key_decode(slice_of(keys.p + from, ends[i] - from), values, columns, &err));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *rest = text;
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        try_target(line);
        try_headers(line);
        if (utf8_valid(slice_str(line)))
            try_key(line);
    }
    free(text);
    return 0;
}
