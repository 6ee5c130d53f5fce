#include "worker/worker.h"

int main(int argc, char **argv)
{
    struct worker_options options;
    int status = worker_options_parse(argc, argv, &options);
    return status == OPTIONS_RUN ? worker_run(&options) : status;
}
