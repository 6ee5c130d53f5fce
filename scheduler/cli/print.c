#include "scheduler/cli/print.h"

#include "protocol/base/clock.h"
#include "protocol/base/json.h"

#include <inttypes.h>

const char *print_number(uint64_t n, char out[PRINT_NUMBER_BYTES])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n), o = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[o++] = ',';
        out[o++] = digits[i];
    }
    out[o] = '\0';
    return out;
}

const char *print_duration(uint64_t ms, char out[PRINT_NUMBER_BYTES])
{
    uint64_t s = ms / 1000;
    if (s < 10)
        snprintf(out, PRINT_NUMBER_BYTES, "%.1f s", (double)ms / 1000);
    else if (s < 60)
        snprintf(out, PRINT_NUMBER_BYTES, "%" PRIu64 " s", s);
    else if (s < 3600)
        snprintf(out, PRINT_NUMBER_BYTES, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    else
        snprintf(out, PRINT_NUMBER_BYTES, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s % 3600 / 60);
    return out;
}

static enum err_code put_text_field(struct buf *b, const char *name, const char *text)
{
    enum err_code rc = buf_printf(b, ",\"%s\":", name);
    return rc ? rc : json_put_string(b, slice_str(text));
}

static enum err_code put_run(struct buf *b, const struct run_record *r)
{
    const struct run_counts *c = &r->counts;
    char started[CLOCK_TEXT_BYTES];
    enum err_code rc = buf_puts(b, "{\"sync\":");
    rc = rc ? rc : json_put_string(b, slice_str(r->sync));
    rc = rc ? rc
            : buf_printf(b, ",\"run\":\"%s\",\"status\":\"%s\"", r->id, run_status_name(r->status));
    for (size_t i = 0; i < RUN_COUNTS_TOLD && !rc; i++)
        rc = buf_printf(b, ",\"%s\":%" PRIu64, run_count_name(i), run_count(c, i));
    rc = rc ? rc
            : buf_printf(b,
                         ",\"requests\":%" PRIu64 ",\"retries\":%" PRIu64 ",\"bytes\":%" PRIu64
                         ",\"seconds\":%.3f",
                         c->requests, c->retries, c->bytes, (double)r->duration_ms / 1000);
    rc = rc ? rc : buf_printf(b, ",\"started\":\"%s\"", clock_text(r->started_ms, started));
    if (!rc && r->stream)
        rc = buf_printf(b, ",\"stream\":true,\"changes\":%" PRIu64 ",\"coalesced\":%" PRIu64,
                        c->changes, c->coalesced);
    if (!rc && c->warnings)
        rc = buf_printf(b, ",\"warnings\":%" PRIu64, c->warnings);
    if (!rc && *r->warning)
        rc = put_text_field(b, "warning", r->warning);
    if (!rc && *r->reason)
        rc = put_text_field(b, "reason", r->reason);
    if (!rc && *r->error)
        rc = put_text_field(b, "error", r->error);
    return rc ? rc : buf_puts(b, "}\n");
}

void print_run_json(const struct run_record *r)
{
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, PRINT_LINE_MAX);
    if (!put_run(&b, r)) {
        fwrite(b.p, 1, b.len, stdout);
        fflush(stdout);
    }
}

void print_run_head(FILE *out)
{
    fprintf(out, "%-24s %-24s %-9s %11s %9s %9s %9s %11s %9s %8s %8s %12s\n", "SYNC", "RUN",
            "STATUS", "ROWS", "ADDED", "CHANGED", "REMOVED", "UNCHANGED", "ACCEPTED", "REJECTED",
            "FAILED", "TIME");
}

static const char *colour_of(enum run_status status)
{
    switch (status) {
    case RUN_SUCCESS:
        return "\033[32m";
    case RUN_WARNING:
    case RUN_HELD:
    case RUN_CANCELLED:
    case RUN_SUPERSEDED:
        return "\033[33m";
    case RUN_FAILED:
        return "\033[31m";
    case RUN_READING:
    case RUN_PLANNED:
        break;
    }
    return "";
}

void print_run_row(FILE *out, const struct run_record *r, bool colour)
{
    const struct run_counts *c = &r->counts;
    char n[8][PRINT_NUMBER_BYTES], time[PRINT_NUMBER_BYTES];
    fprintf(out, "%-24s %-24s %s%-9s%s %11s %9s %9s %9s %11s %9s %8s %8s %12s\n", r->sync, r->id,
            colour ? colour_of(r->status) : "", run_status_name(r->status), colour ? "\033[0m" : "",
            print_number(c->rows, n[0]), print_number(c->added, n[1]),
            print_number(c->changed, n[2]), print_number(c->removed, n[3]),
            print_number(c->unchanged, n[4]), print_number(c->succeeded, n[5]),
            print_number(c->rejected, n[6]), print_number(c->failed, n[7]),
            print_duration(r->duration_ms, time));
    if (c->invalid)
        fprintf(out, "  %s invalid (never sent)\n", print_number(c->invalid, n[0]));
    if (c->quarantined)
        fprintf(out, "  %s quarantined (refused before; sluice errors says why)\n",
                print_number(c->quarantined, n[0]));
    if (c->coalesced)
        fprintf(out, "  %s coalesced (replaced by a later value before they were sent)\n",
                print_number(c->coalesced, n[0]));
    if (c->cancelled)
        fprintf(out, "  %s cancelled (found again by the next run)\n",
                print_number(c->cancelled, n[0]));
    if (c->warnings)
        fprintf(out, "  %s warning%s, the last: %s\n", print_number(c->warnings, n[0]),
                c->warnings == 1 ? "" : "s", r->warning);
    if (*r->reason)
        fprintf(out, "  held: %s\n", r->reason);
    if (*r->error)
        fprintf(out, "  %s\n", r->error);
}

void print_run_advice(const struct run_record *r)
{
    if (r->counts.rejected + r->counts.failed + r->counts.invalid)
        puts("  sluice errors says why records were rejected, failed or invalid");
    if (r->status == RUN_WARNING && *r->reason)
        printf("  %s\n", r->reason);
    if (r->status == RUN_HELD)
        printf("  to send it: sluice approve %s\n", r->id);
}
