/*
 * A receiving server for measurements: takes POSTs as fast as it can, counts their records, answers
 * 200, or what POST /answer/503 told it to, at once, or as many ms later as POST /delay/200 said.
 *
 * Reads HTTP/1.1 requests with Content-Length, keep-alive; gives figures at GET /stats, arrival
 * times in microseconds at GET /times (as the kernel noted them: of a request's last bytes), and
 * forgets these at POST /forget-counts, all at /reset. A record is one occurrence of "op": in a
 * body: no JSON is parsed. With the argument `versions` it keeps the version of each record as well
 * (versions.h): GET /rows, /back and /latencies. One thread, one epoll loop. Built by whoever needs
 * it: cc -O2 -o sink sink.c versions.c && ./sink 0 versions [127.0.0.1] prints the port it got.
 */
#define _GNU_SOURCE
#include "versions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 64,
    READ_BYTES = 1 << 18,
    HEAD_MAX = 16 << 10,
    TIMES_MAX = 1 << 22,
    STATUS_OK = 200,
};

struct connection {
    int fd;
    char *in;
    size_t in_bytes, in_room;
    size_t need_bytes; /* of the request at the start of `in`; 0: its head is not complete */
    size_t head_bytes;
    int64_t arrived_us; /* the newest bytes */
    int64_t answer_us;  /* when its request is to be answered; 0: none is kept */
    int answer_status;
    TAILQ_ENTRY(connection) kept;
};
TAILQ_HEAD(connections, connection);

struct server {
    int epoll_fd;
    int listen_fd;
    uint64_t posts, records, bytes, refused;
    int64_t first_us, last_us;
    int64_t *times_us;
    size_t time_count;
    int status;                /* of the answer to records; only 200 takes them */
    int64_t delay_us;          /* of that answer */
    struct connections kept;   /* in the order in which they are to be answered */
    struct versions *versions; /* NULL: only counted */
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static uint64_t count_records(const char *body, size_t bytes)
{
    static const char mark[] = "\"op\":";
    uint64_t n = 0;
    const char *end = body + bytes;
    for (const char *p = body; (p = memmem(p, (size_t)(end - p), mark, sizeof mark - 1));
         p += sizeof mark - 1)
        n++;
    return n;
}

static void connection_free(struct connection *c)
{
    close(c->fd);
    free(c->in);
    free(c);
}

/* Answers are short and clients wait for them: the socket's buffer always has room. */
static bool send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
        if (done < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        }
    }
    return true;
}

