#include "scheduler/cli/check_print.h"

#include "protocol/base/json.h"
#include "scheduler/cli/print.h"

#include <limits.h>
#include <stdio.h>
#include <xxhash.h>

bool check_form_read(const char *name, enum check_form *ret)
{
    bool github = strcmp(name, "github") == 0;
    *ret = github ? CHECK_GITHUB : CHECK_GITLAB;
    return github || strcmp(name, "gitlab") == 0;
}

static const char *kind_name(enum problem_kind kind)
{
    switch (kind) {
    case PROBLEM_MISTAKE:
        return "mistake";
    case PROBLEM_UNSUPPORTED:
        return "unsupported";
    case PROBLEM_NOTE:
        break;
    }
    return "note";
}

/* ---- for people, and JSON ---- */

enum err_code check_put_problem(struct buf *b, const struct problem *p)
{
    const char *what = p->kind == PROBLEM_NOTE ? "note: " : "";
    if (p->place.line)
        return buf_printf(b, "%s:%u:%u: %s%s\n", p->place.file, p->place.line, p->place.col, what,
                          p->text);
    return buf_printf(b, "%s%s%s%s\n", p->place.file ? p->place.file : "",
                      p->place.file ? ": " : "", what, p->text);
}

static enum err_code put_json(struct buf *b, const struct problem *p)
{
    enum err_code rc = buf_printf(b, "{\"kind\":\"%s\",\"file\":", kind_name(p->kind));
    PUT(rc, json_put_string(b, slice_str(p->place.file)));
    PUT(rc, buf_printf(b, ",\"line\":%u,\"col\":%u,\"text\":", p->place.line, p->place.col));
    PUT(rc, json_put_string(b, slice_str(p->text)));
    PUT(rc, buf_puts(b, "}\n"));
    return rc;
}

/* ---- a path from the current folder ---- */

/* Below the current folder without it, and without ./ at its beginning. */
static const char *folder_from(const char *folder, const char *here)
{
    size_t n = strlen(here);
    if (strncmp(folder, here, n) == 0 && (folder[n] == '/' || !folder[n]))
        folder += n + (folder[n] == '/');
    while (strncmp(folder, "./", 2) == 0)
        folder += 2;
    return strcmp(folder, ".") == 0 ? "" : folder;
}

static const char *path_from_here(const struct problem *p, const char *folder, const char *here,
                                  char out[PATH_MAX])
{
    const char *file = p->place.line && p->place.file ? p->place.file : "";
    const char *before = folder_from(folder, here);
    size_t n = strlen(before);
    bool slash = n && before[n - 1] != '/' && *file;
    if (*file == '/')
        before = "";
    snprintf(out, PATH_MAX, "%s%s%s", before, *before && slash ? "/" : "", file);
    return out;
}

/* ---- GitHub ---- */

/* A command is one line; in its properties, colon and comma end a value. */
static enum err_code put_escaped(struct buf *b, const char *text, bool property)
{
    enum err_code rc = ERR_OK;
    for (; *text && !rc; text++) {
        unsigned char c = (unsigned char)*text;
        bool special = c == '%' || c == '\r' || c == '\n';
        if (special || (property && (c == ':' || c == ',')))
            rc = buf_printf(b, "%%%02X", c);
        else
            rc = buf_putc(b, (char)c);
    }
    return rc;
}

static enum err_code put_github(struct buf *b, const struct problem *p, const char *path)
{
    enum err_code rc = buf_printf(b, "::%s ", p->kind == PROBLEM_NOTE ? "notice" : "error");
    if (p->place.line) {
        PUT(rc, buf_puts(b, "file="));
        PUT(rc, put_escaped(b, path, true));
        PUT(rc, buf_printf(b, ",line=%u,col=%u,", p->place.line, p->place.col));
    }
    PUT(rc, buf_puts(b, "title=sluice check::"));
    PUT(rc, put_escaped(b, p->text, false));
    PUT(rc, buf_putc(b, '\n'));
    return rc;
}

