/*
 * A project folder that is watched: says when it has changed and has come to rest.
 *
 * A thread of its own reads the files (a network file system may let it wait) and compares their
 * digest with what was loaded; inotify makes it look at once, and it looks every two seconds
 * without. It uses 2 % of a processor at most. Nothing is loaded here: whoever is told does that,
 * on its own thread, and says what it read.
 */
#ifndef SLUICE_WATCH_WATCH_H
#define SLUICE_WATCH_WATCH_H

#include "protocol/config/inputs.h"

struct event_base;
struct watch;

/** On the loop's thread. The folder is to be loaded; watch_loaded says what came of it. */
typedef void (*watch_cb)(void *ctx);

/**
 * Begins. named: the folder as it was named, absolute; links are followed anew each time. loaded:
 * what is in force, copied. Owned: watch_free. Errors: ERR_NOMEM, ERR_IO.
 */
enum err_code watch_new(struct event_base *base, const char *named, const struct inputs *loaded,
                        watch_cb cb, void *ctx, struct watch **ret_watch,
                        struct err *err) MUST_CHECK;
/** The folder was read, by whomever it was asked for, and taken or refused: this was in it. */
void watch_loaded(struct watch *w, const struct inputs *loaded);
/** Returns at once; the thread ends when its look does. Accepts NULL. */
void watch_free(struct watch *w);

#endif
