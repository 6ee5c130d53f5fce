/* The whole of sluice-scheduler; it shares options, messages and exit statuses with `sluice up`. */
#ifndef SLUICE_CLI_SCHEDULER_MAIN_H
#define SLUICE_CLI_SCHEDULER_MAIN_H

int scheduler_main(int argc, char **argv);

#endif
