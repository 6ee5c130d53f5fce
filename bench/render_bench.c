/*
 * How many records a second become request bodies on one core: HubSpot's upsert (properties as
 * text, a trace id) and the webhook's own JSON, of ten fields each, in batches of 100 and 500.
 *
 *     render_bench [records] [rows.ndjson]
 *
 * With a file it writes the same rows there, one JSON object per line, for bench/render to give to
 * jq and Node.
 */
#include "protocol/base/json.h"
#include "tests/unit/connector/connector_text.h"
#include "worker/deliver/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FIELDS = 10, BATCH_MAX = 500, TEXT_BYTES = 64, PAYLOAD_MAX = 64 << 20, ROUNDS = 5 };

static const char *const NAMES[FIELDS] = {"email", "firstname", "lastname", "phone", "company",
                                          "city",  "revenue",   "orders",   "vip",   "updated_at"};

struct customer {
    struct value values[FIELDS];
    char texts[FIELDS][TEXT_BYTES];
};

static void stop_on(enum err_code rc, const struct err *err)
{
    if (!rc)
        return;
    fprintf(stderr, "render_bench: %s\n", err->text);
    exit(1);
}

static void set(struct customer *r, size_t i, enum value_kind kind, const char *format, uint32_t n)
{
    static const char *const names[] = {"Ada", "Grace", "Ren\xc3\xa9", "Zo\xc3\xab", "Barbara"};
    char number[16];
    snprintf(number, sizeof number, "%u", n);
    int bytes =
        snprintf(r->texts[i], TEXT_BYTES, "%s%s%s", kind == VALUE_TEXT ? format : "",
                 i == 1 ? names[n % ARRAY_LEN(names)] : number, i == 0 ? "@example.com" : "");
    r->values[i] = value_of(kind, slice_of(r->texts[i], (size_t)bytes));
}

static void make_row(struct customer *r, uint32_t n)
{
    set(r, 0, VALUE_TEXT, "customer.", n);
    set(r, 1, VALUE_TEXT, "", n);
    set(r, 2, VALUE_TEXT, "Lovelace-", n);
    set(r, 3, VALUE_TEXT, "+49 170 ", 1000000 + n);
    set(r, 4, VALUE_TEXT, "Example \"Works\" & Sons ", n % 1000);
    set(r, 5, VALUE_TEXT, "Ulm ", n % 100);
    set(r, 6, VALUE_NUMBER, "", n * 37);
    set(r, 7, VALUE_NUMBER, "", n % 50);
    r->values[8] = (struct value){.kind = n % 3 ? VALUE_TRUE : VALUE_FALSE};
    set(r, 9, VALUE_TEXT, "2026-08-01T10:11:12.", n % 1000);
    if (n % 7 == 0)
        r->values[4] = (struct value){.kind = VALUE_NULL};
}

