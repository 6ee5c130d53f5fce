#include "scheduler/source/source_ops.h"

#include <string.h>

static const struct source_ops *const implementations[] = {&postgres_source_ops};

enum err_code source_read_start(struct event_base *base, const struct model *model,
                                const struct source_events *events, struct source_read **ret_read,
                                struct err *err)
{
    return source_read_start_at(base, model, NULL, events, ret_read, err);
}

enum err_code source_read_start_at(struct event_base *base, const struct model *model,
                                   const char *snapshot, const struct source_events *events,
                                   struct source_read **ret_read, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(implementations); i++)
        if (strcmp(implementations[i]->type, model->source->type) == 0)
            return implementations[i]->start(base, model, snapshot, events, ret_read, err);
    if (source_is_redis(model->source))
        return err_set(err, ERR_CONFIG,
                       "the model %s has events, which cannot be read as rows: its syncs only "
                       "stream, while `sluice up` or sluice-scheduler runs",
                       model->name);
    return err_set(err, ERR_CONFIG,
                   "source %s: type %s is not one that can be read; write postgres",
                   model->source->name, model->source->type);
}

void source_read_pause(struct source_read *read)
{
    read->ops->pause(read);
}

void source_read_resume(struct source_read *read)
{
    read->ops->resume(read);
}

void source_read_free(struct source_read *read)
{
    if (read)
        read->ops->free(read);
}

bool source_read_lost_snapshot(const struct source_read *read)
{
    return read->ops->lost_snapshot(read);
}

uint64_t source_read_bytes(const struct source_read *read)
{
    return read->ops->bytes(read);
}
