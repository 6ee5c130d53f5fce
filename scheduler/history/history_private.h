/* What the files of history share: names of files, notes, the walk over them. */
#ifndef SLUICE_HISTORY_PRIVATE_H
#define SLUICE_HISTORY_PRIVATE_H

#include "scheduler/history/history.h"

enum {
    NOTE_MESSAGE_MAX = 1024,
    NOTE_HEAD_BYTES = 17,
    NOTE_BYTES_MAX = NOTE_HEAD_BYTES + NOTE_MESSAGE_MAX,
    NOTES_VERSION = 1,
    HISTORY_FILES_MAX = 100000,
};

struct note {
    uint64_t batch;
    uint32_t ordinal;
    enum tally_count what;
    struct slice message;
};
/** Takes the next note off *rest; false at the end or where it is damaged. */
bool note_next(struct slice *rest, struct note *ret);

/* A run's file. */
struct history_file {
    char run[STATE_RUN_ID_MAX + 1];
    int64_t written_ns; /* when its last batch was planned */
    uint64_t bytes;     /* with its notes */
};
/** The files of the folder, newest first; an array of the caller's. None: *ret_count is 0. */
enum err_code history_files(const char *state_dir, struct history_file **ret_files,
                            size_t *ret_count, struct err *err) MUST_CHECK;
/** Path of a run's file, or of its notes, into out (PATH_MAX); false where it is too long. */
bool history_path(const char *state_dir, const char *run, const char *suffix, char *out);
/** Removes both; fine where they are not there. */
void history_drop(const char *state_dir, const char *run);

#endif
