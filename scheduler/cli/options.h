/*
 * The options of all commands, in one table: parsing, help, completion and the manual page go by
 * it.
 *
 * Gives struct cli_options. Pure but for getopt's state. One thread.
 */
#ifndef SLUICE_CLI_OPTIONS_H
#define SLUICE_CLI_OPTIONS_H

#include "scheduler/cli/cli.h"

struct cli_option {
    int letter;        /* as in struct command's options */
    const char *name;  /* without its dashes */
    const char *value; /* what it takes, as help shows it; NULL: nothing */
    const char *help;  /* lines */
    bool brief;        /* the letter is an option too */
    bool common;       /* of every command */
};

/** Those that every command takes come first. */
extern const struct cli_option cli_option_table[];
extern const size_t cli_option_count;

/** Does the command take this option? */
bool cli_takes(const struct command *c, const struct cli_option *o);
/** Prints the lines of --help. */
void cli_print_options(const struct command *c);

/** --shard: the environment's, so that processes started by this one have it too. */
bool cli_set_shard(const char *text);

enum cli_parse_result {
    CLI_PARSED,
    CLI_HELP,    /* --help was among them */
    CLI_MISTAKE, /* text says which */
};
/** Reads the options of the command line argv (argv[0] is the command) into o; what is left becomes
 * its names. */
enum cli_parse_result cli_parse(const struct command *c, int argc, char **argv,
                                struct cli_options *o, char *text, size_t text_bytes);

#endif
