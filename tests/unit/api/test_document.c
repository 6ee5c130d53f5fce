/* The OpenAPI document has every route, and every route is in the document. */
#include "lab.h"

#include "scheduler/api/routes.h"

#include <stdio.h>

static const char *const access_names[] = {
    [ACCESS_OPEN] = "open",
    [ACCESS_VIEWER] = "viewer",
    [ACCESS_OPERATOR] = "operator",
    [ACCESS_ADMIN] = "admin",
};

static const char *method_of(const struct route *r)
{
    return r->method == EVHTTP_REQ_GET ? "get" : "post";
}

static void every_route_is_in_the_document_with_its_role(void **state)
{
    (void)state;
    json_t *document = schema_document();
    const json_t *paths = json_object_get(document, "paths");
    for (size_t i = 0; i < route_count; i++) {
        const json_t *operation =
            json_object_get(json_object_get(paths, routes[i].path), method_of(&routes[i]));
        if (!operation)
            fail_msg("%s %s is not in the document", method_of(&routes[i]), routes[i].path);
        assert_string_equal(at(operation, "x-role"), access_names[routes[i].access]);
    }
    json_decref(document);
}

static bool is_route(const char *method, const char *path)
{
    for (size_t i = 0; i < route_count; i++)
        if (strcmp(routes[i].path, path) == 0 && strcmp(method_of(&routes[i]), method) == 0)
            return true;
    return false;
}

static void check_parameters(const char *path, const json_t *operation)
{
    size_t i, in_path = 0, braces = 0;
    json_t *one;
    json_array_foreach(json_object_get(operation, "parameters"), i, one)
    {
        char name[64];
        snprintf(name, sizeof name, "{%s}", at(one, "name"));
        if (strcmp(at(one, "in"), "path") == 0) {
            in_path++;
            assert_non_null(strstr(path, name));
        }
    }
    for (const char *p = path; *p; p++)
        braces += *p == '{';
    assert_int_equal(in_path, braces);
}

static void everything_in_the_document_is_a_route(void **state)
{
    (void)state;
    json_t *document = schema_document(), *item, *operation;
    const char *path, *method;
    json_object_foreach(json_object_get(document, "paths"), path, item)
        json_object_foreach(item, method, operation)
    {
        if (!is_route(method, path))
            fail_msg("%s %s is no route", method, path);
        check_parameters(path, operation);
    }
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_in_the_document_with_its_role),
        cmocka_unit_test(everything_in_the_document_is_a_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
