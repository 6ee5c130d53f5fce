/* The YAML files of a project folder, and reading a file under a size limit. */
#ifndef SLUICE_CONFIG_FILES_H
#define SLUICE_CONFIG_FILES_H

#include "protocol/config/reader.h"

enum {
    FILES_LIMIT = 2000,
    FILES_DEPTH = 32, /* folders within folders */
};

struct file_list {
    const char **paths; /* relative to the project folder, in order */
    size_t count;
};

/**
 * Finds every *.yaml and *.yml below the project folder, but not in folders that begin with a dot
 * or are called node_modules, target or dbt_packages. Links to folders are not followed, but for
 * those that a kubelet makes (models -> ..data/models). What cannot be listed is a mistake.
 */
void files_find(struct reader *rd, struct file_list *ret_list);

/** Appends a file's bytes. Errors: ERR_IO with the reason, ERR_FULL past b's ceiling, ERR_NOMEM. */
enum err_code file_read(const char *path, struct buf *b, struct err *err) MUST_CHECK;

#endif
