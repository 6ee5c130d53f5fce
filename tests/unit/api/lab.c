#include "lab.h"

#include "protocol/base/clock.h"
#include "protocol/base/log.h"
#include "scheduler/api/socket_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000, TURN_MS = 2, PROJECT_BYTES = 1 << 16 };

static const char project_text[] =
    "sources: {w: {type: postgres, url: 'postgresql://h/d'}}\n"
    "models:\n"
    "  customers: {source: w, primary_key: id, sql: select 1}\n"
    "  lines: {source: w, primary_key: [shop, nr], sql: select 1}\n"
    "destinations:\n"
    "  hook: {type: webhook, url: 'http://h/', bearer: s3cret,\n"
    "    rate_limits: [{requests: 100, per: 10s}, {records: 5000, per: 1m}]}\n"
    "  'Größe/ä': {type: webhook, url: 'http://h/'}\n"
    "syncs:\n"
    "  customers: {model: customers, destination: hook, mode: mirror, mappings: all}\n"
    "  'Größe/ä%?&': {model: customers, destination: 'Größe/ä',\n"
    "    guard: {max_changed: 10, min_rows: '0.5%'},\n"
    "    mappings: [{from: email, to: mail}, {value: 7, to: n}, {value: x-s3cret, to: s},\n"
    "      {template: 'a {{email}}', to: t}]}\n"
    "  lines: {model: lines, destination: hook, mappings: [{value: x-s3cret, to: s}, {from: nr, "
    "to: "
    "nr}]}\n";

static const struct log quiet = {.program = "test", .level = LOG_ERROR, .fd = STDERR_FILENO};

void lab_write(struct lab *lab, const char *settings, const char *more)
{
    char text[PROJECT_BYTES];
    snprintf(text, sizeof text, "settings: {%s}\n%s%s", settings, project_text, more);
    folder_write(&lab->folder, "sluice.yaml", text);
}

static enum err_code write_metrics(void *ctx, struct buf *out, struct err *err)
{
    (void)err;
    return buf_printf(out, "sluice_test %d\n", *(const int *)ctx);
}

void lab_open(struct lab *lab, const char *settings)
{
    static int seven = 7;
    struct err err;
    signal(SIGPIPE, SIG_IGN); /* as every program of ours does */
    *lab = (struct lab){0};
    folder_init(&lab->folder);
    lab_write(lab, settings, "");
    lab->control = double_new(&lab->folder);
    lab->base = event_base_new();
    lab->document = schema_document();
    snprintf(lab->socket_path, sizeof lab->socket_path, "%s/control.sock",
             control_project(lab->control)->settings.state_dir);
    const struct api_options options = {
        .base = lab->base,
        .control = lab->control,
        .log = &quiet,
        .listen = "127.0.0.1:0",
        .socket_path = lab->socket_path,
        .metrics = write_metrics,
        .metrics_ctx = &seven,
    };
    if (api_start(&options, &lab->api, &err))
        fail_msg("%s", err.text);
    snprintf(lab->port, sizeof lab->port, "%s", strrchr(api_url(lab->api), ':') + 1);
}

static struct answer last;

static void forget_last(void)
{
    free(last.head);
    free(last.body);
    json_decref(last.json);
    last = (struct answer){0};
}

void lab_close(struct lab *lab)
{
    forget_last();
    api_free(lab->api);
    event_base_loop(lab->base, EVLOOP_NONBLOCK);
    double_free(lab->control);
    event_base_free(lab->base);
    json_decref(lab->document);
    folder_done(&lab->folder);
}

/* ---- bytes ---- */

int lab_connect(struct lab *lab)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(lab->port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

void lab_turn(struct lab *lab)
{
    const struct timeval wait = {.tv_usec = TURN_MS * 1000};
    event_base_loopexit(lab->base, &wait);
    event_base_loop(lab->base, EVLOOP_ONCE);
}

void lab_send(struct lab *lab, int fd, const char *bytes, size_t n)
{
    int64_t end = clock_mono_ms() + DEADLINE_MS;
    while (n) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return; /* the server has had enough; what it said is still to be read */
        }
        lab_turn(lab);
        assert_true(clock_mono_ms() < end);
    }
}

