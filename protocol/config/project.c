#include "protocol/config/config.h"

#include <stdlib.h>

void project_free(struct project *project)
{
    if (!project)
        return;
    arena_done(&project->arena);
    inputs_done(&project->inputs);
    free(project);
}

const struct sync *project_sync(const struct project *project, const char *name)
{
    for (size_t i = 0; i < project->sync_count; i++)
        if (strcmp(project->syncs[i].name, name) == 0)
            return &project->syncs[i];
    return NULL;
}

enum err_code project_no_sync(const struct project *project, const char *name, struct err *err)
{
    const char **names = calloc(project->sync_count + 1, sizeof *names);
    for (size_t i = 0; names && i < project->sync_count; i++)
        names[i] = project->syncs[i].name;
    for (size_t i = 0; i < project->elsewhere_count; i++)
        if (strcmp(project->elsewhere[i].name, name) == 0) {
            free(names);
            return err_set(err, ERR_USAGE, "%s belongs to shard %u, and this is shard %d", name,
                           project->elsewhere[i].destination->shard, project->settings.shard);
        }
    const char *near = names ? nearest_name(name, names, project->sync_count) : NULL;
    free(names);
    return err_set(err, ERR_USAGE, "the project has no sync %s%s%s%s", name,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

const struct destination *project_destination(const struct project *project, const char *name)
{
    for (size_t i = 0; i < project->destination_count; i++)
        if (strcmp(project->destinations[i].name, name) == 0)
            return &project->destinations[i];
    return NULL;
}

const char *sync_mode_name(enum sync_mode mode)
{
    switch (mode) {
    case MODE_UPSERT:
        return "upsert";
    case MODE_INSERT:
        return "insert";
    case MODE_UPDATE:
        return "update";
    case MODE_APPEND:
        return "append";
    case MODE_FULL:
        return "full";
    case MODE_MIRROR:
        return "mirror";
    }
    return "?";
}

const char *priority_name(enum priority priority)
{
    switch (priority) {
    case PRIORITY_LOW:
        return "low";
    case PRIORITY_NORMAL:
        return "normal";
    case PRIORITY_HIGH:
        return "high";
    }
    return "?";
}
