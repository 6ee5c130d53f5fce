/* A whole project from foreign bytes: loading must end, within its limits, with a project or with
 * mistakes. */
#include "protocol/config/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* One folder per process; the file in it is written anew for each input. */
static const char *folder(void)
{
    static char path[] = "/tmp/sluice-fuzz-XXXXXX";
    static const char *made;
    if (!made)
        made = mkdtemp(path);
    ensure(made);
    return made;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "%s/sluice.yaml", folder());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ensure(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    struct project *project = NULL;
    struct problem_list problems;
    struct err err;
    problem_list_init(&problems);
    enum err_code rc = project_load(folder(), &project, &problems, &err);
    ensure((rc == ERR_OK) == (project != NULL));
    ensure(rc != ERR_CONFIG || problems.mistakes > 0);
    project_free(project);
    problem_list_done(&problems);
    return 0;
}