static bool answer_as(int fd, int status, const char *body, size_t bytes)
{
    char head[160];
    int n =
        snprintf(head, sizeof head,
                 "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                 status, bytes);
    if (bytes > 4096)
        return send_all(fd, head, (size_t)n) && send_all(fd, body, bytes);
    char all[160 + 4096];
    memcpy(all, head, (size_t)n);
    memcpy(all + n, body, bytes);
    return send_all(fd, all, (size_t)n + bytes);
}

static bool answer(int fd, const char *body, size_t bytes)
{
    return answer_as(fd, STATUS_OK, body, bytes);
}

static bool answer_stats(struct server *s, int fd)
{
    struct versions_count c = {0};
    if (s->versions)
        c = versions_count(s->versions);
    char text[512];
    int n =
        snprintf(text, sizeof text,
                 "{\"posts\":%llu,\"records\":%llu,\"bytes\":%llu,\"first_us\":%lld,"
                 "\"last_us\":%lld,\"now_us\":%lld,\"refused\":%llu,\"upserts\":%llu,"
                 "\"deletes\":%llu,\"rows\":%llu,\"back\":%llu,\"strange\":%llu}\n",
                 (unsigned long long)s->posts, (unsigned long long)s->records,
                 (unsigned long long)s->bytes, (long long)s->first_us, (long long)s->last_us,
                 (long long)now_us(), (unsigned long long)s->refused, (unsigned long long)c.upserts,
                 (unsigned long long)c.deletes, (unsigned long long)c.rows,
                 (unsigned long long)c.back, (unsigned long long)c.strange);
    return answer(fd, text, (size_t)n);
}

static bool answer_versions(struct server *s, int fd, versions_print print)
{
    size_t bytes = 0;
    char *text = s->versions ? print(s->versions, &bytes) : NULL;
    bool ok = text ? answer(fd, text, bytes) : answer_as(fd, 404, "{}", 2);
    free(text);
    return ok;
}

static bool answer_times(struct server *s, int fd)
{
    size_t room = s->time_count * 21 + 1, used = 0;
    char *text = malloc(room);
    if (!text)
        return false;
    for (size_t i = 0; i < s->time_count; i++)
        used += (size_t)snprintf(text + used, room - used, "%lld\n", (long long)s->times_us[i]);
    bool ok = answer(fd, text, used);
    free(text);
    return ok;
}

/* Answers to records may wait; nothing more is read of the connection until then. */
static bool answer_post(struct server *s, struct connection *c)
{
    if (!s->delay_us)
        return answer_as(c->fd, s->status, "{}", 2);
    c->answer_us = now_us() + s->delay_us;
    c->answer_status = s->status;
    struct connection *before = TAILQ_LAST(&s->kept, connections);
    while (before && before->answer_us > c->answer_us)
        before = TAILQ_PREV(before, connections, kept);
    if (before)
        TAILQ_INSERT_AFTER(&s->kept, before, c, kept);
    else
        TAILQ_INSERT_HEAD(&s->kept, c, kept);
    return true;
}

static bool take_post(struct server *s, struct connection *c, const char *body, size_t bytes)
{
    const int64_t now = c->arrived_us;
    if (s->status != STATUS_OK) {
        s->refused++;
        return answer_post(s, c);
    }
    if (!s->posts)
        s->first_us = now;
    s->last_us = now;
    if (s->time_count < TIMES_MAX)
        s->times_us[s->time_count++] = now;
    s->posts++;
    s->bytes += bytes;
    s->records +=
        s->versions ? versions_take(s->versions, body, bytes, now) : count_records(body, bytes);
    return answer_post(s, c);
}

static bool handle(struct server *s, struct connection *c)
{
    const char *head = c->in, *body = c->in + c->head_bytes;
    size_t bytes = c->need_bytes - c->head_bytes;
    if (strncmp(head, "GET /stats", 10) == 0)
        return answer_stats(s, c->fd);
    if (strncmp(head, "GET /times", 10) == 0)
        return answer_times(s, c->fd);
    if (strncmp(head, "GET /rows", 9) == 0)
        return answer_versions(s, c->fd, versions_rows);
    if (strncmp(head, "GET /back", 9) == 0)
        return answer_versions(s, c->fd, versions_back);
    if (strncmp(head, "GET /latencies", 14) == 0)
        return answer_versions(s, c->fd, versions_latencies);
    if (strncmp(head, "POST /answer/", 13) == 0) {
        s->status = atoi(head + 13);
        return answer(c->fd, "{}", 2);
    }
    if (strncmp(head, "POST /delay/", 12) == 0) {
        s->delay_us = (int64_t)atoi(head + 12) * 1000;
        return answer(c->fd, "{}", 2);
    }
    if (strncmp(head, "POST /forget-latencies", 22) == 0 && s->versions) {
        versions_forget_latencies(s->versions);
        return answer(c->fd, "{}", 2);
    }
    const bool resets = strncmp(head, "POST /reset", 11) == 0;
    if (!resets && strncmp(head, "POST /forget-counts", 19) != 0)
        return take_post(s, c, body, bytes);
    if (resets && s->versions)
        versions_reset(s->versions);
    s->posts = s->records = s->bytes = s->refused = 0;
    s->first_us = s->last_us = 0;
    s->time_count = 0;
    return answer(c->fd, "{}", 2);
}

/* Finds the end of the head and how long the request is. False: it can never be one. */
static bool read_head(struct connection *c)
{
    const char *end = memmem(c->in, c->in_bytes, "\r\n\r\n", 4);
    if (!end)
        return c->in_bytes < HEAD_MAX;
    size_t length = 0;
    for (const char *line = c->in; line < end;
         line = (const char *)memmem(line, (size_t)(end + 2 - line), "\r\n", 2) + 2) {
        if (strncasecmp(line, "content-length:", 15) == 0)
            length = strtoull(line + 15, NULL, 10);
        else if (strncasecmp(line, "expect:", 7) == 0 &&
                 !send_all(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25))
            return false;
    }
    c->head_bytes = (size_t)(end - c->in) + 4;
    c->need_bytes = c->head_bytes + length;
    return true;
}

static void drop_request(struct connection *c)
{
    c->in_bytes -= c->need_bytes;
    memmove(c->in, c->in + c->need_bytes, c->in_bytes);
    c->need_bytes = 0;
}

/* Handles the complete requests in the buffer, up to one whose answer is kept. False: the
 * connection is to be closed. */
static bool consume(struct server *s, struct connection *c)
{
    while (!c->answer_us) {
        if (!c->need_bytes && !read_head(c))
            return false;
        if (!c->need_bytes || c->in_bytes < c->need_bytes)
            return true;
        if (!handle(s, c))
            return false;
        if (!c->answer_us)
            drop_request(c);
        if (!c->in_bytes)
            return true;
    }
    return true;
}

static bool reserve(struct connection *c, size_t more_bytes)
{
    if (c->in_room - c->in_bytes > more_bytes)
        return true;
    size_t room = (c->in_bytes + more_bytes) * 2;
    char *in = realloc(c->in, room);
    if (!in)
        return false;
    c->in = in;
    c->in_room = room;
    return true;
}

/* As recv, and when the bytes came in: by then, not when this process gets to read them. */
static ssize_t receive_stamped(struct connection *c)
{
    struct timespec stamp;
    char notes[CMSG_SPACE(sizeof stamp)];
    struct iovec to = {c->in + c->in_bytes, READ_BYTES};
    struct msghdr m = {
        .msg_iov = &to, .msg_iovlen = 1, .msg_control = notes, .msg_controllen = sizeof notes};
    ssize_t n = recvmsg(c->fd, &m, 0);
    c->arrived_us = now_us();
    for (struct cmsghdr *note = CMSG_FIRSTHDR(&m); n > 0 && note; note = CMSG_NXTHDR(&m, note)) {
        if (note->cmsg_level != SOL_SOCKET || note->cmsg_type != SO_TIMESTAMPNS)
            continue;
        memcpy(&stamp, CMSG_DATA(note), sizeof stamp);
        int64_t ago_us = clock_us(CLOCK_REALTIME) - stamp.tv_sec * 1000000 - stamp.tv_nsec / 1000;
        c->arrived_us -= ago_us > 0 ? ago_us : 0;
    }
    return n;
}

static bool receive(struct server *s, struct connection *c)
{
    if (!reserve(c, READ_BYTES + 1))
        return false;
    ssize_t n = receive_stamped(c);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    c->in_bytes += (size_t)n;
    c->in[c->in_bytes] = 0; /* read_head's strtoull stops here at the latest */
    return consume(s, c);
}

static void accept_all(struct server *s)
{
    int fd;
    while ((fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
        struct connection *c = calloc(1, sizeof *c);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (!c || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e)) {
            close(fd);
            free(c);
            continue;
        }
        c->fd = fd;
    }
}

static int listen_on(struct server *s, int port, const char *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = inet_addr(address)};
    socklen_t at_bytes = sizeof at;
    int one = 1;
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s->listen_fd, (struct sockaddr *)&at, sizeof at) || listen(s->listen_fd, 1024) ||
        getsockname(s->listen_fd, (struct sockaddr *)&at, &at_bytes))
        return -1;
    return ntohs(at.sin_port);
}

