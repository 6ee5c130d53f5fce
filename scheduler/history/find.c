/* Looking back. Reads: whole files through a map, newest first; run records. Writes nothing but
 * what history_forget removes. */
#include "scheduler/history/history_private.h"

#include "protocol/wire/record_json.h"
#include "scheduler/state/pack.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *history_verdict_name(enum history_verdict verdict)
{
    static const char *const names[] = {
        [HISTORY_ACCEPTED] = "accepted", [HISTORY_REJECTED] = "rejected",
        [HISTORY_FAILED] = "failed",     [HISTORY_CANCELLED] = "cancelled",
        [HISTORY_UNKNOWN] = "unknown",
    };
    return (size_t)verdict < ARRAY_LEN(names) ? names[verdict] : "unknown";
}

struct finding {
    struct slice key;
    const struct run_record *run;
    struct slice notes; /* mapped */
    struct batch_reader *reader;
    struct buf text;
    history_cb cb;
    void *ctx;
    bool stopped;
};

/* ---- files ---- */

static struct slice map_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return (struct slice){0};
    void *p = fstat(fd, &st) || !st.st_size
                  ? MAP_FAILED
                  : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    return p == MAP_FAILED ? (struct slice){0} : slice_of(p, (size_t)st.st_size);
}

static void unmap(struct slice *s)
{
    if (s->n)
        munmap((void *)(uintptr_t)s->p, s->n);
}

/* ---- one hit ---- */

static enum history_verdict verdict_of_note(enum tally_count what)
{
    switch (what) {
    case TALLY_REJECTED:
        return HISTORY_REJECTED;
    case TALLY_FAILED:
        return HISTORY_FAILED;
    case TALLY_CANCELLED:
        return HISTORY_CANCELLED;
    case TALLY_SUCCEEDED:
        break;
    }
    return HISTORY_UNKNOWN;
}

static void judge(const struct finding *f, struct history_hit *hit)
{
    struct slice rest = f->notes;
    struct note note;
    hit->verdict = HISTORY_UNKNOWN;
    if (rest.n < 2 || rest.p[0] != NOTES_VERSION)
        return;
    if (rest.p[1])
        hit->verdict = HISTORY_ACCEPTED; /* unless a note says otherwise */
    rest = slice_of(rest.p + 2, rest.n - 2);
    while (note_next(&rest, &note)) {
        if (note.batch != hit->batch || note.ordinal != hit->ordinal)
            continue;
        hit->verdict = verdict_of_note(note.what);
        hit->message = note.message;
        return;
    }
}

static void read_fields(struct finding *f, const struct frame *frame, struct history_hit *hit)
{
    struct err ignored;
    struct record r = {0};
    bool more = true;
    buf_reset(&f->text);
    if (batch_reader_open(f->reader, frame->payload, &ignored))
        return;
    while (more) {
        if (batch_reader_next(f->reader, &r, &more, &ignored) || !more)
            return;
        if (r.ordinal == hit->ordinal)
            break;
    }
    if (!record_fields_json(&f->text, batch_reader_head(f->reader), &r))
        hit->fields = buf_slice(&f->text);
}

static bool find_in_frame(struct finding *f, const struct frame *frame)
{
    struct slice rest = frame->manifest;
    for (uint32_t i = 0; i < frame->records; i++) {
        struct manifest_entry e;
        struct err ignored;
        if (manifest_next(&rest, &e, &ignored))
            return true;
        if (!slice_eq(e.key, f->key))
            continue;
        struct history_hit hit = {.run = f->run,
                                  .batch = frame->number,
                                  .ordinal = i,
                                  .class = e.class,
                                  .op = e.op,
                                  .payload = frame->payload};
        judge(f, &hit);
        read_fields(f, frame, &hit);
        if (!f->cb(f->ctx, &hit))
            return false;
    }
    return true;
}

/* ---- one run ---- */

static void find_in_file(struct finding *f, struct slice file)
{
    while (file.n >= FRAME_HEADER_BYTES && !f->stopped) {
        struct frame frame;
        struct err ignored;
        size_t n = frame_size(file.p);
        if (!n || n > file.n || frame_parse(slice_of(file.p, n), &frame, &ignored))
            return;
        if (frame.kind == FRAME_BATCH && !find_in_frame(f, &frame))
            f->stopped = true;
        file = slice_of(file.p + n, file.n - n);
    }
}

