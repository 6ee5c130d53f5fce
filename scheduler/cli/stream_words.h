/*
 * Streams in words for people: what the API tells of one, as a line.
 */
#ifndef SLUICE_CLI_STREAM_WORDS_H
#define SLUICE_CLI_STREAM_WORDS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { STREAM_WORDS_BYTES = 1024, STREAM_SIZE_BYTES = 32 };

/** "flowing, up to date; 3 records in flight", "resting: connection refused; 12 s behind": of the
 * API's `stream`, into out, which it returns. */
const char *stream_words(const json_t *stream, char out[STREAM_WORDS_BYTES]);
/** 4.2 GB: into out, which it returns. */
const char *stream_size(int64_t bytes, char out[STREAM_SIZE_BYTES]);

#endif
