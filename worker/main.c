#include "worker/preview.h"
#include "worker/worker.h"

int main(int argc, char **argv)
{
    struct worker_options options;
    int status = worker_options_parse(argc, argv, &options);
    if (status != OPTIONS_RUN)
        return status;
    return options.render ? preview_run(&options) : worker_run(&options);
}