static void find_in_run(struct finding *f, const char *state_dir, const char *run)
{
    char path[PATH_MAX];
    if (!history_path(state_dir, run, ".notes", path))
        return;
    CLEANUP(unmap) struct slice notes = map_file(path);
    history_path(state_dir, run, "", path);
    CLEANUP(unmap) struct slice file = map_file(path);
    f->notes = notes;
    find_in_file(f, file);
}

static enum err_code walk(struct finding *f, const char *state_dir, struct state *state,
                          const char *sync, struct err *err)
{
    struct history_file *files;
    size_t count;
    enum err_code rc = history_files(state_dir, &files, &count, err);
    for (size_t i = 0; i < count && !rc && !f->stopped; i++) {
        struct run_record run;
        rc = state_run_get(state, files[i].run, &run, err);
        if (rc == ERR_NOTFOUND) { /* forgotten: so is what it sent */
            rc = ERR_OK;
            continue;
        }
        if (rc || (sync && strcmp(run.sync, sync) != 0))
            continue;
        f->run = &run;
        find_in_run(f, state_dir, files[i].run);
    }
    free(files);
    return rc;
}

enum err_code history_find(const char *state_dir, struct state *state, const char *sync,
                           struct slice key, history_cb cb, void *ctx, struct err *err)
{
    struct finding f = {.key = key, .reader = batch_reader_new(), .cb = cb, .ctx = ctx};
    buf_init(&f.text, HISTORY_FIELDS_MAX);
    enum err_code rc = f.reader ? walk(&f, state_dir, state, sync, err)
                                : err_set(err, ERR_NOMEM, "no memory for the history");
    batch_reader_free(f.reader);
    buf_done(&f.text);
    return rc;
}

/* ---- erasing ---- */

static bool any_in_frame(const struct frame *frame, const struct run_record *run,
                         history_match match, void *ctx)
{
    struct slice rest = frame->manifest;
    for (uint32_t i = 0; i < frame->records; i++) {
        struct manifest_entry e;
        struct err ignored;
        if (manifest_next(&rest, &e, &ignored))
            return true;
        struct history_trace trace = {.run = run, .key = e.key, .identity = e.identity};
        if (match(ctx, &trace))
            return true;
    }
    return false;
}

static bool any_in_notes(struct slice notes, const struct run_record *run, history_match match,
                         void *ctx)
{
    struct slice rest = notes.n > 2 ? slice_of(notes.p + 2, notes.n - 2) : (struct slice){0};
    struct note note;
    while (note_next(&rest, &note)) {
        struct history_trace trace = {.run = run, .words = note.message};
        if (match(ctx, &trace))
            return true;
    }
    return false;
}

static bool any_in_file(struct slice file, const struct run_record *run, history_match match,
                        void *ctx)
{
    while (file.n) {
        struct frame frame;
        struct err ignored;
        size_t n = file.n >= FRAME_HEADER_BYTES ? frame_size(file.p) : 0;
        if (!n || n > file.n || frame_parse(slice_of(file.p, n), &frame, &ignored))
            return true; /* what cannot be read may be what is to be erased */
        if (frame.kind == FRAME_BATCH && any_in_frame(&frame, run, match, ctx))
            return true;
        file = slice_of(file.p + n, file.n - n);
    }
    return false;
}

static enum err_code erase_one(const char *state_dir, struct state *state, const char *id,
                               history_match match, void *ctx, uint64_t *runs, struct err *err)
{
    struct run_record run;
    char path[PATH_MAX];
    enum err_code rc = state_run_get(state, id, &run, err);
    if (rc && rc != ERR_NOTFOUND)
        return rc;
    if (!history_path(state_dir, id, ".notes", path))
        return ERR_OK;
    CLEANUP(unmap) struct slice notes = map_file(path);
    history_path(state_dir, id, "", path);
    CLEANUP(unmap) struct slice file = map_file(path);
    if (!rc && !any_in_file(file, &run, match, ctx) && !any_in_notes(notes, &run, match, ctx))
        return ERR_OK;
    history_drop(state_dir, id);
    (*runs)++;
    return ERR_OK;
}

enum err_code history_erase(const char *state_dir, struct state *state, history_match match,
                            void *ctx, uint64_t *ret_runs, struct err *err)
{
    struct history_file *files;
    size_t count;
    *ret_runs = 0;
    enum err_code rc = history_files(state_dir, &files, &count, err);
    for (size_t i = 0; i < count && !rc; i++)
        rc = erase_one(state_dir, state, files[i].run, match, ctx, ret_runs, err);
    free(files);
    return rc;
}
