/* sluice alerts test: sends a test message by the alerts of the project and says what came back. */
#include "scheduler/cli/cli.h"
#include "scheduler/report/message.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"

enum { LINE_BYTES_MAX = 8 << 10 };

struct test {
    struct event_base *base;
    const struct alert *alert;
    bool json;
    bool failed; /* some message was not taken */
};

static void print_json(const struct alert *alert, const struct courier_answer *a)
{
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, LINE_BYTES_MAX);
    if (buf_puts(&b, "{\"alert\":") || json_put_words(&b, slice_str(alert->name)) ||
        buf_printf(&b, ",\"type\":\"%s\",\"sent\":%s,\"status\":%ld,\"error\":",
                   alert_type_name(alert->type), a->error ? "false" : "true", a->status) ||
        (a->error ? json_put_words(&b, slice_str(a->error)) : buf_puts(&b, "null")) ||
        buf_puts(&b, ",\"answer\":") || json_put_words(&b, slice_str(a->words)) ||
        buf_puts(&b, "}\n"))
        return;
    fwrite(b.p, 1, b.len, stdout);
}

static void on_answer(void *ctx, const struct courier_answer *a)
{
    struct test *t = ctx;
    t->failed |= a->error != NULL;
    if (t->json)
        print_json(t->alert, a);
    else
        printf("%-20s %-10s %s%s%s%s\n", t->alert->name, alert_type_name(t->alert->type),
               a->error ? a->error : "sent", *a->words ? ": " : "", a->words,
               a->status && !a->error && !*a->words ? ", and taken" : "");
    fflush(stdout);
    event_base_loopbreak(t->base);
}

static enum err_code send_test(struct test *t, enum alert_on what, struct err *err)
{
    struct message m;
    struct news news = {.what = what, .at_ms = clock_wall_ms()};
    struct courier *courier = courier_new(t->base);
    if (!courier)
        return err_set(err, ERR_NOMEM, "out of memory");
    enum err_code rc = message_make(t->alert, &news, &m, err);
    if (!rc)
        rc = courier_send(courier, &m.parcel, on_answer, t, err);
    message_done(&m);
    if (!rc)
        event_base_dispatch(t->base);
    courier_free(courier);
    return rc;
}

/* Nobody is to be left with an open incident of a test. */
static enum err_code test_alert(struct test *t, struct err *err)
{
    enum err_code rc = send_test(t, ALERT_ON_FAILED, err);
    if (!rc && t->alert->type == ALERT_PAGERDUTY && !t->failed)
        rc = send_test(t, ALERT_ON_RECOVERED, err);
    return rc;
}

static enum err_code test_alerts(const struct cli_options *opts, const struct project *p,
                                 struct test *t, struct err *err)
{
    bool any = false;
    t->base = event_base_new();
    if (!t->base)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < p->alert_count; i++) {
        t->alert = &p->alerts[i];
        if (opts->name_count > 1 && strcmp(opts->names[1], t->alert->name) != 0)
            continue;
        any = true;
        enum err_code rc = test_alert(t, err);
        if (rc)
            return rc;
    }
    if (any)
        return ERR_OK;
    return opts->name_count > 1
               ? err_set(err, ERR_USAGE, "the project has no alert %s", opts->names[1])
               : err_set(err, ERR_USAGE, "the project has no `alerts`");
}

int command_alerts(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct err err;
    if (strcmp(opts->names[0], "test") != 0) {
        fprintf(stderr, "sluice: alerts does not know %s; see sluice alerts --help\n",
                opts->names[0]);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    int status = cli_load(opts, &project);
    if (status)
        return status;
    struct test t = {.json = opts->json};
    enum err_code rc = test_alerts(opts, project, &t, &err);
    if (t.base)
        event_base_free(t.base);
    project_free(project);
    if (rc)
        return cli_fail(&err);
    return t.failed ? EXIT_RUN_FAILED : EXIT_OK;
}
