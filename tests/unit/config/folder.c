#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ftw.h>
#include <unistd.h>
#include <cmocka.h>

void folder_init(struct folder *f)
{
    *f = (struct folder){.path = "/tmp/sluice-config-XXXXXX"};
    assert_non_null(mkdtemp(f->path));
    problem_list_init(&f->problems);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void folder_done(struct folder *f)
{
    project_free(f->project);
    problem_list_done(&f->problems);
    nftw(f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void folder_write_bytes(const struct folder *f, const char *name, const void *bytes, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    for (char *slash = strchr(path + strlen(f->path) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

void folder_write(const struct folder *f, const char *name, const char *text)
{
    folder_write_bytes(f, name, text, strlen(text));
}

void folder_load(struct folder *f)
{
    struct err err;
    f->rc = project_load(f->path, &f->project, &f->problems, &err);
    assert_int_equal(f->rc == ERR_OK, f->project != NULL);
    assert_int_equal(f->rc == ERR_OK, f->problems.mistakes == 0);
}

void folder_load_text(struct folder *f, const char *text)
{
    folder_write(f, "sluice.yaml", text);
    folder_load(f);
}

bool folder_says(const struct folder *f, const char *place, const char *words)
{
    for (size_t i = 0; i < f->problems.count; i++) {
        const struct problem *p = &f->problems.items[i];
        char at[512];
        snprintf(at, sizeof at, "%s:%u:%u", p->place.file, p->place.line, p->place.col);
        if (strcmp(at, place) == 0 && strstr(p->text, words))
            return true;
    }
    return false;
}

void folder_print(const struct folder *f)
{
    for (size_t i = 0; i < f->problems.count; i++) {
        const struct problem *p = &f->problems.items[i];
        print_error("  %s:%u:%u: %s\n", p->place.file, p->place.line, p->place.col, p->text);
    }
}

void folder_load_good(struct folder *f, const char *text)
{
    folder_load_text(f, text);
    if (f->rc)
        folder_print(f);
    assert_int_equal(f->rc, ERR_OK);
}

static bool case_holds(const struct folder_case *c, const char *secret)
{
    struct folder f;
    char place[64];
    folder_init(&f);
    folder_load_text(&f, c->text);
    snprintf(place, sizeof place, "sluice.yaml:%s", c->place);
    bool holds = folder_says(&f, place, c->words) && f.problems.mistakes == 1;
    for (size_t i = 0; i < f.problems.count; i++)
        holds = holds && !strstr(f.problems.items[i].text, secret);
    if (!holds) {
        print_error("%s wanted alone: %s: %s; said:\n", c->text, place, c->words);
        folder_print(&f);
    }
    folder_done(&f);
    return holds;
}

void folder_check_cases(const struct folder_case *cases, const char *secret)
{
    bool all = true;
    for (; cases->place; cases++)
        all = case_holds(cases, secret) && all;
    assert_true(all);
}
