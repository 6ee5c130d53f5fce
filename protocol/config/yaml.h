/*
 * Reads one YAML file (YAML 1.1 syntax by libyaml, YAML 1.2 core types by node.h) into a tree.
 *
 * One document per file; duplicate keys, unknown tags, circles and trees beyond the limits are
 * mistakes.
 * `<<` merges a map, or a list of maps, of which the written keys win.
 */
#ifndef SLUICE_CONFIG_YAML_H
#define SLUICE_CONFIG_YAML_H

#include "protocol/config/reader.h"

enum {
    YAML_FILE_BYTES = INPUT_TEXT_BYTES,
    YAML_DEPTH = 32,
    YAML_NODES = 200000, /* aliases counted in full */
    YAML_ANCHORS = 1000,
};

/**
 * Returns the tree, NULL where the file is empty or cannot be read (then a mistake was reported).
 * The tree borrows file's name. ret_second gets the place of a second document; its line is 0
 * without one.
 */
struct node *yaml_read(struct reader *rd, const char *file, struct slice bytes,
                       struct config_place *ret_second) MUST_CHECK;

#endif
