#include "protocol/config/inputs.h"

#include "protocol/config/files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    ROOM_FIRST = 32,
    LOOK_ARENA_BYTES = 64 << 20,
};

void inputs_init(struct inputs *in)
{
    *in = (struct inputs){0};
}

void inputs_done(struct inputs *in)
{
    for (size_t i = 0; i < in->count; i++)
        free(in->items[i].path);
    free(in->items);
    free(in->dir);
    inputs_init(in);
}

void inputs_move(struct inputs *to, struct inputs *from)
{
    inputs_done(to);
    *to = *from;
    inputs_init(from);
}

bool inputs_copy(struct inputs *to, const struct inputs *from)
{
    struct inputs copy = {.digest = from->digest, .incomplete = from->incomplete};
    copy.items = calloc(from->count ? from->count : 1, sizeof *copy.items);
    copy.dir = from->dir ? strdup(from->dir) : NULL;
    bool whole = copy.items && (copy.dir || !from->dir);
    for (size_t i = 0; whole && i < from->count; i++) {
        copy.items[i] = from->items[i];
        copy.items[i].path = strdup(from->items[i].path);
        whole = copy.items[i].path != NULL;
        copy.count += whole;
    }
    copy.room = copy.count;
    inputs_move(to, &copy);
    if (!whole)
        inputs_done(to);
    return whole;
}

/* ---- noting ---- */

static bool make_room(struct inputs *in)
{
    if (in->count < in->room)
        return true;
    size_t room = in->room ? in->room * 2 : ROOM_FIRST;
    struct input *items = in->count < INPUTS_MAX ? realloc(in->items, room * sizeof *items) : NULL;
    if (!items)
        return false;
    in->items = items;
    in->room = room;
    return true;
}

void inputs_set_dir(struct inputs *in, const char *dir)
{
    if (!in)
        return;
    free(in->dir);
    in->dir = strdup(dir);
    in->incomplete |= !in->dir;
}

void inputs_note(struct inputs *in, enum input_kind kind, const char *path, struct slice bytes,
                 int failed)
{
    if (!in)
        return;
    char *copy = strdup(path);
    if (!copy || !make_room(in)) {
        free(copy);
        in->incomplete = true;
        return;
    }
    XXH128_hash_t h = XXH3_128bits(bytes.p, failed ? 0 : bytes.n);
    in->items[in->count++] =
        (struct input){.kind = kind, .failed = failed, .path = copy, .digest = {h.low64, h.high64}};
}

/* ---- digests ---- */

static int by_path(const void *left, const void *right)
{
    const struct input *a = left, *b = right;
    int order = strcmp(a->path, b->path);
    return order ? order : (int)a->kind - (int)b->kind;
}

/* A file that is named twice is there once, as it was read last. */
static void drop_repeated(struct inputs *in)
{
    size_t kept = 0;
    for (size_t i = 0; i < in->count; i++) {
        bool again = kept && by_path(&in->items[kept - 1], &in->items[i]) == 0;
        if (again)
            free(in->items[--kept].path);
        in->items[kept++] = in->items[i];
    }
    in->count = kept;
}

/* The name with its end, so that no two lists of names and digests give the same bytes. */
static void add(XXH3_state_t *sum, const char *path, const struct input *one)
{
    XXH3_128bits_update(sum, path, strlen(path) + 1);
    XXH3_128bits_update(sum, &one->digest, sizeof one->digest);
    XXH3_128bits_update(sum, &one->failed, sizeof one->failed);
}

void inputs_close(struct inputs *in)
{
    XXH3_state_t *sum = XXH3_createState();
    if (!sum) {
        in->incomplete = true;
        return;
    }
    XXH3_128bits_reset(sum);
    if (in->count)
        qsort(in->items, in->count, sizeof *in->items, by_path);
    drop_repeated(in);
    if (in->dir)
        XXH3_128bits_update(sum, in->dir, strlen(in->dir) + 1);
    for (size_t i = 0; i < in->count; i++)
        add(sum, in->items[i].path, &in->items[i]);
    XXH128_hash_t h = XXH3_128bits_digest(sum);
    in->digest = (struct input_digest){h.low64, h.high64};
    XXH3_freeState(sum);
}

bool inputs_same(const struct inputs *a, const struct inputs *b)
{
    return a->digest.low == b->digest.low && a->digest.high == b->digest.high;
}

/* As it is named in the folder, wherever that lies on this machine. */
static const char *path_inside(const struct inputs *in, const char *path)
{
    size_t n = in->dir ? strlen(in->dir) : 0;
    return n && strncmp(path, in->dir, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

static bool is_shown(const struct input *one)
{
    return one->kind == INPUT_YAML || one->kind == INPUT_TEXT;
}

void inputs_revision(const struct inputs *in, char out[INPUTS_REVISION_BYTES])
{
    XXH3_state_t *sum = XXH3_createState();
    size_t shown = 0;
    *out = '\0';
    if (!sum)
        return;
    XXH3_128bits_reset(sum);
    for (size_t i = 0; i < in->count; i++) {
        if (!is_shown(&in->items[i]))
            continue;
        add(sum, path_inside(in, in->items[i].path), &in->items[i]);
        shown++;
    }
    XXH128_hash_t h = XXH3_128bits_digest(sum);
    XXH3_freeState(sum);
    if (shown)
        snprintf(out, INPUTS_REVISION_BYTES, "%08x%04x", (unsigned)(h.high64 >> 32),
                 (unsigned)(h.high64 & 0xffff));
}

/* ---- looking ---- */

/* bytes is emptied first, and keeps its room from file to file. */
static void note_file(struct inputs *in, enum input_kind kind, const char *path, const char *whole,
                      struct buf *bytes)
{
    struct err err;
    buf_reset(bytes);
    bytes->max = kind == INPUT_SECRET ? INPUT_SECRET_BYTES : INPUT_TEXT_BYTES;
    int failed = (int)file_read(whole, bytes, &err);
    inputs_note(in, kind, path, buf_slice(bytes), failed);
}

static void look(struct reader *rd, const struct inputs *last, struct buf *bytes)
{
    struct file_list files = {0};
    struct inputs *in = rd->inputs;
    if (in->dir)
        files_find(rd, &files);
    for (size_t i = 0; i < files.count && !rd->failed; i++) {
        const char *whole = reader_path(rd, files.paths[i]);
        if (whole)
            note_file(in, INPUT_YAML, files.paths[i], whole, bytes);
    }
    for (size_t i = 0; i < last->count; i++) {
        const struct input *one = &last->items[i];
        if (one->kind == INPUT_TEXT || one->kind == INPUT_SECRET)
            note_file(in, one->kind, one->path, one->path, bytes);
    }
}

enum err_code inputs_look(const char *dir, const struct inputs *last, struct inputs *ret,
                          struct err *err)
{
    char whole[PATH_MAX];
    struct project project = {.dir = ""};
    struct problem_list problems;
    struct reader rd = {.project = &project, .problems = &problems, .inputs = ret};
    CLEANUP(buf_done) struct buf bytes;
    inputs_done(ret);
    buf_init(&bytes, INPUT_TEXT_BYTES);
    problem_list_init(&problems);
    arena_init(&project.arena, LOOK_ARENA_BYTES);
    if (realpath(dir, whole)) {
        inputs_set_dir(ret, whole);
        project.dir = whole;
    }
    look(&rd, last, &bytes);
    inputs_close(ret);
    arena_done(&project.arena);
    problem_list_done(&problems);
    return rd.failed || ret->incomplete ? err_set(err, ERR_NOMEM, "no memory to look at %s", dir)
                                        : ERR_OK;
}
