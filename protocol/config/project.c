#include "protocol/config/config.h"

#include <stdlib.h>

void project_free(struct project *project)
{
    if (!project)
        return;
    arena_done(&project->arena);
    free(project);
}

const struct sync *project_sync(const struct project *project, const char *name)
{
    for (size_t i = 0; i < project->sync_count; i++)
        if (strcmp(project->syncs[i].name, name) == 0)
            return &project->syncs[i];
    return NULL;
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
