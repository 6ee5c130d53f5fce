/* As much of JSON Schema (draft 2020-12) as the document uses; a word it does not know fails. */
#include "schema.h"

#include "protocol/base/attr.h"
#include "scheduler/api/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

enum { WHERE_BYTES = 512 };

json_t *schema_document(void)
{
    for (size_t i = 0; i < page_count; i++)
        if (strcmp(pages[i].name, "openapi.json") == 0) {
            json_error_t error;
            json_t *document = json_loadb((const char *)pages[i].bytes, pages[i].size,
                                          JSON_REJECT_DUPLICATES, &error);
            if (!document)
                fail_msg("openapi.json:%d:%d: %s", error.line, error.column, error.text);
            return document;
        }
    fail_msg("there is no openapi.json in the program");
    return NULL;
}

/* "#/components/schemas/Run" */
static const json_t *resolve(const json_t *document, const json_t *node)
{
    const char *ref = json_string_value(json_object_get(node, "$ref"));
    if (!ref)
        return node;
    char path[WHERE_BYTES], *rest = path;
    snprintf(path, sizeof path, "%s", ref);
    assert_int_equal(strncmp(path, "#/", 2), 0);
    rest += 2;
    const json_t *at = document;
    for (char *part = strsep(&rest, "/"); part; part = strsep(&rest, "/"))
        at = json_object_get(at, part);
    if (!at)
        fail_msg("%s leads nowhere", ref);
    return at;
}

/* ---- values ---- */

static bool is_type(const json_t *value, const char *type)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return strcmp(type, "object") == 0;
    case JSON_ARRAY:
        return strcmp(type, "array") == 0;
    case JSON_STRING:
        return strcmp(type, "string") == 0;
    case JSON_INTEGER:
        return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
    case JSON_REAL:
        return strcmp(type, "number") == 0;
    case JSON_TRUE:
    case JSON_FALSE:
        return strcmp(type, "boolean") == 0;
    case JSON_NULL:
        return strcmp(type, "null") == 0;
    }
    return false;
}

static bool type_fits(const json_t *value, const json_t *type)
{
    if (!type)
        return true;
    if (json_is_string(type))
        return is_type(value, json_string_value(type));
    size_t i;
    const json_t *one;
    json_array_foreach(type, i, one) if (is_type(value, json_string_value(one))) return true;
    return false;
}

/* 2026-11-28T20:00:00.000Z */
static bool is_time(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    return true;
}

static bool fits(const json_t *document, const json_t *schema, const json_t *value, char *where);

static bool object_fits(const json_t *document, const json_t *schema, const json_t *value,
                        char *where)
{
    const json_t *properties = json_object_get(schema, "properties"), *required, *one;
    bool closed = json_is_false(json_object_get(schema, "additionalProperties"));
    size_t i;
    required = json_object_get(schema, "required");
    json_array_foreach(required, i, one) if (!json_object_get(value, json_string_value(one)))
    {
        snprintf(where + strlen(where), WHERE_BYTES - strlen(where), ": %s is missing",
                 json_string_value(one));
        return false;
    }
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        const json_t *of = json_object_get(properties, key);
        size_t n = strlen(where);
        snprintf(where + n, WHERE_BYTES - n, "/%s", key);
        if ((!of && closed) || (of && !fits(document, of, member, where)))
            return false;
        where[n] = '\0';
    }
    return true;
}

static bool array_fits(const json_t *document, const json_t *schema, const json_t *value,
                       char *where)
{
    const json_t *items = json_object_get(schema, "items"), *one;
    const json_t *max = json_object_get(schema, "maxItems");
    size_t i;
    if (max && (json_int_t)json_array_size(value) > json_integer_value(max))
        return false;
    json_array_foreach(value, i, one)
    {
        size_t n = strlen(where);
        snprintf(where + n, WHERE_BYTES - n, "/%zu", i);
        if (items && !fits(document, items, one, where))
            return false;
        where[n] = '\0';
    }
    return true;
}

