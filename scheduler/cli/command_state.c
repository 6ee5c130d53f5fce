/* sluice state: export, import, backup; of single syncs see state_part.c. */
#include "scheduler/cli/cli.h"
#include "scheduler/cli/print.h"
#include "scheduler/cli/shards.h"
#include "scheduler/cli/state_part.h"
#include "scheduler/run/lock.h"
#include "scheduler/state/transfer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_standard(const char *file)
{
    return strcmp(file, "-") == 0;
}

static int tell(const struct cli_options *o, const char *what, const struct transfer_counts *c)
{
    char n[PRINT_NUMBER_BYTES], ended[PRINT_NUMBER_BYTES];
    FILE *out = is_standard(o->names[1]) ? stderr : stdout; /* which may be the export itself */
    if (o->json && out == stdout) {
        printf("{\"pairs\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"runs_ended\":%" PRIu64 "}\n",
               c->pairs, c->bytes, c->runs_ended);
        return EXIT_OK;
    }
    fprintf(out, "%s", what);
    if (c->pairs)
        fprintf(out, ": %s pairs", print_number(c->pairs, n));
    if (c->runs_ended)
        fprintf(out, "; %s runs that were under way are failed there",
                print_number(c->runs_ended, ended));
    fputc('\n', out);
    return EXIT_OK;
}

/* ---- export ---- */

enum err_code state_file_make(const char *path, FILE **ret, struct err *err)
{
    int fd = is_standard(path) ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (!is_standard(path) && fd < 0)
        return errno == EEXIST
                   ? err_set(err, ERR_USAGE, "%s is there already: name another file", path)
                   : err_errno(err, errno, "%s cannot be written", path);
    *ret = fd < 0 ? stdout : fdopen(fd, "w");
    return *ret ? ERR_OK : err_errno(err, errno, "%s cannot be written", path);
}

enum err_code state_file_close(FILE *f, enum err_code rc, const char *path, struct err *err)
{
    if (f == stdout)
        return rc;
    if (!rc && fsync(fileno(f)))
        rc = err_errno(err, errno, "%s cannot be synced", path);
    if (fclose(f) && !rc)
        rc = err_errno(err, errno, "%s cannot be written", path);
    if (rc)
        unlink(path);
    return rc;
}

static enum err_code export_state(const struct cli_options *o, const struct project *p,
                                  struct transfer_counts *c, struct err *err)
{
    const char *dir = p->settings.state_dir;
    if (o->name_count > 2)
        return state_part_to_file(o, p, c, err);
    const char *path = o->names[1];
    FILE *f;
    enum err_code rc = state_file_make(path, &f, err);
    if (!rc)
        rc = state_file_close(f, state_export(dir, f, c, err), path, err);
    return rc;
}

/* ---- import ---- */

/* Spools belong to the state that goes. */
static enum err_code check_place(const struct cli_options *o, const char *dir, struct err *err)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/state.lmdb", dir);
    if (!o->replace && stat(path, &st) == 0)
        return err_set(
            err, ERR_USAGE,
            "%s has a state already: import into an empty state_dir, or give --replace to "
            "lose what is there",
            dir);
    return ERR_OK;
}

static void drop_spools(const char *dir)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/spool", dir);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (*e->d_name != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
}

static enum err_code import_state(const struct cli_options *o, const struct project *p,
                                  struct transfer_counts *c, struct err *err)
{
    const char *path = o->names[1], *dir = p->settings.state_dir;
    if (o->merge)
        return state_part_from_file(o, p, c, err);
    struct state_lock lock;
    FILE *f = is_standard(path) ? stdin : fopen(path, "re");
    if (!f)
        return err_set(err, ERR_USAGE, "%s cannot be read: %s", path, strerror(errno));
    enum err_code rc = state_lock_take(&lock, dir, err);
    if (!rc)
        rc = check_place(o, dir, err);
    if (!rc)
        rc = state_import(dir, f, c, err);
    if (!rc)
        drop_spools(dir);
    state_lock_release(&lock);
    if (f != stdin)
        fclose(f);
    return rc;
}

/* ---- backup ---- */

static enum err_code backup_state(const struct cli_options *o, const struct project *p,
                                  struct transfer_counts *c, struct err *err)
{
    const char *to = o->names[1], *dir = p->settings.state_dir;
    char path[PATH_MAX];
    struct stat st;
    if (mkdir(to, 0700) && errno != EEXIST)
        return err_errno(err, errno, "%s cannot be made", to);
    if ((size_t)snprintf(path, sizeof path, "%s/state.lmdb", to) >= sizeof path)
        return err_set(err, ERR_USAGE, "the path %s is too long", to);
    if (stat(path, &st) == 0)
        return err_set(err, ERR_USAGE, "%s has a state already: name another folder", to);
    return state_backup(dir, to, c, err);
}

static const struct {
    const char *name;
    enum err_code (*run)(const struct cli_options *, const struct project *,
                         struct transfer_counts *, struct err *);
    const char *done;
    size_t names_max;
} parts[] = {
    {"export", export_state, "exported", SIZE_MAX},
    {"import", import_state, "imported", 2},
    {"backup", backup_state, "backed up", 2},
    {"drop", state_part_drop_named, "dropped", SIZE_MAX},
};

int command_state(const struct cli_options *opts)
{
    struct project *project = NULL;
    struct transfer_counts counts = {0};
    struct err err = {0};
    size_t i = 0;
    while (i < ARRAY_LEN(parts) && strcmp(parts[i].name, opts->names[0]) != 0)
        i++;
    if (i == ARRAY_LEN(parts)) {
        err_set(&err, ERR_USAGE, "write sluice state export, import, backup or drop, not %s",
                opts->names[0]);
        return cli_fail(&err);
    }
    if (opts->name_count > parts[i].names_max) {
        err_set(&err, ERR_USAGE, "state %s does not take %s", parts[i].name,
                opts->names[parts[i].names_max]);
        return cli_fail(&err);
    }
    int status = cli_load(opts, &project);
    if (!status)
        status = cli_check_shard(project);
    if (status) {
        project_free(project);
        return status;
    }
    enum err_code rc = parts[i].run(opts, project, &counts, &err);
    status = rc ? cli_fail(&err) : tell(opts, parts[i].done, &counts);
    project_free(project);
    return status;
}
