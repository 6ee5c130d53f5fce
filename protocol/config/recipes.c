#include "protocol/config/recipes.h"

#include "protocol/config/parts.h"
#include "protocol/config/recipes_yaml.h"
#include "protocol/config/yaml.h"

#define RECIPES_FILE "protocol/connector/recipes.yaml"

struct recipe_book {
    const char **names; /* NULL ends them */
    struct transform_list *lists;
    size_t count;
};

static void read_book(struct reader *rd, struct recipe_book *book)
{
    static const struct config_place whole = {RECIPES_FILE, 1, 1};
    struct config_place second;
    struct slice text = slice_of(recipes_yaml, recipes_yaml_bytes);
    const struct node *root = yaml_read(rd, RECIPES_FILE, text, &second);
    if (!root || root->kind != NODE_MAP) {
        mistake(rd, whole, "this must be a map of names to lists of transforms");
        return;
    }
    const char **names = reader_alloc(rd, (root->count + 1) * sizeof *names);
    book->lists = reader_alloc(rd, root->count * sizeof *book->lists);
    if (!names || !book->lists)
        return;
    /* The book stays empty while it is read: a recipe that names another is a mistake. */
    for (size_t i = 0; i < root->count; i++) {
        const struct pair *pair = &root->pairs[i];
        names[i] = pair->key;
        if (transform_is(pair->key))
            mistake(rd, pair->at, "%s is a transform already: give the recipe another name",
                    pair->key);
        transform_list_read(rd, pair->value, &book->lists[i]);
    }
    names[root->count] = NULL;
    book->names = names;
    book->count = root->count;
}

static const struct recipe_book *book_of(struct reader *rd)
{
    static const char *const none[] = {NULL};
    static const struct recipe_book empty = {.names = (const char **)none};
    if (!rd->recipes) {
        struct recipe_book *book = reader_alloc(rd, sizeof *book);
        if (!book)
            return &empty;
        *book = empty;
        rd->recipes = book;
        read_book(rd, book);
    }
    return rd->recipes;
}

const struct transform *recipe_transforms(struct reader *rd, const char *name, size_t *ret_count)
{
    const struct recipe_book *book = book_of(rd);
    for (size_t i = 0; i < book->count; i++) {
        if (strcmp(book->names[i], name) == 0) {
            *ret_count = book->lists[i].count;
            return book->lists[i].items;
        }
    }
    return NULL;
}

const char *const *recipe_names(struct reader *rd, size_t *ret_count)
{
    const struct recipe_book *book = book_of(rd);
    *ret_count = book->count;
    return book->names;
}
