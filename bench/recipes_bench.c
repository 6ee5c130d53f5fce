/*
 * How many records a second a core brings into a vendor's form: recipes over generated addresses
 * and numbers, by the map steps that a sync runs.
 *
 *     recipes_bench [records]
 *
 * The addresses are those of bench/recipes.mjs and bench/recipes.py; the checksums show that all
 * give the same hashes.
 */
#include "protocol/base/clock.h"
#include "protocol/config/recipes.h"
#include "scheduler/map/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORDS = 1000000, TEXT_BYTES = 48, ROUNDS = 3, ARENA_BYTES = 16 << 20 };

struct text {
    uint32_t n;
    char p[TEXT_BYTES];
};

struct book {
    struct project project;
    struct problem_list problems;
    struct reader reader;
};

static void stop_on(enum err_code rc, const struct err *err)
{
    if (!rc)
        return;
    fprintf(stderr, "recipes_bench: %s\n", err->text);
    exit(1);
}

static void make_address(size_t i, struct text *t)
{
    const char *domain = i % 3 ? "example.com" : "Gmail.com";
    t->n = (uint32_t)snprintf(t->p, sizeof t->p, " Jane.Doe.%zu@%s", i, domain);
}

static void make_number(size_t i, struct text *t)
{
    t->n = (uint32_t)snprintf(t->p, sizeof t->p, "0171 %03zu-%04zu", i / 10000 % 1000, i % 10000);
}

/* A sync of one field with these transforms. */
static struct map_program *compile(const struct transform *transforms, size_t count)
{
    static const char *const primary[] = {"id"}, *const to = "field";
    const struct model model = {.name = "m", .primary_key = primary, .primary_key_count = 1};
    const struct column columns[] = {{"id", "int", COLUMN_INT}, {"x", "text", COLUMN_TEXT}};
    const struct mapping mapping = {.from = "x",
                                    .to = to,
                                    .path = &to,
                                    .path_count = 1,
                                    .transforms = transforms,
                                    .transform_count = count};
    const struct sync sync = {
        .name = "s", .model = &model, .mappings = &mapping, .mapping_count = 1};
    struct map_program *p = NULL;
    struct err err;
    stop_on(map_compile(&sync, columns, ARRAY_LEN(columns), &p, &err), &err);
    return p;
}

/* Runs once over all; *sum takes the first eight hex digits of every hash. */
static double run(struct map_program *p, const struct text *texts, size_t records, uint64_t *sum)
{
    struct err err;
    int64_t begin = clock_mono_ms();
    *sum = 0;
    for (size_t i = 0; i < records; i++) {
        const struct value values[] = {{VALUE_NUMBER, 1, "1"},
                                       {VALUE_TEXT, texts[i].n, texts[i].p}};
        struct mapped mapped;
        stop_on(map_run(p, &(struct row){values, ARRAY_LEN(values)}, &mapped, &err), &err);
        char first[9] = "";
        memcpy(first, mapped.fields[0].p, 8);
        *sum += strtoul(first, NULL, 16);
    }
    return (double)(clock_mono_ms() - begin) / 1000;
}

static void measure(const char *name, const struct transform *transforms, size_t count,
                    const struct text *texts, size_t records)
{
    struct map_program *p = compile(transforms, count);
    double best = 0;
    uint64_t sum = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double seconds = run(p, texts, records, &sum);
        best = i == 0 || seconds < best ? seconds : best;
    }
    printf("%-28s %10.0f records/s   checksum %" PRIu64 "\n", name, (double)records / best, sum);
    map_free(p);
}

static const struct transform *recipe(struct book *b, const char *name, size_t *count)
{
    const struct transform *t = recipe_transforms(&b->reader, name, count);
    if (!t || b->problems.mistakes) {
        fprintf(stderr, "recipes_bench: no recipe %s\n", name);
        exit(1);
    }
    return t;
}

static void measure_phone(struct book *b, struct text *texts, size_t records)
{
    size_t count;
    const struct transform *google = recipe(b, "google_phone", &count);
    struct transform all[4] = {{.kind = TRANSFORM_PHONE, .text = "49"}};
    memcpy(all + 1, google, count * sizeof *google);
    for (size_t i = 0; i < records; i++)
        make_number(i, &texts[i]);
    measure("sluice phone + google_phone", all, count + 1, texts, records);
}

int main(int argc, char **argv)
{
    size_t records = argc > 1 ? strtoul(argv[1], NULL, 10) : RECORDS, count;
    struct text *texts = calloc(records, sizeof *texts);
    struct book b = {.reader = {.project = &b.project, .problems = &b.problems}};
    if (!texts || !records)
        return 1;
    arena_init(&b.project.arena, ARENA_BYTES);
    problem_list_init(&b.problems);
    for (size_t i = 0; i < records; i++)
        make_address(i, &texts[i]);
    const struct transform *t = recipe(&b, "google_email", &count);
    measure("sluice google_email", t, count, texts, records);
    t = recipe(&b, "meta_email", &count);
    measure("sluice meta_email", t, count, texts, records);
    measure_phone(&b, texts, records);
    problem_list_done(&b.problems);
    arena_done(&b.project.arena);
    free(texts);
    return 0;
}
