#include "protocol/config/problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEM_ARENA_BYTES = 16 << 20 };

void problem_list_init(struct problem_list *list)
{
    *list = (struct problem_list){0};
    arena_init(&list->arena, PROBLEM_ARENA_BYTES);
}

void problem_list_done(struct problem_list *list)
{
    arena_done(&list->arena);
    inputs_done(&list->inputs);
    *list = (struct problem_list){.arena = list->arena};
}

void problem_list_log(const struct problem_list *list, const struct log *log)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct problem *p = &list->items[i];
        if (p->kind == PROBLEM_NOTE)
            continue;
        log_event(log, LOG_ERROR, "config_problem", LOG_STR("file", p->place.file),
                  LOG_INT("line", p->place.line), LOG_INT("col", p->place.col),
                  LOG_STR("problem", p->text));
    }
}

enum err_code problem_add(struct problem_list *list, enum problem_kind kind, struct config_place at,
                          const char *text)
{
    if (list->count == PROBLEM_LIMIT) {
        list->dropped++;
        list->mistakes += kind != PROBLEM_NOTE;
        return ERR_OK;
    }
    if (!list->items)
        list->items = arena_alloc(&list->arena, PROBLEM_LIMIT * sizeof *list->items);
    char *file = arena_str(&list->arena, slice_str(at.file));
    char *copy = arena_str(&list->arena, slice_str(text));
    if (!list->items || !file || !copy)
        return ERR_NOMEM;
    at.file = file;
    list->items[list->count++] = (struct problem){.kind = kind, .place = at, .text = copy};
    list->mistakes += kind != PROBLEM_NOTE;
    return ERR_OK;
}

static int by_number(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *left, const void *right)
{
    const struct problem *a = left, *b = right;
    int order = strcmp(a->place.file, b->place.file);
    if (!order)
        order = by_number(a->place.line, b->place.line);
    if (!order)
        order = by_number(a->place.col, b->place.col);
    return order ? order : strcmp(a->text, b->text);
}

void problem_sort(struct problem_list *list)
{
    if (list->count == 0)
        return;
    qsort(list->items, list->count, sizeof *list->items, by_place);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++) {
        if (by_place(&list->items[i], &list->items[kept - 1]) == 0)
            list->mistakes -= list->items[i].kind != PROBLEM_NOTE;
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

void problem_forget_file(struct problem_list *list, const char *file)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].place.file, file) == 0)
            list->mistakes -= list->items[i].kind != PROBLEM_NOTE;
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}
