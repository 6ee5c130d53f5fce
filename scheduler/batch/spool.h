/*
 * The spool of a run: its planned batches, appended to a checksummed file before anything is
 * published.
 *
 * Takes frames, gives them back by number. Invariant: a frame that spool_durable covers survives a
 * crash of the machine. Appending never waits for the disk: a thread of its own syncs in groups and
 * tells the loop. A crash leaves a torn tail at worst; opening the file again cuts it off, since it
 * was never published.
 */
#ifndef SLUICE_BATCH_SPOOL_H
#define SLUICE_BATCH_SPOOL_H

#include "scheduler/batch/frame.h"

struct event_base;
struct spool;

/** Called on the loop whenever more frames became durable, or once with err when syncing failed. */
typedef void (*spool_cb)(void *ctx, const struct err *err);

/** Creates the file (it must not exist). */
enum err_code spool_create(struct event_base *base, const char *path, spool_cb cb, void *ctx,
                           struct spool **ret_spool, struct err *err) MUST_CHECK;
/**
 * Opens an existing file and reads it through: *ret_damaged tells that a frame before the last was
 * unreadable (then only those before it are there). A torn tail is cut off silently.
 */
enum err_code spool_open(struct event_base *base, const char *path, spool_cb cb, void *ctx,
                         struct spool **ret_spool, bool *ret_damaged, struct err *err) MUST_CHECK;
/** Waits for a sync under way; keeps the file. Accepts NULL. */
void spool_close(struct spool *s);
enum err_code spool_remove(const char *path, struct err *err) MUST_CHECK;

/**
 * Appends a frame. ERR_FULL: the disk is full, the frame is kept in memory and written by a later
 * append or spool_flush; the caller should pause what makes frames.
 */
enum err_code spool_append(struct spool *s, const struct frame *f, struct err *err) MUST_CHECK;
/** Writes what a full disk kept back; ERR_FULL when it still is. */
enum err_code spool_flush(struct spool *s, struct err *err) MUST_CHECK;

/** Batch frames appended so far; their numbers are 0 … count-1. */
uint64_t spool_count(const struct spool *s);
/** Records of batch frame number. */
uint32_t spool_records(const struct spool *s, uint64_t number);
/** Of the batch frames, how many would survive a crash. */
uint64_t spool_durable(const struct spool *s);
/** True when an end frame is there and would survive a crash. */
bool spool_ended(const struct spool *s);
uint64_t spool_bytes(const struct spool *s);

/** Reads batch frame number into a buffer of the spool's; borrowed until the next read. */
enum err_code spool_read(struct spool *s, uint64_t number, struct frame *ret_frame,
                         struct err *err) MUST_CHECK;
/** Counters of the last frame (batch or end); zero where there is none. */
enum err_code spool_last_counts(struct spool *s, struct frame_counts *ret_counts,
                                struct err *err) MUST_CHECK;

#endif
