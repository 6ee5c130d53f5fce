/*
 * What the model of an events feed consists of: its columns, known without asking anybody.
 *
 * The feed itself is events_feed_ops of feed.h. Columns are those of the configuration, then what
 * the primary key names beside them: the entry's id, the entry's time. Any thread.
 */
#ifndef SLUICE_STREAM_EVENTS_FEED_H
#define SLUICE_STREAM_EVENTS_FEED_H

#include "protocol/base/value.h"
#include "protocol/config/config.h"

enum { EVENTS_COLUMNS_MAX = 502 };

/** Writes the columns of a model of events to out, which has room for EVENTS_COLUMNS_MAX; returns
 * how many. The names are borrowed from the model. */
size_t events_columns(const struct model *model, struct column *out);

#endif