static void end_connection(struct server *s, struct connection *c)
{
    if (c->answer_us)
        TAILQ_REMOVE(&s->kept, c, kept);
    connection_free(c);
}

/* Gives the answers whose time has come; how many ms it is until the next one, -1 without one. */
static int answer_kept(struct server *s)
{
    struct connection *c;
    while ((c = TAILQ_FIRST(&s->kept))) {
        int64_t wait_us = c->answer_us - now_us();
        if (wait_us > 0)
            return (int)(wait_us / 1000) + 1;
        TAILQ_REMOVE(&s->kept, c, kept);
        c->answer_us = 0;
        drop_request(c);
        if (!answer_as(c->fd, c->answer_status, "{}", 2) || !consume(s, c))
            end_connection(s, c);
    }
    return -1;
}

static void serve(struct server *s)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int n = epoll_wait(s->epoll_fd, events, EVENTS_MAX, answer_kept(s));
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c)
                accept_all(s);
            else if (!receive(s, c))
                end_connection(s, c);
        }
    }
}

int main(int argc, char **argv)
{
    struct server s = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                       .times_us = calloc(TIMES_MAX, sizeof(int64_t)),
                       .status = STATUS_OK};
    TAILQ_INIT(&s.kept);
    bool keeps = argc > 2 && strcmp(argv[2], "versions") == 0;
    s.versions = keeps ? versions_new() : NULL;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int port = listen_on(&s, argc > 1 ? atoi(argv[1]) : 0, argc > 3 ? argv[3] : "127.0.0.1");
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (port < 0 || !s.times_us || (keeps && !s.versions) ||
        epoll_ctl(s.epoll_fd, EPOLL_CTL_ADD, s.listen_fd, &e)) {
        perror("sink");
        return 1;
    }
    printf("%d\n", port);
    fflush(stdout);
    serve(&s);
}
