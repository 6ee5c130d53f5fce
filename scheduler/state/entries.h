/*
 * Entries of one sync at one target: per primary key what the destination accepted and refused.
 *
 * A key has a slot, a small number by which bitmaps and manifests name it; slots freed in a run are
 * given out again only by a later run. Works inside the state's one transaction. No call on the
 * path of a row allocates. What the parts mean is decided by diff and tally, not here.
 */
#ifndef SLUICE_STATE_ENTRIES_H
#define SLUICE_STATE_ENTRIES_H

#include "scheduler/state/state.h"

struct state_sync;

#define SLOT_NONE UINT32_MAX

enum entry_flag {
    ENTRY_ACCEPTED = 1, /* hash is what the destination accepted */
    ENTRY_REFUSED = 2,  /* a refusal of a row is stored */
    ENTRY_DOUBT = 4,    /* it may be there in another form: never unchanged, removed with its row */
    ENTRY_ABSENT = 8,   /* its row is gone and the mode did not remove it */
    ENTRY_REMOVAL_REFUSED = 16,
    ENTRY_IDENTITY = 32, /* identities are stored for it */
    ENTRY_STALE = 64,    /* one of them is not its row's any more, but may be at the destination */
    ENTRY_LISTED = 128,  /* the store of rejected records may hold something about it */
};

struct entry {
    uint8_t flags;
    uint8_t hash[16];
};

/* Kept up to date by every call. */
struct state_counts {
    uint64_t stored;   /* keys */
    uint64_t accepted; /* entries with an accepted part: what guards count from */
    uint64_t refused;
    uint64_t doubt;
    uint64_t absent;
};

/* ---- the entries of a sync, by name ---- */

/** Opens a sync's entries; creates them, empty, when there are none. */
enum err_code state_sync_open(struct state *s, const char *sync, struct state_sync **ret_sync,
                              struct err *err) MUST_CHECK;
/**
 * Opens the entries that a held run plans against while the sync's own stay: those of a new target.
 * Made empty where there are none; those that exist are given again (state_sync_drop_fresh starts
 * over).
 */
enum err_code state_sync_open_fresh(struct state *s, const char *sync, struct state_sync **ret_sync,
                                    struct err *err) MUST_CHECK;
/** Does the sync have fresh entries that wait for approval? */
enum err_code state_sync_has_fresh(struct state *s, const char *sync, bool *ret_has,
                                   struct err *err) MUST_CHECK;
/** Approval: the fresh entries become the sync's; the old ones go (state_sweep). None may be open.
 */
enum err_code state_sync_adopt_fresh(struct state *s, const char *sync, struct err *err) MUST_CHECK;
/** The hold was replaced: the fresh entries go (state_sweep). Not while open. */
enum err_code state_sync_drop_fresh(struct state *s, const char *sync, struct err *err) MUST_CHECK;
/** The sync is gone: all its entries go (state_sweep). Not while open. */
enum err_code state_sync_drop(struct state *s, const char *sync, struct err *err) MUST_CHECK;
/** Accepts NULL. */
void state_sync_close(struct state_sync *ss);

/** Counts of a sync by name, also in a read-only state; ERR_NOTFOUND when it has no entries. */
enum err_code state_sync_look(struct state *s, const char *sync, struct state_counts *ret_counts,
                              struct err *err) MUST_CHECK;

/* What is known of one key; for people. */
struct entry_view {
    uint8_t flags;          /* enum entry_flag; 0: nothing */
    int64_t refused_due_ms; /* wall clock; 0: not by time */
    char refused[1024 + 1]; /* the destination's words about its row, else about its removal; empty:
                               none */
};
/** Of a writer's state, the entries open or not. ERR_NOTFOUND: the key is unknown. */
enum err_code state_entry_look(struct state *s, const char *sync, struct slice key,
                               struct entry_view *ret, struct err *err) MUST_CHECK;

struct state *state_sync_state(struct state_sync *ss);
const char *state_sync_name(const struct state_sync *ss);
struct state_counts state_sync_counts(const struct state_sync *ss);
/** The target's fingerprint (16 bytes); false while none is set. */
bool state_sync_target(const struct state_sync *ss, uint8_t *out);
enum err_code state_sync_set_target(struct state_sync *ss, const uint8_t *target,
                                    struct err *err) MUST_CHECK;
/** Grows with everything that makes a plan out of date: a run begun, a verdict, a retry. */
uint64_t state_sync_version(const struct state_sync *ss);
enum err_code state_sync_touch(struct state_sync *ss, struct err *err) MUST_CHECK;
/** A new run begins: slots freed before it may be given out again. diff_new calls it. */
enum err_code state_sync_begin(struct state_sync *ss, struct err *err) MUST_CHECK;
/** Number of the run that began last, from 1. */
uint32_t state_sync_generation(const struct state_sync *ss);
/** One more than the highest slot in use: how long a bitmap of slots must be. */
uint32_t state_sync_slots(const struct state_sync *ss);

/* ---- keys and entries ---- */

