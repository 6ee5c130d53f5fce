/*
 * What an answer means for the records of its request: plain data between whoever judges answers
 * and whoever settles batches.
 *
 * Everything lives in the arena of the request that was answered.
 */
#ifndef SLUICE_DELIVER_OUTCOME_H
#define SLUICE_DELIVER_OUTCOME_H

#include "protocol/base/slice.h"
#include "protocol/wire/result.h"

#include <stdint.h>

enum outcome_kind {
    OUTCOME_ANSWERED, /* accepted, except for the entries */
    OUTCOME_CONTINUE, /* the batch goes on with another request; entries have their verdict already
                       */
    OUTCOME_RETRY,    /* an attempt failed */
    OUTCOME_THROTTLE, /* the destination asks to be asked less often */
    OUTCOME_STOP,     /* credentials or address are wrong: the run must end */
    OUTCOME_REFUSED,  /* some record in it is bad; a request of one record: that one */
    OUTCOME_ALL,      /* every record without an entry gets `rest` */
};

/* A record that was not accepted although the request was. */
struct outcome_entry {
    uint32_t index;       /* position in the request */
    enum verdict verdict; /* OPEN (send it again), OK, REJECTED, NOT_FOUND or FAILED */
    struct slice message;
};

struct outcome {
    enum outcome_kind kind;
    bool unsure; /* the records may have reached the destination and nothing sure was said */
    bool bug;    /* the answer made no sense; kind is OUTCOME_RETRY */
    int64_t retry_after_ms;              /* -1: the answer named none; THROTTLE, RETRY */
    struct slice message;                /* the remote's words; empty for ANSWERED */
    const struct outcome_entry *entries; /* ascending indexes; ANSWERED, CONTINUE and ALL only */
    size_t entry_count;
    enum verdict rest;     /* ALL: of the records without an entry */
    struct slice warning;  /* accepted, but the destination counted some that it did not like */
    struct slice progress; /* CONTINUE, RETRY, THROTTLE: what the batch has then; empty: anew */
    int64_t delay_ms;      /* CONTINUE: until the next request; 0: at once */
    uint64_t
        pause_ms; /* the destination is to be left alone for so long, though it did not throttle */
    uint64_t hold_ms;    /* and the batch's lane */
    uint32_t next_group; /* CONTINUE, RETRY, THROTTLE: limit group of the batch's next request; 0:
                            main */
    bool next_carries_none; /* and it costs no records */
    bool open;              /* the batch is in the middle of a remote job */
    bool whole; /* the batch is part of a session: never halved, and all of it or the run ends */
    bool carried_none; /* the request that was answered cost no records */
};

#endif
