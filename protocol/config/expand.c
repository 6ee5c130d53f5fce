#include "protocol/config/expand.h"

#include "protocol/base/utf8.h"
#include "protocol/config/files.h"

#include <ctype.h>
#include <stdlib.h>

enum {
    VALUE_BYTES = 1 << 20, /* one value with everything put in */
    SECRET_FILE_BYTES = INPUT_SECRET_BYTES,
};

struct expansion {
    struct reader *rd;
    struct node *node;
    struct buf out;
};

static void put(struct expansion *x, struct slice s)
{
    enum err_code rc = buf_put(&x->out, s.p, s.n);
    if (rc == ERR_FULL && !x->node->broken) {
        mistake(x->rd, x->node->at, "this value is longer than %d bytes: shorten it", VALUE_BYTES);
        x->node->broken = true;
    } else if (rc == ERR_NOMEM) {
        x->rd->failed = rc;
    }
}

static void put_outside(struct expansion *x, struct slice value, const char *from)
{
    x->node->substituted = true;
    if (utf8_valid(value) && !memchr(value.p, '\0', value.n)) {
        put(x, value);
        return;
    }
    mistake(x->rd, x->node->at, "%s does not hold UTF-8 text: correct what it holds", from);
    x->node->broken = true;
}

static struct slice without_newline(struct slice s)
{
    if (s.n > 0 && s.p[s.n - 1] == '\n')
        s.n--;
    if (s.n > 0 && s.p[s.n - 1] == '\r')
        s.n--;
    return s;
}

static bool is_variable(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    while (isalnum((unsigned char)*name) || *name == '_')
        name++;
    return !*name;
}

/* $NAME/rest: in the folder that the environment names, such as systemd's $CREDENTIALS_DIRECTORY.
 */
static const char *file_path(struct expansion *x, const char *path)
{
    if (*path != '$')
        return path;
    size_t n = strcspn(path, "/");
    char *name = reader_str(x->rd, slice_of(path + 1, n - 1));
    const char *folder = name && is_variable(name) ? getenv(name) : NULL;
    if (folder && *folder && path[n])
        return reader_printf(x->rd, "%s%s", folder, path + n);
    x->node->broken = true;
    if (name && !x->rd->may_be_missing)
        mistake(
            x->rd, x->node->at,
            "${file:%s}: the environment variable %s names no folder: set it, or write the path "
            "itself",
            path, name);
    return NULL;
}

static void put_file(struct expansion *x, const char *written)
{
    const char *path = file_path(x, written);
    if (!path)
        return;
    struct buf bytes CLEANUP(buf_done);
    buf_init(&bytes, SECRET_FILE_BYTES);
    struct err err;
    const char *whole = reader_path(x->rd, path);
    if (!whole)
        return;
    enum err_code rc = file_read(whole, &bytes, &err);
    inputs_note(x->rd->inputs, INPUT_SECRET, whole, buf_slice(&bytes), (int)rc);
    if (!rc) {
        put_outside(x, without_newline(buf_slice(&bytes)),
                    reader_printf(x->rd, "the file %s", path));
        return;
    }
    x->node->broken = true;
    if (x->rd->may_be_missing)
        return;
    mistake(x->rd, x->node->at,
            "${file:%s} cannot be read: %s; make it readable for this user or correct the path",
            path, err.text);
}

static void put_variable(struct expansion *x, const char *name, const char *fallback)
{
    const char *value = getenv(name);
    if (fallback && (!value || !*value)) {
        x->node->substituted = true;
        put(x, slice_str(fallback));
    } else if (value) {
        put_outside(x, slice_str(value), reader_printf(x->rd, "the environment variable %s", name));
    } else {
        x->node->broken = true;
        if (!x->rd->may_be_missing)
            mistake(x->rd, x->node->at,
                    "the environment variable %s is not set: set it, or write ${%s:-default}", name,
                    name);
    }
}

/* inside: what stands between ${ and }, a copy that may be cut up. */
static void put_reference(struct expansion *x, char *inside)
{
    if (strncmp(inside, "file:", 5) == 0 && inside[5]) {
        put_file(x, inside + 5);
        return;
    }
    char *fallback = strstr(inside, ":-");
    if (fallback) {
        *fallback = '\0';
        fallback += 2;
    }
    if (is_variable(inside)) {
        put_variable(x, inside, fallback);
        return;
    }
    mistake(x->rd, x->node->at,
            "${…} must be ${NAME}, ${NAME:-default} or ${file:/path}: correct it, or write $${ for "
            "a literal ${");
    x->node->broken = true;
}

static const char *put_one(struct expansion *x, const char *p)
{
    if (strncmp(p, "$${", 3) == 0) {
        put(x, slice_of(p + 1, 2));
        return p + 3;
    }
    if (strncmp(p, "${", 2) != 0) {
        size_t n = 1 + strcspn(p + 1, "$");
        put(x, slice_of(p, n));
        return p + n;
    }
    size_t n = strcspn(p, "}");
    if (!p[n]) {
        mistake(x->rd, x->node->at, "${ without its }: close it, or write $${ for a literal ${");
        x->node->broken = true;
        return p + n;
    }
    char *inside = reader_str(x->rd, slice_of(p + 2, n - 2));
    if (inside)
        put_reference(x, inside);
    return p + n + 1;
}

static void expand_text(struct reader *rd, struct node *node)
{
    if (node->type != CORE_TEXT || node->broken || !strstr(node->text, "${"))
        return;
    struct expansion x = {.rd = rd, .node = node};
    buf_init(&x.out, VALUE_BYTES);
    for (const char *p = node->text; *p && !rd->failed;)
        p = put_one(&x, p);
    const char *text = reader_str(rd, buf_slice(&x.out));
    if (text)
        node->text = text;
    buf_done(&x.out);
}

void expand_tree(struct reader *rd, struct node *node)
{
    if (node->expanded)
        return;
    node->expanded = true;
    if (node->kind == NODE_SCALAR)
        expand_text(rd, node);
    for (size_t i = 0; i < node->count; i++)
        expand_tree(rd, node->kind == NODE_MAP ? node->pairs[i].value : node->items[i]);
}
