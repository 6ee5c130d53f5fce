/* Measures diff and tally: rows per CPU second. Usage: bench_diff [rows]. Not part of ctest. */
#include "scheduler/aggregate/tally.h"
#include "scheduler/diff/diff.h"
#include "scheduler/state/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FIELDS = 10, COMMIT_ROWS = 200000 };

static double cpu_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check(enum err_code code, const struct err *err)
{
    if (!code)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

struct bench {
    struct state *s;
    struct state_sync *ss;
    uint32_t *ids;
    uint32_t rows;
    struct tally_record *records; /* of one batch */
    char *keys;
};

static struct value number(uint32_t n, char *space)
{
    int len = snprintf(space, 16, "%u", n);
    return value_of(VALUE_NUMBER, slice_of(space, (size_t)len));
}

static void pass(struct bench *b, const char *name, bool fold)
{
    static const struct slice names[] = {{"id", 2}};
    struct err err;
    struct diff_options o = {.entries = b->ss,
                             .mode = MODE_UPSERT,
                             .primary_names = names,
                             .primary_count = 1,
                             .key_count = 1,
                             .field_count = FIELDS,
                             .run = "bench"};
    struct diff *d;
    struct tally *t;
    check(diff_new(&o, &d, &err), &err);
    check(tally_new(
              &(struct tally_options){
                  .entries = b->ss, .run = "bench", .primary_names = names, .primary_count = 1},
              &t, &err),
          &err);
    struct value values[FIELDS];
    char space[16];
    for (int i = 0; i < FIELDS; i++)
        values[i] = value_of(VALUE_TEXT, SLICE_LIT("some text of "));
    double from = cpu_s();
    for (uint32_t i = 0; i < b->rows; i++) {
        values[0] = number(b->ids[i], space);
        struct mapped m = {.fields = values, .primary = values, .keys = values};
        struct diff_decision got;
        check(diff_row(d, &m, (struct slice){0}, (struct slice){0}, &got, &err), &err);
        if (fold && got.class != DIFF_UNCHANGED) {
            struct tally_record r = {.slot = got.slot, .op = got.op, .key = got.key};
            memcpy(r.hash, got.hash, sizeof r.hash);
            enum tally_count count;
            check(tally_fold(t, &r, &(struct tally_verdict){.verdict = VERDICT_OK}, &count, &err),
                  &err);
        }
        if (i % COMMIT_ROWS == COMMIT_ROWS - 1 || state_commit_due(b->s))
            check(state_commit(b->s, &err), &err);
    }
    check(diff_finish(d, true, &err), &err);
    enum diff_step step = DIFF_STEP_MORE;
    while (step != DIFF_STEP_END) {
        struct diff_decision got;
        check(diff_next(d, &got, &step, &err), &err);
    }
    check(state_commit(b->s, &err), &err);
    struct diff_counts c = diff_counts(d);
    double s = cpu_s() - from;
    printf("%-28s %.2f s CPU for %u rows (%.2f per million): added %llu unchanged %llu\n", name, s,
           b->rows, s * 1e6 / b->rows, (unsigned long long)c.added,
           (unsigned long long)c.unchanged);
    diff_free(d);
    tally_free(t);
}

int main(int argc, char **argv)
{
    struct bench b = {.rows = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000000};
    char dir[] = "/tmp/bench_diff_XXXXXX";
    struct err err;
    if (!mkdtemp(dir))
        return 1;
    b.ids = malloc(b.rows * sizeof *b.ids);
    check(state_open(dir, NULL, &b.s, &err), &err);
    check(state_sync_open(b.s, "bench", &b.ss, &err), &err);
    for (uint32_t i = 0; i < b.rows; i++)
        b.ids[i] = i + 1;
    pass(&b, "first, ascending", true);
    pass(&b, "unchanged, ascending", false);
    for (uint32_t i = b.rows - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(random() % (i + 1)), x = b.ids[i];
        b.ids[i] = b.ids[j];
        b.ids[j] = x;
    }
    pass(&b, "unchanged, shuffled", false);
    state_sync_close(b.ss);
    check(state_sync_open(b.s, "shuffled", &b.ss, &err), &err);
    pass(&b, "first, shuffled", true);
    state_sync_close(b.ss);
    state_close(b.s);
    free(b.ids);
    char command[128];
    snprintf(command, sizeof command, "ls -l %s; rm -r %s", dir, dir);
    return system(command);
}