static bool any_fits(const json_t *document, const json_t *list, const json_t *value, char *where)
{
    size_t i, n = strlen(where);
    const json_t *one;
    json_array_foreach(list, i, one)
    {
        if (fits(document, one, value, where))
            return true;
        if (i + 1 < json_array_size(list))
            where[n] = '\0';
    }
    return false;
}

static bool enum_has(const json_t *list, const json_t *value)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) if (json_equal(one, value)) return true;
    return !list;
}

static void words_are_known(const json_t *schema)
{
    static const char *const words[] = {
        "type",  "properties", "required", "additionalProperties", "items", "maxItems", "enum",
        "anyOf", "format",     "minimum",  "description",          "$ref",  "maximum"};
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)schema, key, member)
    {
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            known = known || strcmp(words[i], key) == 0;
        if (!known)
            fail_msg("this test does not know the word %s", key);
    }
}

/* where: the path so far; where it fails, of what does not fit. */
static bool fits(const json_t *document, const json_t *schema, const json_t *value, char *where)
{
    schema = resolve(document, schema);
    words_are_known(schema);
    const json_t *any = json_object_get(schema, "anyOf"), *min = json_object_get(schema, "minimum");
    if (any)
        return any_fits(document, any, value, where);
    if (!type_fits(value, json_object_get(schema, "type")) ||
        !enum_has(json_object_get(schema, "enum"), value))
        return false;
    if (min && json_number_value(value) < json_number_value(min))
        return false;
    if (json_is_string(value) && json_object_get(schema, "format"))
        return is_time(json_string_value(value));
    if (json_is_object(value))
        return object_fits(document, schema, value, where);
    return !json_is_array(value) || array_fits(document, schema, value, where);
}

/* ---- operations ---- */

static bool path_fits(const char *pattern, const char *path)
{
    size_t n = strcspn(path, "?");
    while (*pattern && n) {
        if (*pattern == '{') {
            pattern += strcspn(pattern, "}") + 1;
            size_t skip = strcspn(path, "/?");
            path += skip;
            n -= skip;
        } else if (*pattern++ != *path++) {
            return false;
        } else {
            n--;
        }
    }
    return !*pattern && !n;
}

const json_t *schema_operation(const json_t *document, const char *method, const char *path)
{
    const char *pattern, *name;
    json_t *item, *operation;
    const json_t *found = NULL;
    json_object_foreach(json_object_get(document, "paths"), pattern, item)
    {
        if (!path_fits(pattern, path))
            continue;
        json_object_foreach(item, name, operation) if (strcasecmp(name, method) == 0 &&
                                                       (!found || !strchr(pattern, '{'))) found =
            operation;
    }
    return found;
}

void schema_check(const json_t *document, const char *method, const char *path, int status,
                  const json_t *json)
{
    const json_t *operation = schema_operation(document, method, path);
    char code[8], where[WHERE_BYTES] = "";
    if (!operation)
        return; /* an unknown path; what it answers is for the test to say */
    snprintf(code, sizeof code, "%d", status);
    const json_t *response = json_object_get(json_object_get(operation, "responses"), code);
    if (!response)
        fail_msg("%s %s: the document has no status %d", method, path, status);
    response = resolve(document, response);
    const json_t *content = json_object_get(response, "content");
    const json_t *media = json_object_get(content, "application/json");
    if (!media) {
        if (json)
            fail_msg("%s %s: the document promises no JSON", method, path);
        return;
    }
    if (!json)
        fail_msg("%s %s: the document promises JSON", method, path);
    if (!fits(document, json_object_get(media, "schema"), json, where)) {
        char *text = json_dumps(json, 0);
        print_error("%s\n", text);
        free(text);
        fail_msg("%s %s %d: %s is not what the document says", method, path, status, where);
    }
}
