/*
 * Loading a project.
 *
 * Reads: the folder's YAML files, the environment, files named by ${file:…} and sql_file. Writes: a
 * project or a list of mistakes. Order: find files, parse each, set aside those that are not ours
 * (and those in state_dir, which only `settings` can tell), put in the environment, gather names,
 * read section by section so that every reference points backwards.
 */
#include "protocol/config/files.h"
#include "protocol/config/expand.h"
#include "protocol/config/form.h"
#include "protocol/config/parts.h"
#include "protocol/config/problem.h"
#include "protocol/config/yaml.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PROJECT_ARENA_BYTES = 512 << 20,
    PROJECT_FILE_BYTES = 32 << 20, /* all files together */
};

struct document {
    const char *file;
    struct node *root;
    struct config_place second; /* of a second document; line 0: none */
    bool ours;
    bool unreadable; /* and a mistake says why */
};

struct document_list {
    struct document *items;
    size_t count;
};

static const char *const words[SECTION_COUNT + 1] = {
    [SECTION_SETTINGS] = "settings",     [SECTION_SOURCES] = "sources",
    [SECTION_MODELS] = "models",         [SECTION_DESTINATIONS] = "destinations",
    [SECTION_CONNECTORS] = "connectors", [SECTION_SYNCS] = "syncs",
    [SECTION_ALERTS] = "alerts",
};

static const char *const nouns[SECTION_COUNT] = {
    [SECTION_SETTINGS] = "settings",    [SECTION_SOURCES] = "source",
    [SECTION_MODELS] = "model",         [SECTION_DESTINATIONS] = "destination",
    [SECTION_CONNECTORS] = "connector", [SECTION_SYNCS] = "sync",
    [SECTION_ALERTS] = "alert",
};

/* dbt keeps its own `models` and `sources` in the same folder: as lists, or in dbt_project.yml. */
static bool is_dbt(const struct node *root)
{
    if (node_get(root, "config-version"))
        return true;
    const struct pair *models = node_get(root, words[SECTION_MODELS]);
    const struct pair *sources = node_get(root, words[SECTION_SOURCES]);
    bool lists = (models && models->value->kind == NODE_LIST) ||
                 (sources && sources->value->kind == NODE_LIST);
    return lists && node_get(root, "version");
}

static bool is_ours(const struct node *root)
{
    bool any = false;
    for (int id = 0; id < SECTION_COUNT; id++)
        any = any || node_get(root, words[id]);
    return any && !is_dbt(root);
}

static void parse_file(struct reader *rd, struct document *doc, size_t *total_bytes)
{
    struct config_place at = {doc->file, 1, 1};
    struct buf bytes CLEANUP(buf_done);
    buf_init(&bytes, YAML_FILE_BYTES);
    struct err err;
    const char *path = reader_path(rd, doc->file);
    if (!path)
        return;
    enum err_code rc = file_read(path, &bytes, &err);
    inputs_note(rd->inputs, INPUT_YAML, doc->file, buf_slice(&bytes), (int)rc);
    if (rc) {
        mistake(rd, at, "this file cannot be read: %s", err.text);
        return;
    }
    *total_bytes += bytes.len;
    if (*total_bytes > PROJECT_FILE_BYTES) {
        mistake(rd, at,
                "the YAML files of this folder are longer than %d bytes: give Sluice a folder of "
                "its own",
                PROJECT_FILE_BYTES);
        return;
    }
    doc->root = yaml_read(rd, doc->file, buf_slice(&bytes), &doc->second);
    doc->ours = doc->root && is_ours(doc->root);
}

static void parse_files(struct reader *rd, struct document_list *docs)
{
    struct file_list files = {0};
    size_t total_bytes = 0;
    files_find(rd, &files);
    docs->items = reader_alloc(rd, files.count * sizeof *docs->items);
    if (!docs->items)
        return;
    docs->count = files.count;
    for (size_t i = 0; i < files.count && !rd->failed; i++) {
        struct document *doc = &docs->items[i];
        size_t mistakes = rd->problems->mistakes;
        doc->file = files.paths[i];
        parse_file(rd, doc, &total_bytes);
        doc->unreadable = !doc->root && rd->problems->mistakes > mistakes;
    }
    if (files.count == 0 && rd->problems->mistakes == 0)
        mistake(
            rd, (struct config_place){".", 0, 0},
            "there is no .yaml or .yml file in %s: write one, or name the project folder with -C",
            rd->project->dir);
}

