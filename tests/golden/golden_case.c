#include "tests/golden/golden.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/config/yaml.h"

void golden_fail(const char *path, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s: ", path);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

static char *read_file(const char *path, size_t *ret_bytes)
{
    FILE *f = fopen(path, "rb");
    char *text = malloc(YAML_FILE_BYTES + 1);
    if (!f || !text)
        golden_fail(path, "it cannot be read");
    *ret_bytes = fread(text, 1, YAML_FILE_BYTES, f);
    text[*ret_bytes] = '\0';
    fclose(f);
    return text;
}

static struct node *parse(const char *path, struct slice text, struct reader *rd)
{
    struct config_place second;
    struct node *node = yaml_read(rd, path, text, &second);
    for (size_t i = 0; i < rd->problems->count; i++)
        fprintf(stderr, "%s:%u:%u: %s\n", path, rd->problems->items[i].place.line,
                rd->problems->items[i].place.col, rd->problems->items[i].text);
    if (!node || rd->problems->mistakes)
        golden_fail(path, "this is no YAML that can be read");
    return node;
}

void golden_read(struct golden *g, const char *path)
{
    enum { ARENA_MAX = 64 << 20 };
    struct project project = {0};
    struct problem_list problems;
    struct reader rd = {.project = &project, .problems = &problems};
    struct buf json;
    size_t bytes;
    *g = (struct golden){.path = path};
    arena_init(&project.arena, ARENA_MAX);
    problem_list_init(&problems);
    buf_init(&json, GOLDEN_TEXT_MAX);
    char *text = read_file(path, &bytes);
    struct node *node = parse(path, slice_of(text, bytes), &rd);
    json_error_t error;
    if (node_put_json(&json, node))
        golden_fail(path, "it holds a value that JSON does not have");
    g->root = json_loadb(json.p, json.len, JSON_ALLOW_NUL, &error);
    if (!g->root)
        golden_fail(path, "%s", error.text);
    buf_done(&json);
    free(text);
    problem_list_done(&problems);
    arena_done(&project.arena);
    buf_init(&g->batch, GOLDEN_TEXT_MAX);
}

void golden_done(struct golden *g)
{
    json_decref(g->root);
    project_free(g->project);
    buf_done(&g->batch);
}

json_t *golden_get(const struct golden *g, const json_t *map, const char *name)
{
    json_t *v = json_object_get(map, name);
    if (!v)
        golden_fail(g->path, "`%s` is missing", name);
    return v;
}

/* ---- writing ---- */

static bool is_plain(const char *text)
{
    size_t n = strlen(text);
    bool word = n > 0 && n < 60 && core_type_of(text) == CORE_TEXT;
    for (size_t i = 0; word && i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        word = letter || (i && ((c >= '0' && c <= '9') || strchr("_-./ @:?&=+%", c)));
    }
    return word && text[n - 1] != ' ' && text[n - 1] != ':' && !strstr(text, ": ");
}

static void write_scalar(FILE *f, const json_t *v)
{
    if (json_is_string(v) && is_plain(json_string_value(v))) {
        fputs(json_string_value(v), f);
        return;
    }
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    fputs(text, f);
    free(text);
}

static bool is_short(const json_t *v)
{
    enum { LINE = 90 };
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    bool fits = strlen(text) < LINE;
    free(text);
    return fits;
}

static void write_flow(FILE *f, const json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_object(v)) {
        fputc('{', f);
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
        {
            json_t *name = json_string(key);
            if (key != json_object_iter_key(json_object_iter((json_t *)(uintptr_t)v)))
                fputs(", ", f);
            write_scalar(f, name);
            fputs(": ", f);
            write_flow(f, item);
            json_decref(name);
        }
        fputc('}', f);
    } else if (json_is_array(v)) {
        fputc('[', f);
        json_array_foreach(v, i, item)
        {
            fputs(i ? ", " : "", f);
            write_flow(f, item);
        }
        fputc(']', f);
    } else {
        write_scalar(f, v);
    }
}

static void write_block(FILE *f, const json_t *v, int depth, bool item);

static void write_members(FILE *f, const json_t *v, int depth, bool item)
{
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)v, key, member)
    {
        json_t *name = json_string(key);
        fprintf(f, "%*s", item ? 1 : depth * 2, "");
        write_scalar(f, name);
        fputc(':', f);
        write_block(f, member, depth + 1, false);
        json_decref(name);
        item = false;
    }
}

/* Behind "key:" or "-": a value that fits stays on the line, another one goes below it; the first
 * member of an item stays beside its dash. */
static void write_block(FILE *f, const json_t *v, int depth, bool item)
{
    json_t *one;
    size_t i;
    bool empty = json_is_object(v) ? !json_object_size(v) : !json_array_size(v);
    if ((!json_is_object(v) && !json_is_array(v)) || empty || (depth && is_short(v))) {
        fputc(' ', f);
        write_flow(f, v);
        fputc('\n', f);
        return;
    }
    if (depth && !(item && json_is_object(v)))
        fputc('\n', f);
    write_members(f, v, depth, item);
    if (json_is_array(v))
        json_array_foreach(v, i, one)
        {
            fprintf(f, "%*s-", depth * 2, "");
            write_block(f, one, depth + 1, true);
        }
}

void golden_write(const struct golden *g)
{
    size_t bytes;
    char *old = read_file(g->path, &bytes);
    FILE *f = fopen(g->path, "wb");
    if (!f)
        golden_fail(g->path, "it cannot be written");
    for (char *line = old; *line == '#'; line += strcspn(line, "\n") + 1)
        fprintf(f, "%.*s\n", (int)strcspn(line, "\n"), line);
    write_block(f, g->root, 0, false);
    free(old);
    if (fclose(f))
        golden_fail(g->path, "it cannot be written");
}
