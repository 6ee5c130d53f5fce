/*
 * What a project was read from: every file that a load opened, with a digest of its bytes.
 *
 * Filled by the loader, and again by whoever watches the folder: as long as nothing changed both
 * come to the same digest. The digest is for comparing within a process; it covers secrets' files
 * and must not be shown. The revision may be: it covers the YAML and SQL files alone, by their
 * paths in the folder, and is the same on every machine that has the same files. Plain data; one
 * thread at a time.
 */
#ifndef SLUICE_CONFIG_INPUTS_H
#define SLUICE_CONFIG_INPUTS_H

#include "protocol/base/err.h"
#include "protocol/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INPUTS_MAX = 10000,         /* what a load opens beyond is not watched */
    INPUT_TEXT_BYTES = 1 << 20, /* the longest YAML or SQL file that is read */
    INPUT_SECRET_BYTES = 64 << 10,
    INPUTS_REVISION_BYTES = 13,
};

enum input_kind {
    INPUT_YAML,   /* found below the folder, by its path in it */
    INPUT_FOLDER, /* the same, that could not be listed */
    INPUT_TEXT,   /* named by the YAML, by its whole path: sql_file */
    INPUT_SECRET, /* the same: ${file:…} */
};

struct input_digest {
    uint64_t low, high;
};

struct input {
    enum input_kind kind;
    int failed; /* why it could not be read; 0: it was */
    char *path;
    struct input_digest digest;
};

struct inputs {
    char *dir; /* the folder, links resolved; NULL: it cannot be opened */
    struct input *items;
    size_t count, room;
    struct input_digest digest; /* of all, once closed */
    bool incomplete;            /* memory ran out, or there are too many */
};

void inputs_init(struct inputs *in);
void inputs_done(struct inputs *in);
/** Lets go of what to holds and moves from there. */
void inputs_move(struct inputs *to, struct inputs *from);

/** Lets go of what to holds; false where there is no memory. */
bool inputs_copy(struct inputs *to, const struct inputs *from) MUST_CHECK;

void inputs_set_dir(struct inputs *in, const char *dir);
/** One file: its bytes, or why it could not be read. in may be NULL. */
void inputs_note(struct inputs *in, enum input_kind kind, const char *path, struct slice bytes,
                 int failed);
/** Sorts them and makes the digest; noting is over. */
void inputs_close(struct inputs *in);

bool inputs_same(const struct inputs *a, const struct inputs *b);
/** Twelve hex digits, of the YAML and SQL files; empty where there are none. */
void inputs_revision(const struct inputs *in, char out[INPUTS_REVISION_BYTES]);

/**
 * Reads the folder dir as it is now: its YAML files, and what else the load that gave `last` was
 * told to open. ret is closed. Errors: ERR_NOMEM. What cannot be read is part of the digest.
 */
enum err_code inputs_look(const char *dir, const struct inputs *last, struct inputs *ret,
                          struct err *err) MUST_CHECK;

#endif