/* ---- GitLab ---- */

/* Tells one from another over pipelines: the line is not in it, so that one that moved is the same.
 */
static enum err_code put_fingerprint(struct buf *b, const struct problem *p, const char *path,
                                     size_t repeated)
{
    XXH3_state_t *h = XXH3_createState();
    if (!h)
        return ERR_NOMEM;
    XXH3_128bits_reset(h);
    XXH3_128bits_update(h, path, strlen(path) + 1);
    XXH3_128bits_update(h, p->text, strlen(p->text) + 1);
    XXH3_128bits_update(h, &repeated, sizeof repeated);
    XXH128_hash_t d = XXH3_128bits_digest(h);
    XXH3_freeState(h);
    return buf_printf(b, "%016llx%016llx", (unsigned long long)d.high64,
                      (unsigned long long)d.low64);
}

/* How many of those before it say the same of the same file. */
static size_t repetitions(const struct problem_list *all, size_t i)
{
    const struct problem *p = &all->items[i];
    size_t n = 0;
    while (i-- && strcmp(all->items[i].place.file, p->place.file) == 0)
        n += strcmp(all->items[i].text, p->text) == 0;
    return n;
}

static enum err_code put_gitlab(struct buf *b, const struct problem_list *all, size_t i,
                                const char *path)
{
    const struct problem *p = &all->items[i];
    enum err_code rc = buf_puts(b, i ? ",\n {\"description\":" : "\n {\"description\":");
    PUT(rc, json_put_string(b, slice_str(p->text)));
    PUT(rc, buf_puts(b, ",\"check_name\":\"sluice check\",\"fingerprint\":\""));
    PUT(rc, put_fingerprint(b, p, path, repetitions(all, i)));
    PUT(rc, buf_printf(b, "\",\"severity\":\"%s\",\"location\":{\"path\":",
                       p->kind == PROBLEM_NOTE ? "info" : "major"));
    PUT(rc, json_put_string(b, slice_str(*path ? path : ".")));
    PUT(rc, buf_printf(b, ",\"lines\":{\"begin\":%u}}}", p->place.line ? p->place.line : 1));
    return rc;
}

/* ---- all of them ---- */

enum err_code check_put_problems(struct buf *b, enum check_form form,
                                 const struct problem_list *problems, const char *folder,
                                 const char *here)
{
    char path[PATH_MAX];
    enum err_code rc = form == CHECK_GITLAB ? buf_putc(b, '[') : ERR_OK;
    for (size_t i = 0; i < problems->count && !rc; i++) {
        const struct problem *p = &problems->items[i];
        switch (form) {
        case CHECK_TEXT:
            rc = check_put_problem(b, p);
            break;
        case CHECK_JSON:
            rc = put_json(b, p);
            break;
        case CHECK_GITHUB:
            rc = put_github(b, p, path_from_here(p, folder, here, path));
            break;
        case CHECK_GITLAB:
            rc = put_gitlab(b, problems, i, path_from_here(p, folder, here, path));
            break;
        }
    }
    if (form == CHECK_GITLAB)
        PUT(rc, buf_puts(b, problems->count ? "\n]\n" : "]\n"));
    return rc;
}

enum err_code check_put_absence(struct buf *b, enum check_form form, const char *kind,
                                const char *name, const char *text)
{
    enum err_code rc = ERR_OK;
    if (form == CHECK_GITHUB)
        rc = buf_puts(b, "::error title=sluice check --connect::");
    PUT(rc, put_escaped(b, kind, false));
    PUT(rc, buf_putc(b, ' '));
    PUT(rc, put_escaped(b, name, false));
    PUT(rc, buf_puts(b, ": "));
    PUT(rc, put_escaped(b, text, false));
    PUT(rc, buf_putc(b, '\n'));
    return rc;
}
