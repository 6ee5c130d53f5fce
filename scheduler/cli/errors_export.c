#include "scheduler/cli/errors_export.h"

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "scheduler/cli/print.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char csv_head[] = "sync,verdict,key,message,run,time,kills\r\n";

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcasecmp(text + n - m, end) == 0;
}

enum err_code errors_export_open(struct errors_export *x, const char *path, struct err *err)
{
    *x = (struct errors_export){.path = path, .csv = ends_with(path, ".csv")};
    buf_init(&x->line, PRINT_LINE_MAX);
    if (strcmp(path, "-") == 0) {
        x->file = stdout;
        return ERR_OK;
    }
    if (!x->csv && !ends_with(path, ".ndjson") && !ends_with(path, ".jsonl"))
        return err_set(err, ERR_USAGE,
                       "--export %s: name a file that ends in .csv, .ndjson or .jsonl", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST
                   ? err_set(err, ERR_USAGE, "%s is there already: name another file", path)
                   : err_errno(err, errno, "%s cannot be written", path);
    x->file = fdopen(fd, "w");
    if (!x->file) {
        close(fd);
        return err_set(err, ERR_NOMEM, "no memory for %s", path);
    }
    if (x->csv)
        fputs(csv_head, x->file);
    return ERR_OK;
}

enum err_code errors_put_json(struct buf *b, const char *sync, const struct rejected *r)
{
    char at[CLOCK_TEXT_BYTES];
    enum err_code rc = buf_puts(b, "{\"sync\":");
    rc = rc ? rc : json_put_string(b, slice_str(sync));
    rc = rc ? rc : buf_printf(b, ",\"verdict\":\"%s\",\"key\":", rejected_kind_name(r->kind));
    if (!rc) /* a text that was cut is no JSON any more */
        rc = r->text.n && r->text.p[r->text.n - 1] == '}' ? buf_put(b, r->text.p, r->text.n)
                                                          : json_put_string(b, r->text);
    rc = rc ? rc : buf_puts(b, ",\"message\":");
    rc = rc ? rc : json_put_string(b, r->message);
    rc = rc ? rc : buf_puts(b, ",\"run\":");
    rc = rc ? rc : json_put_string(b, r->run);
    return rc ? rc
              : buf_printf(b, ",\"time\":\"%s\",\"kills\":%u}\n", clock_text(r->time_ms, at),
                           r->kills);
}

static enum err_code put_cell(struct buf *b, struct slice s)
{
    enum err_code rc = buf_putc(b, '"');
    for (size_t i = 0; i < s.n && !rc; i++) {
        rc = buf_putc(b, s.p[i]);
        if (!rc && s.p[i] == '"')
            rc = buf_putc(b, '"');
    }
    return rc ? rc : buf_puts(b, "\",");
}

static enum err_code put_csv(struct buf *b, const char *sync, const struct rejected *r)
{
    char at[CLOCK_TEXT_BYTES];
    const struct slice cells[] = {slice_str(sync), slice_str(rejected_kind_name(r->kind)), r->text,
                                  r->message, r->run};
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(cells) && !rc; i++)
        rc = put_cell(b, cells[i]);
    return rc ? rc : buf_printf(b, "%s,%u\r\n", clock_text(r->time_ms, at), r->kills);
}

bool errors_export_put(struct errors_export *x, const char *sync, const struct rejected *r)
{
    buf_reset(&x->line);
    x->failed = x->csv ? put_csv(&x->line, sync, r) : errors_put_json(&x->line, sync, r);
    if (!x->failed && fwrite(x->line.p, 1, x->line.len, x->file) != x->line.len)
        x->failed = ERR_IO;
    x->count += !x->failed;
    return !x->failed;
}

enum err_code errors_export_close(struct errors_export *x, bool failed, struct err *err)
{
    enum err_code rc = ERR_OK;
    buf_done(&x->line);
    if (!x->file)
        return ERR_OK;
    if (x->failed == ERR_IO || fflush(x->file))
        rc = err_errno(err, errno, "%s cannot be written", x->path);
    else if (x->failed)
        rc = err_set(err, x->failed, "no memory for a record");
    if (x->file == stdout)
        return rc;
    if (fclose(x->file) && !rc)
        rc = err_errno(err, errno, "%s cannot be written", x->path);
    if (rc || failed)
        unlink(x->path);
    return rc;
}