static void seal(struct buf *payload, uint32_t first, uint32_t count)
{
    static struct customer rows[BATCH_MAX];
    struct slice names[FIELDS];
    struct field_path paths[FIELDS];
    struct batch_head head = {.sync = SLICE_LIT("customers_to_crm"),
                              .run = SLICE_LIT("r1"),
                              .id = SLICE_LIT("r1-1"),
                              .destination = SLICE_LIT("crm"),
                              .fingerprint = SLICE_LIT("f"),
                              .planned = count,
                              .key_names = names,
                              .key_count = 1,
                              .fields = paths,
                              .field_count = FIELDS,
                              .newest_field = -1};
    struct buf packed;
    struct err err;
    size_t at;
    for (size_t i = 0; i < FIELDS; i++) {
        names[i] = slice_str(NAMES[i]);
        paths[i] = (struct field_path){&names[i], 1};
    }
    buf_init(&packed, PAYLOAD_MAX);
    buf_init(payload, PAYLOAD_MAX);
    for (uint32_t i = 0; i < count; i++) {
        make_row(&rows[i], first + i);
        struct record r = {i, OP_UPSERT, rows[i].values, rows[i].values};
        ensure(!batch_put_record(&packed, &r, 1, FIELDS, &at));
    }
    stop_on(batch_seal(payload, &head, count, buf_slice(&packed), false, &err), &err);
    buf_done(&packed);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds of processor for that many records: every batch is opened, read and rendered. */
static double measure(struct render_plan *plan, struct batch_reader *reader, struct slice payload,
                      size_t batches, struct rendered *out)
{
    struct err err;
    double start = cpu_seconds();
    for (size_t i = 0; i < batches; i++) {
        stop_on(batch_reader_open(reader, payload, &err), &err);
        struct delivery d = {.reader = reader, .part = SLICE_LIT("r1-1"), .attempt = 1};
        struct render_input in = {.delivery = &d, .now_ms = 1700000000000};
        stop_on(render_step(plan, &in, out, &err), &err);
    }
    return cpu_seconds() - start;
}

/* Steps before it only look up what is there already. */
static const struct step *writing_step(const struct request *r)
{
    size_t i = 0;
    while (i + 1 < r->step_count && !r->steps[i].carries)
        i++;
    return &r->steps[i];
}

static void bench(const char *name, size_t object, uint32_t batch, size_t records)
{
    struct connector_text t;
    struct destination destination = {.name = "crm"};
    struct rendered out;
    struct render_plan *plan;
    struct buf payload;
    struct err err;
    const char *options[CONNECTOR_OPTIONS_MAX] = {0};
    double best = 1e9;
    connector_text_builtin(&t, name);
    const struct object *o = &t.connector->objects[object];
    for (size_t i = 0; i < t.connector->option_count; i++)
        options[i] = strstr(t.connector->options[i].name, "url") ? "http://x/in" : NULL;
    struct render_context x = {.connector = t.connector,
                               .destination = &destination,
                               .options = options,
                               .object = o,
                               .step = writing_step(&o->requests[o->request_of[OP_UPSERT]])};
    seal(&payload, 1, batch);
    rendered_init(&out);
    struct batch_reader *reader = batch_reader_new();
    stop_on(batch_reader_open(reader, buf_slice(&payload), &err), &err);
    stop_on(render_plan_new(&x, batch_reader_head(reader), &plan, &err), &err);
    for (int i = 0; i < ROUNDS; i++) {
        double seconds = measure(plan, reader, buf_slice(&payload), records / batch, &out);
        best = seconds < best ? seconds : best;
    }
    printf("%-9s %u fields, batches of %3u: %9.0f records/s, %4zu bytes a record\n", name, FIELDS,
           batch, (double)(records / batch * batch) / best, out.body.n / batch);
    render_plan_free(plan);
    batch_reader_free(reader);
    rendered_done(&out);
    buf_done(&payload);
    connector_text_done(&t);
}

/* The rows as jq and Node read them. */
static void write_rows(const char *path, size_t records)
{
    static struct customer row;
    FILE *f = fopen(path, "w");
    struct buf line;
    ensure(f);
    buf_init(&line, 1 << 20);
    for (size_t n = 0; n < records; n++) {
        make_row(&row, (uint32_t)(n % BATCH_MAX) + 1);
        buf_reset(&line);
        for (size_t i = 0; i < FIELDS; i++) {
            ensure(!buf_printf(&line, "%s\"%s\":", i ? "," : "{", NAMES[i]));
            ensure(!json_put_value(&line, row.values[i]));
        }
        ensure(fprintf(f, "%.*s}\n", (int)line.len, line.p) > 0);
    }
    ensure(fclose(f) == 0);
    buf_done(&line);
}

int main(int argc, char **argv)
{
    size_t records = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    if (argc > 2) {
        write_rows(argv[2], records);
        return 0;
    }
    bench("hubspot", 0, 100, records);
    bench("webhook", 0, 500, records);
    return 0;
}
