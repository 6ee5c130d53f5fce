#include "scheduler/cli/remote.h"

#include "protocol/base/buf.h"
#include "scheduler/api/socket_file.h"

#include <ctype.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_NAME "control.sock"

enum { ANSWER_MAX = 64 << 20, LINE_MAX_BYTES = 1 << 20, TIMEOUT_S = 60, URL_BYTES = 4096 };

bool remote_is_running(const struct project *project)
{
    char path[URL_BYTES];
    struct err none;
    int fd;
    snprintf(path, sizeof path, "%s/" SOCKET_NAME, project->settings.state_dir);
    if (socket_file_connect(path, &fd, &none))
        return false;
    close(fd);
    return true;
}

const char *remote_path(char out[REMOTE_PATH_MAX], const char *before, const char *name,
                        const char *rest)
{
    size_t n = (size_t)snprintf(out, REMOTE_PATH_MAX, "%s", before);
    for (const unsigned char *p = (const unsigned char *)name; *p && n + 4 < REMOTE_PATH_MAX; p++)
        n += (size_t)snprintf(out + n, REMOTE_PATH_MAX - n, isalnum(*p) ? "%c" : "%%%02X", *p);
    snprintf(out + n, REMOTE_PATH_MAX - n, "%s", rest);
    return out;
}

/* ---- one transfer ---- */

struct transfer {
    CURL *curl;
    struct curl_slist *headers;
    int folder; /* the state directory: an address has little room for its path */
};

static void transfer_done(struct transfer *t)
{
    curl_slist_free_all(t->headers);
    curl_easy_cleanup(t->curl);
    if (t->folder >= 0)
        close(t->folder);
}

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "no memory");
}

static enum err_code nobody(const struct project *project, struct err *err)
{
    return err_set(err, ERR_UNREACHABLE,
                   "no scheduler runs for this project (nobody answers at %s/" SOCKET_NAME
                   "): start one with `sluice up`, or sluice-scheduler as a service",
                   project->settings.state_dir);
}

