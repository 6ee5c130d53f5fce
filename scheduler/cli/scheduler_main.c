#include "scheduler/cli/scheduler_main.h"

int main(int argc, char **argv)
{
    return scheduler_main(argc, argv);
}