/** *ret_slot is SLOT_NONE for an unknown key. Ascending keys are found without a search. */
enum err_code state_key_find(struct state_sync *ss, struct slice key, uint32_t *ret_slot,
                             struct err *err) MUST_CHECK;
/** Finds the key or gives it a slot with an empty entry. */
enum err_code state_key_take(struct state_sync *ss, struct slice key, uint32_t *ret_slot,
                             bool *ret_new, struct err *err) MUST_CHECK;

enum err_code state_entry_get(struct state_sync *ss, uint32_t slot, struct entry *ret_entry,
                              struct err *err) MUST_CHECK;
/** Keeps the counts. */
enum err_code state_entry_put(struct state_sync *ss, uint32_t slot, const struct entry *entry,
                              struct err *err) MUST_CHECK;
/** Removes key, entry, refusals and identities. The slot is given out again by a later run. */
enum err_code state_entry_delete(struct state_sync *ss, struct slice key, uint32_t slot,
                                 struct err *err) MUST_CHECK;

/** A scan over the keys in their byte order; entries may change and go while it is under way. */
struct state_scan {
    uint8_t after[512]; /* key of the store that was given last */
    size_t after_bytes;
    bool ended;
};
/** Returns false to stop after this key: the scan goes on behind it. key is borrowed for the call.
 */
typedef bool (*state_scan_cb)(void *ctx, uint32_t slot, struct slice key);
/**
 * Goes on where the scan stands (all zero: at the start) over at most max keys, and calls back for
 * those whose bit in seen is not set. seen has state_sync_slots() bits at least; NULL: none is set.
 * The callback must not write.
 */
enum err_code state_scan_unseen(struct state_sync *ss, struct state_scan *scan, const uint8_t *seen,
                                size_t max, state_scan_cb cb, void *ctx,
                                struct err *err) MUST_CHECK;

/* ---- refusals ---- */

enum refusal_kind { REFUSAL_ROW, REFUSAL_REMOVAL, REFUSAL_IDENTITY };
enum { REFUSAL_REASON_MAX = 1024 };

struct refusal {
    uint8_t hash[16]; /* row: row hash mixed with the mapping's fingerprint; else the fingerprint */
    int64_t due_ms;   /* wall clock; 0: not by time */
    struct slice reason; /* borrowed until the next call */
};
/** ERR_NOTFOUND where there is none. */
enum err_code state_refusal_get(struct state_sync *ss, uint32_t slot, enum refusal_kind kind,
                                struct refusal *ret, struct err *err) MUST_CHECK;
enum err_code state_refusal_put(struct state_sync *ss, uint32_t slot, enum refusal_kind kind,
                                const struct refusal *r, struct err *err) MUST_CHECK;
/** Fine where there is none. */
enum err_code state_refusal_delete(struct state_sync *ss, uint32_t slot, enum refusal_kind kind,
                                   struct err *err) MUST_CHECK;

/* ---- identities: which records of the destination an entry may own ---- */

enum identity_mark {
    IDENTITY_LIVE = 1,     /* the entry's row had it when last read; at most one per entry */
    IDENTITY_ACCEPTED = 2, /* the destination accepted a record of this name */
    IDENTITY_MAYBE = 4,    /* it may have */
    IDENTITY_REFUSED =
        8, /* its removal was refused: REFUSAL_IDENTITY of the slot says under which mapping */
};
enum { IDENTITY_MAX = 32, IDENTITY_BYTES_MAX = 1024 };

struct identity {
    uint8_t marks;
    struct slice bytes; /* key.h */
};
struct identity_list {
    struct slice key;       /* key bytes of the entry: for messages */
    struct identity *items; /* IDENTITY_MAX at most */
    size_t count;
};

struct identity_owner {
    uint32_t slot; /* SLOT_NONE: nobody */
    uint8_t marks;
    uint32_t held; /* generation in which a row that does not own it was seen to have it; 0: none */
};
/** Whose is it? */
enum err_code state_identity_find(struct state_sync *ss, struct slice bytes,
                                  struct identity_owner *ret, struct err *err) MUST_CHECK;
/** All of a slot's; borrowed from ss until the next call of this function. Items may be changed in
 * place. */
enum err_code state_identity_list(struct state_sync *ss, uint32_t slot, struct identity_list *ret,
                                  struct err *err) MUST_CHECK;
/**
 * Replaces the slot's list (which may be the one last given) and moves ownership with it: an
 * identity that another slot has is taken from that slot's list. Sets ENTRY_IDENTITY and
 * ENTRY_STALE of the slots concerned. Errors: ERR_FULL above IDENTITY_MAX or IDENTITY_BYTES_MAX.
 */
enum err_code state_identity_set(struct state_sync *ss, uint32_t slot,
                                 const struct identity_list *list, struct err *err) MUST_CHECK;
/** Notes that a row which does not own it has this identity in the present generation; fine for an
 * unknown one. */
enum err_code state_identity_hold(struct state_sync *ss, struct slice bytes,
                                  struct err *err) MUST_CHECK;

#endif