static void read_settings(struct reader *rd, const struct document_list *docs)
{
    struct entry settings = {0};
    for (size_t i = 0; i < docs->count; i++) {
        const struct pair *pair =
            docs->items[i].ours ? node_get(docs->items[i].root, words[SECTION_SETTINGS]) : NULL;
        if (!pair)
            continue;
        if (settings.node) {
            mistake(rd, pair->at,
                    "`settings` may stand in one file only, and is in %s already: merge the two",
                    settings.at.file);
            continue;
        }
        rd->may_be_missing = rd->is_alone;
        expand_tree(rd, pair->value);
        rd->may_be_missing = false;
        settings = (struct entry){NULL, pair->at, pair->value};
    }
    rd->settings = settings.node;
    settings_read(rd, settings.node ? &settings : NULL);
}

static bool is_inside(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* What lies in state_root is data, and what has none of our words is somebody else's. */
static void set_aside(struct reader *rd, struct document_list *docs)
{
    struct project *project = rd->project;
    const char **skipped = reader_alloc(rd, docs->count * sizeof *skipped);
    if (!skipped)
        return;
    for (size_t i = 0; i < docs->count; i++) {
        struct document *doc = &docs->items[i];
        const char *path = reader_path(rd, doc->file);
        bool is_state = path && is_inside(path, project->settings.state_root);
        if (is_state)
            doc->ours = false;
        else if (!doc->unreadable && !doc->ours)
            skipped[project->skipped_count++] = doc->file;
        if (is_state || (!doc->unreadable && !doc->ours))
            problem_forget_file(rd->problems, doc->file);
    }
    project->skipped_files = skipped;
}

static void check_top_level(struct reader *rd, const struct document *doc)
{
    if (doc->second.line)
        mistake(rd, doc->second,
                "a second document (---) starts here: move it to a file of its own");
    for (size_t i = 0; i < doc->root->count; i++) {
        const struct pair *pair = &doc->root->pairs[i];
        const struct node *value = pair->value;
        int id = 0;
        while (id < SECTION_COUNT && strcmp(words[id], pair->key) != 0)
            id++;
        if (id == SECTION_COUNT)
            form_unknown(rd, "project's top level", pair, words);
        else if (id != SECTION_SETTINGS && value->kind != NODE_MAP &&
                 !node_is_core(value, CORE_NULL))
            mistake(rd, value->at, "`%s` must be a map of names, but it is %s%s", words[id],
                    node_kind_name(value),
                    value->kind == NODE_LIST
                        ? ": write `name:` before each; a dbt file needs `version:` to be skipped"
                        : "");
    }
}

static const struct node *section_map(const struct document *doc, int id)
{
    const struct pair *pair = doc->ours ? node_get(doc->root, words[id]) : NULL;
    return pair && pair->value->kind == NODE_MAP ? pair->value : NULL;
}

static void gather_section(struct reader *rd, const struct document_list *docs, int id)
{
    struct section *s = &rd->sections[id];
    size_t count = 0;
    for (size_t i = 0; i < docs->count; i++) {
        const struct node *map = section_map(&docs->items[i], id);
        count += map ? map->count : 0;
    }
    struct entry *all = reader_alloc(rd, count * sizeof *all);
    if (!all)
        return;
    count = 0;
    for (size_t i = 0; i < docs->count; i++) {
        const struct node *map = section_map(&docs->items[i], id);
        for (size_t j = 0; map && j < map->count; j++)
            all[count++] = (struct entry){map->pairs[j].key, map->pairs[j].at, map->pairs[j].value};
    }
    section_index(rd, s, all, count);
}

static void check_names(struct reader *rd, const struct section *s)
{
    for (size_t i = 0; i < s->count; i++)
        name_check(rd, s->entries[i].at, s->entries[i].name,
                   reader_printf(rd, "a %s's name", s->noun));
}

static void expand_document(struct reader *rd, const struct document *doc)
{
    for (size_t i = 0; i < doc->root->count; i++) {
        const struct pair *pair = &doc->root->pairs[i];
        bool others = strcmp(pair->key, words[SECTION_SOURCES]) == 0 ||
                      strcmp(pair->key, words[SECTION_ALERTS]) == 0;
        rd->may_be_missing = rd->is_alone || (rd->is_worker && others);
        expand_tree(rd, pair->value);
    }
    rd->may_be_missing = false;
}

static void gather(struct reader *rd, const struct document_list *docs)
{
    size_t ours = 0;
    for (size_t i = 0; i < docs->count; i++) {
        if (!docs->items[i].ours)
            continue;
        ours++;
        expand_document(rd, &docs->items[i]);
        check_top_level(rd, &docs->items[i]);
    }
    if (ours == 0 && docs->count > 0 && rd->problems->mistakes == 0)
        mistake(rd, (struct config_place){".", 0, 0},
                "no YAML file in %s has one of the words %s at its top level", rd->project->dir,
                listed(rd, words));
    for (int id = 0; id < SECTION_COUNT; id++) {
        rd->sections[id].word = words[id];
        rd->sections[id].noun = nouns[id];
        if (id == SECTION_SETTINGS || rd->failed)
            continue;
        gather_section(rd, docs, id);
        if (!rd->failed)
            check_names(rd, &rd->sections[id]);
    }
}

static void load(struct reader *rd)
{
    static void (*const parts[])(struct reader *) = {
        definitions_note,  sources_read, warehouse_log_read, models_read, connectors_read,
        destinations_read, quotas_check, syncs_read,         alerts_read, shards_apply,
    };
    struct document_list docs = {0};
    parse_files(rd, &docs);
    if (!rd->failed)
        read_settings(rd, &docs);
    if (!rd->failed)
        set_aside(rd, &docs);
    if (!rd->failed)
        gather(rd, &docs);
    for (size_t i = 0; i < ARRAY_LEN(parts) && !rd->failed; i++)
        parts[i](rd);
    if (rd->problems->dropped)
        rd->problems->items[PROBLEM_LIMIT - 1].text =
            "there are more mistakes than are shown here: correct these first";
    problem_sort(rd->problems);
}

static enum err_code open_dir(struct reader *rd, const char *dir, struct err *err)
{
    char whole[PATH_MAX];
    if (realpath(dir, whole)) {
        rd->project->dir = reader_str(rd, slice_str(whole));
        inputs_set_dir(rd->inputs, whole);
        return rd->project->dir ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
    }
    const char *why = strerror(errno);
    mistake(rd, (struct config_place){dir, 0, 0}, "this project folder cannot be opened: %s", why);
    return err_set(err, ERR_CONFIG, "the project folder %s cannot be opened: %s", dir, why);
}

/* Mistakes elsewhere are not this caller's: they are kept in a list that goes. */
static void load_connectors(struct reader *rd)
{
    struct problem_list *problems = rd->problems, others;
    struct document_list docs = {0};
    problem_list_init(&others);
    rd->problems = &others;
    if (*rd->project->dir)
        parse_files(rd, &docs);
    rd->problems = problems;
    for (size_t i = 0; i < docs.count && !rd->failed; i++) {
        const struct pair *pair =
            docs.items[i].ours ? node_get(docs.items[i].root, words[SECTION_CONNECTORS]) : NULL;
        if (pair)
            expand_tree(rd, pair->value);
    }
    rd->sections[SECTION_CONNECTORS].word = words[SECTION_CONNECTORS];
    rd->sections[SECTION_CONNECTORS].noun = nouns[SECTION_CONNECTORS];
    if (!rd->failed)
        gather_section(rd, &docs, SECTION_CONNECTORS);
    if (!rd->failed)
        connectors_read(rd);
    if (!rd->failed)
        connectors_add_builtin(rd);
    problem_sort(rd->problems);
    problem_list_done(&others);
}

/* As far as they can be read: defaults stand in the place of what cannot. */
static void load_settings(struct reader *rd)
{
    struct problem_list *problems = rd->problems, others;
    struct document_list docs = {0};
    problem_list_init(&others);
    rd->problems = &others;
    parse_files(rd, &docs);
    if (!rd->failed)
        read_settings(rd, &docs);
    rd->problems = problems;
    problem_list_done(&others);
}

static void load_parts(struct reader *rd)
{
    if (rd->only_settings)
        load_settings(rd);
    else if (rd->only_connectors)
        load_connectors(rd);
    else
        load(rd);
}

static enum err_code load_into(struct reader *rd, const char *dir, struct err *err)
{
    enum err_code rc = ERR_OK;
    if (dir)
        rc = open_dir(rd, dir, err);
    else
        rd->project->dir = "";
    if (rc)
        return rc;
    load_parts(rd);
    size_t mistakes = rd->problems->mistakes;
    if (rd->failed)
        return err_set(err, rd->failed, "out of memory while reading the configuration in %s", dir);
    if (mistakes > 0)
        return err_set(err, ERR_CONFIG, "the configuration in %s has %zu mistake%s", dir, mistakes,
                       mistakes == 1 ? "" : "s");
    return ERR_OK;
}

/* The folder as it was named, absolute. As a shell does, $PWD is believed where it is this folder:
 * it keeps the links that led here. */
static void keep_name(struct reader *rd, const char *dir)
{
    char here[PATH_MAX];
    const char *pwd = getenv("PWD");
    struct stat a, b;
    if (!dir || *dir == '/') {
        rd->project->named = dir ? reader_str(rd, slice_str(dir)) : "";
        return;
    }
    bool believed = pwd && *pwd == '/' && stat(pwd, &a) == 0 && stat(".", &b) == 0 &&
                    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    const char *base = believed ? pwd : getcwd(here, sizeof here) ? here : ".";
    size_t n = strlen(base) + strlen(dir) + 2;
    char *named = reader_alloc(rd, n);
    if (named)
        snprintf(named, n, "%s%s%s", base, strcmp(dir, ".") == 0 ? "" : "/",
                 strcmp(dir, ".") == 0 ? "" : dir);
    rd->project->named = named;
}

static enum err_code load_as(struct reader *rd, const char *dir, struct project **ret_project,
                             struct err *err)
{
    struct inputs inputs;
    struct project *project = calloc(1, sizeof *project);
    if (!project)
        return err_set(err, ERR_NOMEM, "out of memory");
    inputs_init(&inputs);
    arena_init(&project->arena, PROJECT_ARENA_BYTES);
    rd->project = project;
    rd->inputs = &inputs;
    keep_name(rd, dir);
    enum err_code rc = load_into(rd, dir, err);
    inputs_close(&inputs);
    inputs_move(rc ? &rd->problems->inputs : &project->inputs, &inputs);
    if (rc)
        project_free(project);
    else
        *ret_project = project;
    return rc;
}

enum err_code project_load(const char *dir, struct project **ret_project,
                           struct problem_list *problems, struct err *err)
{
    struct reader rd = {.problems = problems};
    return load_as(&rd, dir, ret_project, err);
}

enum err_code project_load_worker(const char *dir, struct project **ret_project,
                                  struct problem_list *problems, struct err *err)
{
    struct reader rd = {.problems = problems, .is_worker = true};
    return load_as(&rd, dir, ret_project, err);
}

enum err_code project_load_alone(const char *dir, struct project **ret_project,
                                 struct problem_list *problems, struct err *err)
{
    struct reader rd = {.problems = problems, .is_alone = true};
    return load_as(&rd, dir, ret_project, err);
}

enum err_code project_load_connectors(const char *dir, struct project **ret_project,
                                      struct problem_list *problems, struct err *err)
{
    struct reader rd = {.problems = problems, .only_connectors = true};
    return load_as(&rd, dir, ret_project, err);
}

enum err_code project_load_settings(const char *dir, struct project **ret_project,
                                    struct problem_list *problems, struct err *err)
{
    struct reader rd = {.problems = problems, .only_settings = true};
    return load_as(&rd, dir, ret_project, err);
}
