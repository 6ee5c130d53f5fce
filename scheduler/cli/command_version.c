#include "scheduler/cli/cli.h"

#include <stdio.h>

int command_version(const struct cli_options *opts)
{
    if (opts->json)
        printf("{\"version\":\"%s\"}\n", SLUICE_VERSION);
    else
        printf("sluice %s\n", SLUICE_VERSION);
    return EXIT_OK;
}
