#include "scheduler/cli/plan_folder.h"

#include "scheduler/state/transfer.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_FILES = 16 };

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void plan_folder_done(struct plan_folder *f)
{
    if (*f->path)
        nftw(f->path, remove_entry, OPEN_FILES, FTW_DEPTH | FTW_PHYS);
    *f->path = '\0';
}

/* Beside the state where there is one: there is room for its like. */
static enum err_code make_folder(const struct project *p, struct plan_folder *f, struct err *err)
{
    const char *dir = p->settings.state_dir, *tmp = getenv("TMPDIR");
    struct stat st;
    bool there = stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && access(dir, W_OK) == 0;
    const char *at = there ? dir : tmp && *tmp ? tmp : "/tmp";
    if ((size_t)snprintf(f->path, sizeof f->path, "%s/.plan.XXXXXX", at) < sizeof f->path &&
        mkdtemp(f->path))
        return ERR_OK;
    *f->path = '\0';
    return err_errno(err, errno, "%s: no folder for a plan can be made", at);
}

static enum err_code import(const char *file, const struct plan_folder *f, struct err *err)
{
    struct transfer_counts counts;
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    if (!in)
        return err_set(err, ERR_USAGE, "%s cannot be read: %s", file, strerror(errno));
    enum err_code rc = state_import(f->path, in, &counts, err);
    if (in != stdin)
        fclose(in);
    return rc;
}

static enum err_code fill(const struct project *p, const char *export_file, struct plan_folder *f,
                          struct err *err)
{
    enum err_code rc =
        export_file ? import(export_file, f, err) : state_copy(p->settings.state_dir, f->path, err);
    f->has_state = !rc;
    return rc == ERR_NOTFOUND && !export_file ? ERR_OK : rc;
}

enum err_code plan_folder_make(const struct project *p, const char *export_file,
                               struct plan_folder *ret, struct err *err)
{
    *ret = (struct plan_folder){0};
    enum err_code rc = make_folder(p, ret, err);
    return rc ? rc : fill(p, export_file, ret, err);
}
