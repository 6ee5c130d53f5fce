/* What streams need at their source: wal_level, the role, tables and their identities, slot and
 * publication. */
#include "scheduler/cli/connect.h"
#include "scheduler/state/state.h"
#include "scheduler/stream/slots.h"
#include "scheduler/state/part.h"

#include <stdio.h>

enum { TEXT_BYTES = 256 };

/* Where there is no state yet, what Sluice would make has no name yet either, and is not there. */
static void find_origin(const struct project *p, const char *sync, char out[STATE_ID_BYTES])
{
    struct state_options o = {.read_only = true};
    struct state *state = NULL;
    struct err err;
    if (state_open(p->settings.state_dir, &o, &state, &err) ||
        state_sync_origin(state, sync, out, &err))
        *out = '\0';
    state_close(state);
}

static void check_stream(struct connect_report *r, const struct sync *s, const char *id,
                         PGconn *conn)
{
    struct slot_names names;
    struct slot_look look;
    char text[TEXT_BYTES];
    struct err err;
    slot_names_of(s, id, &names);
    enum err_code rc = slot_check(conn, s, &names, &err);
    rc = rc ? rc : slot_look(conn, &names, &look, &err);
    if (rc) {
        connect_say(r, "stream", s->name, &err, "");
        return;
    }
    if (look.slot_exists)
        snprintf(text, sizeof text, "slot %s, publication %s", names.slot, names.publication);
    else
        snprintf(text, sizeof text, "its slot is made when it first flows");
    connect_say(r, "stream", s->name, NULL, text);
}

void connect_streams(struct connect_report *r, const struct project *p, const struct source *source,
                     PGconn *conn)
{
    char id[STATE_ID_BYTES];
    for (size_t i = 0; i < p->sync_count; i++) {
        const struct sync *s = &p->syncs[i];
        enum stream_from from = s->schedule.stream.from;
        if (s->schedule.kind == SCHEDULE_STREAM && s->model->source == source &&
            (from == STREAM_CDC || from == STREAM_KEYS)) {
            find_origin(p, s->name, id);
            check_stream(r, s, id, conn);
        }
    }
}