char *lab_read(struct lab *lab, int fd, const char *words)
{
    size_t n = 0, cap = 1 << 16;
    char *bytes = malloc(cap + 1);
    int64_t end = clock_mono_ms() + DEADLINE_MS;
    for (;;) {
        bytes[n] = '\0';
        if (words && strstr(bytes, words))
            return bytes;
        ssize_t got = recv(fd, bytes + n, cap - n, 0);
        if (got == 0 || (got < 0 && errno == ECONNRESET)) {
            if (!words)
                return bytes;
            fail_msg("the connection ended before %s: %s", words, bytes);
        }
        if (got > 0)
            n += (size_t)got;
        else
            lab_turn(lab);
        if (n == cap) {
            cap *= 2;
            bytes = realloc(bytes, cap + 1);
        }
        if (clock_mono_ms() > end)
            fail_msg("waited in vain for %s; came: %s", words ? words : "the end", bytes);
    }
}

/* ---- requests ---- */

static void take_answer(char *bytes)
{
    char *end = strstr(bytes, "\r\n\r\n");
    forget_last();
    if (!end)
        fail_msg("this is no answer: %s", bytes);
    last.head = strndup(bytes, (size_t)(end + 2 - bytes));
    last.body = strdup(end + 4);
    last.body_bytes = strlen(last.body);
    assert_int_equal(sscanf(last.head, "HTTP/1.1 %d", &last.status), 1);
    const char *type = header_of(&last, "Content-Type");
    if (type && strcmp(type, "application/json") == 0 && last.body_bytes) {
        json_error_t error;
        last.json = json_loads(last.body, JSON_REJECT_DUPLICATES, &error);
        if (!last.json)
            fail_msg("this is no JSON: %s: %s", error.text, last.body);
    }
    free(bytes);
}

static const struct answer *ask_on(struct lab *lab, int fd, const char *method, const char *path,
                                   const char *headers, const char *body)
{
    char *text = NULL;
    headers = headers ? headers : "";
    size_t n = body ? strlen(body) : 0;
    int bytes = asprintf(&text, "%s %s HTTP/1.1\r\n", method, path);
    assert_true(bytes > 0);
    lab_send(lab, fd, text, (size_t)bytes);
    free(text);
    if (!strcasestr(headers, "Host:")) {
        bytes = asprintf(&text, "Host: 127.0.0.1:%s\r\n", lab->port);
        lab_send(lab, fd, text, (size_t)bytes);
        free(text);
    }
    bytes = asprintf(&text, "Connection: close\r\n%sContent-Length: %zu\r\n\r\n", headers, n);
    lab_send(lab, fd, text, (size_t)bytes);
    free(text);
    if (n)
        lab_send(lab, fd, body, n);
    take_answer(lab_read(lab, fd, NULL));
    close(fd);
    if (strcmp(method, "HEAD") != 0)
        schema_check(lab->document, method, path, last.status, last.json);
    return &last;
}

const struct answer *ask(struct lab *lab, const char *method, const char *path, const char *headers,
                         const char *body)
{
    return ask_on(lab, lab_connect(lab), method, path, headers, body);
}

const struct answer *ask_local(struct lab *lab, const char *method, const char *path,
                               const char *body)
{
    int fd;
    struct err err;
    if (socket_file_connect(lab->socket_path, &fd, &err))
        fail_msg("%s", err.text);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return ask_on(lab, fd, method, path, NULL, body);
}

const json_t *get(struct lab *lab, const char *path, const char *headers)
{
    const struct answer *a = ask(lab, "GET", path, headers, NULL);
    if (a->status != 200)
        fail_msg("GET %s: %d %s", path, a->status, a->body);
    return a->json;
}

const char *header_of(const struct answer *a, const char *name)
{
    static char value[1024];
    size_t n = strlen(name);
    for (const char *line = strstr(a->head, "\r\n"); line && line[2];
         line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            const char *from = line + 3 + n + strspn(line + 3 + n, " ");
            snprintf(value, sizeof value, "%.*s", (int)strcspn(from, "\r"), from);
            return value;
        }
    return NULL;
}

const char *at(const json_t *json, const char *path)
{
    static char texts[4][4096];
    static unsigned turn;
    char copy[256], *rest = copy, *text = texts[turn++ % 4];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *part = strsep(&rest, "/"); part && json; part = strsep(&rest, "/"))
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(part))
                                   : json_object_get(json, part);
    text[0] = '\0';
    if (json_is_string(json)) {
        snprintf(text, sizeof texts[0], "%s", json_string_value(json));
    } else if (json) {
        char *dump = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
        snprintf(text, sizeof texts[0], "%s", dump);
        free(dump);
    }
    return text;
}
