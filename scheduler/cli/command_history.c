/* sluice history: what was sent of one record, when, in which batch, and what came of it. */
#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "protocol/wire/ordset.h"
#include "scheduler/api/record_key.h"
#include "scheduler/batch/batcher.h"
#include "scheduler/cli/cli.h"
#include "scheduler/history/history.h"
#include "scheduler/state/key.h"

#include <stdio.h>

enum { KEYS_BYTES_MAX = RECORD_KEYS_MAX * KEY_BYTES_MAX, LINE_BYTES_MAX = 1 << 20 };

struct telling {
    const struct cli_options *opts;
    uint64_t told;
};

static enum err_code put_hit(struct buf *b, const struct history_hit *hit, const char *batch)
{
    char at[CLOCK_TEXT_BYTES];
    enum err_code rc = buf_printf(b,
                                  "{\"at\":\"%s\",\"run\":\"%s\",\"batch\":\"%s\",\"op\":\"%s\","
                                  "\"verdict\":\"%s\",\"message\":",
                                  clock_text(hit->run->started_ms, at), hit->run->id, batch,
                                  record_op_name(hit->op), history_verdict_name(hit->verdict));
    if (!rc)
        rc = hit->message.n ? json_put_string(b, hit->message) : buf_puts(b, "null");
    rc = rc ? rc : buf_puts(b, ",\"fields\":");
    if (!rc)
        rc = hit->fields.n ? buf_put(b, hit->fields.p, hit->fields.n) : buf_puts(b, "null");
    return rc ? rc : buf_puts(b, "}\n");
}

static bool tell(void *ctx, const struct history_hit *hit)
{
    struct telling *t = ctx;
    char batch[BATCH_PART_ID_BYTES], at[CLOCK_TEXT_BYTES];
    CLEANUP(buf_done) struct buf line;
    buf_init(&line, LINE_BYTES_MAX);
    (void)batch_id(hit->run->id, hit->batch, batch);
    if (t->opts->json) {
        if (!put_hit(&line, hit, batch))
            fwrite(line.p, 1, line.len, stdout);
    } else {
        printf("%s  %-9s %s in batch %s\n", clock_text(hit->run->started_ms, at),
               history_verdict_name(hit->verdict), record_op_name(hit->op), batch);
        if (hit->message.n)
            printf("  %.*s\n", (int)hit->message.n, hit->message.p);
        if (hit->fields.n)
            printf("  %.*s\n", (int)hit->fields.n, hit->fields.p);
    }
    return ++t->told < t->opts->limit;
}

static enum err_code look(const struct cli_options *opts, const struct project *p,
                          const struct sync *sync, struct telling *t, struct err *err)
{
    struct state_options o = {.read_only = true};
    struct state *state = NULL;
    size_t ends[RECORD_KEYS_MAX], count = 0, from = 0;
    CLEANUP(buf_done) struct buf keys;
    buf_init(&keys, KEYS_BYTES_MAX);
    enum err_code rc = record_keys(sync->model, opts->names[1], &keys, ends, &count, err);
    if (rc) {
        err->code = ERR_USAGE;
        return ERR_USAGE;
    }
    rc = state_open(p->settings.state_dir, &o, &state, err);
    if (rc == ERR_NOTFOUND)
        return ERR_OK; /* nothing ran so far */
    for (size_t i = 0; i < count && !rc && !t->told; from = ends[i++])
        rc = history_find(p->settings.state_dir, state, sync->name,
                          slice_of(keys.p + from, ends[i] - from), tell, t, err);
    state_close(state);
    return rc;
}

int command_history(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct telling t = {.opts = opts};
    struct err err = {0};
    int status = cli_load(opts, &project);
    if (!status) {
        const struct sync *sync = project_sync(project, opts->names[0]);
        enum err_code rc = sync ? look(opts, project, sync, &t, &err)
                                : project_no_sync(project, opts->names[0], &err);
        if (rc)
            status = cli_fail(&err);
        else if (!t.told && !opts->json)
            puts(
                "nothing that is kept was sent of this record (settings.history says how much is)");
    }
    project_free(project);
    return status;
}