static enum err_code transfer_init(struct transfer *t, const struct project *project,
                                   const char *path, curl_write_callback write, void *ctx,
                                   struct err *err)
{
    char url[URL_BYTES], socket_path[64];
    *t = (struct transfer){.folder =
                               open(project->settings.state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (t->folder < 0)
        return nobody(project, err);
    t->curl = curl_easy_init();
    t->headers = curl_slist_append(NULL, "Expect:");
    if (!t->curl || !t->headers)
        return no_memory(err);
    snprintf(socket_path, sizeof socket_path, "/proc/self/fd/%d/" SOCKET_NAME, t->folder);
    snprintf(url, sizeof url, "http://localhost%s", path);
    curl_easy_setopt(t->curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
    curl_easy_setopt(t->curl, CURLOPT_URL, url);
    curl_easy_setopt(t->curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(t->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, write);
    curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, ctx);
    return ERR_OK;
}

static size_t take_bytes(char *bytes, size_t one, size_t n, void *ctx)
{
    (void)one;
    return buf_put(ctx, bytes, n) ? 0 : n;
}

/* What the scheduler refused, in its own words. */
static enum err_code say_refusal(long status, const json_t *answer, struct err *err)
{
    static const struct {
        const char *word;
        enum err_code code;
    } words[] = {
        {"not_found", ERR_USAGE},  {"conflict", ERR_USAGE},       {"invalid", ERR_USAGE},
        {"busy", ERR_BUSY},        {"configuration", ERR_CONFIG}, {"unreachable", ERR_UNREACHABLE},
        {"forbidden", ERR_DENIED},
    };
    const json_t *error = json_object_get(answer, "error");
    const char *word = json_string_value(json_object_get(error, "code"));
    const char *text = json_string_value(json_object_get(error, "message"));
    enum err_code code = status == 503 ? ERR_UNREACHABLE : ERR_REMOTE;
    for (size_t i = 0; word && i < ARRAY_LEN(words); i++)
        if (strcmp(words[i].word, word) == 0)
            code = words[i].code;
    if (text)
        return err_set(err, code, "%s", text);
    return err_set(err, code, "the scheduler answered with status %ld", status);
}

static enum err_code carry_out(struct transfer *t, const struct project *project,
                               struct buf *answer, json_t **ret, struct err *err)
{
    long status = 0;
    curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(t->curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    CURLcode rc = curl_easy_perform(t->curl);
    if (rc == CURLE_COULDNT_CONNECT)
        return nobody(project, err);
    if (rc)
        return err_set(err, ERR_UNREACHABLE, "the scheduler did not answer: %s",
                       curl_easy_strerror(rc));
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    json_error_t none;
    *ret = answer->len ? json_loadb(answer->p, answer->len, 0, &none) : NULL;
    if (status < 200 || status > 299)
        return say_refusal(status, *ret, err);
    return *ret || !answer->len ? ERR_OK
                                : err_set(err, ERR_REMOTE, "the scheduler's answer is not JSON");
}

enum err_code remote_get(const struct project *project, const char *path, json_t **ret,
                         struct err *err)
{
    struct transfer t;
    CLEANUP(buf_done) struct buf answer;
    buf_init(&answer, ANSWER_MAX);
    *ret = NULL;
    enum err_code rc = transfer_init(&t, project, path, take_bytes, &answer, err);
    rc = rc ? rc : carry_out(&t, project, &answer, ret, err);
    transfer_done(&t);
    return rc;
}

enum err_code remote_post(const struct project *project, const char *path, const json_t *body,
                          json_t **ret, struct err *err)
{
    struct transfer t;
    CLEANUP(buf_done) struct buf answer;
    buf_init(&answer, ANSWER_MAX);
    *ret = NULL;
    char *text = body ? json_dumps(body, JSON_COMPACT) : strdup("{}");
    if (!text)
        return no_memory(err);
    enum err_code rc = transfer_init(&t, project, path, take_bytes, &answer, err);
    if (!rc) {
        struct curl_slist *more = curl_slist_append(t.headers, "Content-Type: application/json");
        t.headers = more ? more : t.headers;
        curl_easy_setopt(t.curl, CURLOPT_POSTFIELDS, text);
        rc = more ? carry_out(&t, project, &answer, ret, err) : no_memory(err);
    }
    transfer_done(&t);
    free(text);
    return rc;
}

/* ---- events ---- */

struct stream {
    remote_event_cb cb;
    void *ctx;
    struct buf line;
    char event[32];
    bool opened;
    bool stopped;
};

/* One line without its end. */
static bool take_line(struct stream *s, const char *line)
{
    if (strncmp(line, "event: ", 7) == 0) {
        snprintf(s->event, sizeof s->event, "%s", line + 7);
    } else if (strncmp(line, "data: ", 6) == 0) {
        json_error_t none;
        json_t *data = json_loads(line + 6, 0, &none);
        bool more = !data || s->cb(s->ctx, s->event, data);
        json_decref(data);
        return more;
    }
    return true;
}

static size_t take_stream(char *bytes, size_t one, size_t n, void *ctx)
{
    struct stream *s = ctx;
    (void)one;
    if (!s->opened) {
        s->opened = true;
        s->stopped = !s->cb(s->ctx, "open", NULL);
    }
    for (size_t i = 0; i < n && !s->stopped; i++) {
        if (bytes[i] != '\n') {
            if (buf_putc(&s->line, bytes[i]))
                return 0;
            continue;
        }
        const char *line = buf_cstr(&s->line);
        if (!line)
            return 0;
        s->stopped = !take_line(s, line);
        buf_reset(&s->line);
    }
    return s->stopped ? 0 : n;
}

enum err_code remote_events(const struct project *project, remote_event_cb cb, void *ctx,
                            struct err *err)
{
    struct transfer t;
    struct stream s = {.cb = cb, .ctx = ctx};
    buf_init(&s.line, LINE_MAX_BYTES);
    enum err_code rc = transfer_init(&t, project, "/api/v1/events", take_stream, &s, err);
    if (!rc) {
        curl_easy_setopt(t.curl, CURLOPT_FAILONERROR, 1L);
        CURLcode code = curl_easy_perform(t.curl);
        if (code == CURLE_COULDNT_CONNECT)
            rc = nobody(project, err);
        else if (!s.stopped)
            rc = err_set(err, ERR_UNREACHABLE, "the scheduler ended its events: %s",
                         code ? curl_easy_strerror(code) : "it stops");
    }
    transfer_done(&t);
    buf_done(&s.line);
    return rc;
}
