#include "scheduler/cli/cli.h"

#include <signal.h>

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a lost connection is an error where it is used */
    return cli_main(argc, argv);
}
