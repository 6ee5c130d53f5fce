/* Where `sluice init` writes: first to a folder of its own, to be checked as a project, then to
 * DIR. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOWN_MAX = 5 };

static const char project_file[] = "sluice.yaml";
static const char ignore_file[] = ".gitignore";
static const char ignore_text[] =
    "# What the destinations have accepted: belongs to this machine.\n"
    ".sluice/\n"
    "# Secrets\n.env\n";

/* A fresh repository counts as empty. */
static bool is_nothing(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, ".git") == 0;
}

enum err_code init_folder_free(const char *dir, struct err *err)
{
    CLEANUP(buf_done) struct buf found;
    buf_init(&found, SHOWN_MAX * (NAME_MAX + 2));
    size_t count = 0;
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT ? ERR_OK : err_set(err, ERR_USAGE, "%s: %s", dir, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (is_nothing(e->d_name) || count++ >= SHOWN_MAX)
            continue;
        if (buf_printf(&found, "%s%s", found.len ? ", " : "", e->d_name))
            break;
    }
    closedir(d);
    if (!count)
        return ERR_OK;
    return err_set(err, ERR_USAGE,
                   "%s is not empty: it has %s%s; name another folder (nothing is overwritten)",
                   dir, buf_cstr(&found), count > SHOWN_MAX ? " and more" : "");
}

/* Never over what is there. */
static enum err_code write_file(const char *dir, const char *name, struct slice text,
                                struct err *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return err_set(err, ERR_USAGE, "the path %s is too long", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, errno, "%s cannot be written", path);
    ssize_t n = write(fd, text.p, text.n);
    int e = n < 0 ? errno : ENOSPC;
    if (close(fd) == 0 && n == (ssize_t)text.n)
        return ERR_OK;
    unlink(path);
    return err_errno(err, e, "%s cannot be written", path);
}

/* ---- the trial ---- */

static const char *trial_value(const struct option *o)
{
    switch (o->kind) {
    case OPTION_NUMBER:
    case OPTION_DIGITS:
        return "1";
    case OPTION_BOOL:
        return "true";
    case OPTION_TEXT:
    case OPTION_MAP:
        break;
    }
    return o->one_of_count ? o->one_of[0] : strstr(o->name, "url") ? "http://127.0.0.1/" : "x";
}

static void set_variable(const char *name, const char *value)
{
    const char *before = getenv(name);
    if (!before || !*before)
        setenv(name, value, 1);
}

static void set_variables(const struct init_plan *plan)
{
    set_variable(plan->variable, "postgresql:///x");
    for (size_t i = 0; i < plan->option_count; i++)
        if (!plan->options[i].value)
            set_variable(plan->options[i].variable, trial_value(plan->options[i].option));
}

static void remove_trial(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, project_file);
    unlink(path);
    rmdir(dir);
}

/* True when the text is a project without a mistake; says every mistake otherwise. */
static bool is_right(struct slice text, const struct init_plan *plan, struct err *err)
{
    char dir[] = "/tmp/sluice-init-XXXXXX";
    struct project *project = NULL;
    if (!mkdtemp(dir)) {
        err_errno(err, errno, "no folder for a trial in /tmp");
        return false;
    }
    bool ok = write_file(dir, project_file, text, err) == ERR_OK;
    if (ok) {
        set_variables(plan);
        struct cli_options where = {.dir = dir};
        ok = cli_load(&where, &project) == EXIT_OK;
        project_free(project);
        err_set(err, ERR_CONFIG,
                "nothing was written, because the project would not be right (above); --map, "
                "--set, --object, --primary-key and --identify-by say what cannot be guessed");
    }
    remove_trial(dir);
    return ok;
}

int init_write(const char *dir, const struct init_plan *plan)
{
    struct err err;
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 64 << 20);
    enum err_code rc = init_yaml(&text, plan);
    if (rc)
        err_set(&err, rc, "no memory for the project's text");
    if (rc || !is_right(buf_slice(&text), plan, &err))
        return cli_fail(&err);
    if (mkdir(dir, 0755) && errno != EEXIST)
        rc = err_errno(&err, errno, "%s cannot be made", dir);
    if (!rc)
        rc = write_file(dir, project_file, buf_slice(&text), &err);
    if (!rc && access(dir, W_OK) == 0)
        rc = write_file(dir, ignore_file, slice_str(ignore_text), &err);
    return rc ? cli_fail(&err) : EXIT_OK;
}
