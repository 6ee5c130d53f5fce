/* What can be done through the API, who may do it, and what the audit log says of it. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STRANGE "Gr%C3%B6%C3%9Fe%2F%C3%A4%25%3F%26" /* Größe/ä%?& */

static int open_lab(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    lab_open(lab, TOKENS);
    *state = lab;
    return 0;
}

static int close_lab(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

static const struct answer *post(struct lab *lab, const char *path, const char *body)
{
    return ask(lab, "POST", path, AS_OPERATOR, body);
}

static void put_run(struct lab *lab, const char *id, enum run_status status)
{
    struct run_record r = {.status = status, .started_ms = 1700000000000, .sync = "customers"};
    strcpy(r.id, id);
    double_put_run(lab->control, &r, CONTROL_SENDING);
}

static void a_sync_is_run_and_a_second_request_waits(void **state)
{
    struct lab *lab = *state;
    const struct answer *a = post(lab, "/api/v1/syncs/customers/run", NULL);
    assert_int_equal(a->status, 202);
    assert_string_equal(at(a->json, "run"), "run-1");
    assert_string_equal(at(a->json, "sync"), "customers");
    assert_string_equal(at(a->json, "queued"), "false");
    a = post(lab, "/api/v1/syncs/customers/run", "{\"full\":true}");
    assert_string_equal(at(a->json, "run"), "run-2");
    assert_string_equal(at(a->json, "queued"), "true");
    a = post(lab, "/api/v1/syncs/customers/run", "{}");
    assert_string_equal(at(a->json, "run"), "run-2"); /* the one that waits */
    a = post(lab, "/api/v1/syncs/" STRANGE "/run", "");
    assert_int_equal(a->status, 202);
    assert_string_equal(at(a->json, "sync"), "Größe/ä%?&");
    const json_t *j = get(lab, "/api/v1/runs/run-1", AS_VIEWER);
    assert_string_equal(at(j, "trigger"), "olga");
    assert_string_equal(at(j, "phase"), "reading");
    assert_int_equal(post(lab, "/api/v1/syncs/none/run", NULL)->status, 404);
}

static void several_syncs_are_run_at_once(void **state)
{
    struct lab *lab = *state;
    const struct answer *a = post(lab, "/api/v1/runs", "{\"syncs\":[\"lines\",\"Größe/ä%?&\"]}");
    assert_int_equal(a->status, 202);
    assert_string_equal(at(a->json, "started/0/sync"), "lines");
    assert_string_equal(at(a->json, "started/1/sync"), "Größe/ä%?&");
    a = post(lab, "/api/v1/runs", "{\"syncs\":[\"lines\",\"linse\"]}");
    assert_int_equal(a->status, 404); /* and nothing was begun */
    assert_int_equal(json_array_size(json_object_get(get(lab, "/api/v1/runs", AS_VIEWER), "runs")),
                     2);
    a = post(lab, "/api/v1/runs", NULL);
    assert_int_equal(json_array_size(json_object_get(a->json, "started")), 3);
    double_set_ready(lab->control, "Redis cannot be reached");
    a = post(lab, "/api/v1/runs", "{}");
    assert_int_equal(a->status, 503);
    assert_string_equal(at(a->json, "error/code"), "unreachable");
    assert_string_equal(at(a->json, "error/message"), "Redis cannot be reached");
}

static void bodies_that_are_wrong_are_refused(void **state)
{
    struct lab *lab = *state;
    static const struct {
        const char *path, *body;
    } cases[] = {
        {"/api/v1/runs", "{\"syncs\":[]}"},
        {"/api/v1/runs", "{\"syncs\":\"lines\"}"},
        {"/api/v1/runs", "{\"syncs\":[1]}"},
        {"/api/v1/runs", "{\"sync\":[\"lines\"]}"},
        {"/api/v1/runs", "{\"full\":1}"},
        {"/api/v1/runs", "[]"},
        {"/api/v1/runs", "null"},
        {"/api/v1/runs", "{\"full\":true,\"full\":false}"},
        {"/api/v1/runs", "{\"full\":true} x"},
        {"/api/v1/runs", "{"},
        {"/api/v1/runs", "syncs=lines"},
        {"/api/v1/runs", "{\"syncs\":[\"\xff\"]}"},
        {"/api/v1/runs", "{\"syncs\":[\"a\\u0000b\"]}"},
        {"/api/v1/syncs/customers/run", "{\"adopt\":\"yes\"}"},
        {"/api/v1/syncs/customers/retry", "{\"key\":4}"},
        {"/api/v1/syncs/customers/pause", "{\"paused\":false}"},
        {"/api/v1/runs/r1/cancel", "{\"why\":\"\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct answer *a = post(lab, cases[i].path, cases[i].body);
        if (a->status != 400)
            fail_msg("%s %s: %d %s", cases[i].path, cases[i].body, a->status, a->body);
    }
    assert_string_equal(at(get(lab, "/api/v1/runs", AS_VIEWER), "runs"), "[]");
}

/* A number is no flag, text or list: a member that the API knows is refused for its value. */
static void members_are_those_of_the_document(void **state)
{
    struct lab *lab = *state;
    const char *path, *name;
    json_t *item, *value;
    json_object_foreach(json_object_get(lab->document, "paths"), path, item)
    {
        const json_t *schema = json_object_get(json_object_get(item, "post"), "requestBody");
        static const char *const way[] = {"content", "application/json", "schema", "properties"};
        for (size_t i = 0; i < ARRAY_LEN(way); i++)
            schema = json_object_get(schema, way[i]);
        if (!schema)
            continue;
        char sent[256], there[128] = "/api/v1/syncs/lines/run";
        if (!strstr(path, "{name}/run"))
            snprintf(there, sizeof there, "%s", path);
        bool retry = strstr(path, "/retry");
        if (retry)
            snprintf(there, sizeof there, "/api/v1/syncs/lines/retry");
        if (strchr(there, '{'))
            continue; /* those that take nothing */
        json_object_foreach((json_t *)(uintptr_t)schema, name, value)
        {
            snprintf(sent, sizeof sent, "{\"%s\":1}", name);
            const struct answer *a = ask(lab, "POST", there, AS_OPERATOR, sent);
            assert_int_equal(a->status, 400);
            if (strstr(a->body, "unknown member"))
                fail_msg("%s does not know %s", path, name);
        }
        const struct answer *a = ask(lab, "POST", there, AS_ADMIN, "{\"zzz\":1}");
        assert_int_equal(a->status, 400);
        assert_non_null(strstr(a->body, "unknown member"));
    }
}

static void runs_are_cancelled_approved_and_rejected_where_they_can_be(void **state)
{
    struct lab *lab = *state;
    put_run(lab, "going", RUN_PLANNED);
    put_run(lab, "held", RUN_HELD);
    put_run(lab, "held2", RUN_HELD);
    put_run(lab, "over", RUN_SUCCESS);
    const struct answer *a = post(lab, "/api/v1/runs/going/cancel", NULL);
    assert_int_equal(a->status, 200);
    assert_string_equal(at(a->json, "status"), "cancelled");
    a = post(lab, "/api/v1/runs/over/cancel", NULL);
    assert_int_equal(a->status, 409);
    assert_string_equal(at(a->json, "error/code"), "conflict");
    assert_int_equal(post(lab, "/api/v1/runs/none/cancel", NULL)->status, 404);
    a = post(lab, "/api/v1/runs/held/approve", NULL);
    assert_int_equal(a->status, 200);
    assert_string_equal(at(a->json, "status"), "planned");
    assert_int_equal(post(lab, "/api/v1/runs/held/approve", NULL)->status, 409);
    a = post(lab, "/api/v1/runs/held2/reject", "{}");
    assert_string_equal(at(a->json, "status"), "cancelled");
    assert_int_equal(post(lab, "/api/v1/runs/over/reject", NULL)->status, 409);
}

static void syncs_and_destinations_are_paused_and_resumed(void **state)
{
    struct lab *lab = *state;
    const struct answer *a = post(lab, "/api/v1/syncs/customers/pause", NULL);
    assert_int_equal(a->status, 200);
    assert_string_equal(at(a->json, "paused"), "true");
    assert_string_equal(at(a->json, "next_at"), "null");
    a = post(lab, "/api/v1/destinations/Gr%C3%B6%C3%9Fe%2F%C3%A4/pause", NULL);
    assert_int_equal(a->status, 200);
    assert_string_equal(at(a->json, "name"), "Größe/ä");
    assert_string_equal(at(a->json, "paused"), "true");
    const json_t *j = get(lab, "/api/v1/syncs", AS_VIEWER);
    assert_string_equal(at(j, "syncs/0/paused"), "true");
    assert_string_equal(at(j, "syncs/0/destination_paused"), "false");
    assert_string_equal(at(j, "syncs/1/destination_paused"), "true");
    assert_string_equal(at(post(lab, "/api/v1/syncs/customers/resume", "{}")->json, "paused"),
                        "false");
    a = post(lab, "/api/v1/destinations/Gr%C3%B6%C3%9Fe%2F%C3%A4/resume", NULL);
    assert_string_equal(at(a->json, "paused"), "false");
    assert_int_equal(post(lab, "/api/v1/syncs/none/pause", NULL)->status, 404);
    assert_int_equal(post(lab, "/api/v1/destinations/none/pause", NULL)->status, 404);
}

static void refusals_are_forgotten_by_group(void **state)
{
    struct lab *lab = *state;
    for (unsigned i = 0; i < 6; i++)
        double_reject(lab->control, "customers", REJECTED_REFUSED, i, i < 4 ? "bad mail" : "busy");
    const struct answer *a =
        post(lab, "/api/v1/syncs/customers/retry", "{\"message\":\"BAD MAIL\",\"key\":null}");
    assert_int_equal(a->status, 200);
    assert_string_equal(at(a->json, "count"), "4");
    assert_string_equal(at(post(lab, "/api/v1/syncs/customers/retry", NULL)->json, "count"), "2");
    post(lab, "/api/v1/syncs/customers/run", NULL);
    a = post(lab, "/api/v1/syncs/customers/retry", NULL);
    assert_int_equal(a->status, 409);
    assert_string_equal(at(a->json, "error/code"), "busy");
}

static void a_reload_is_taken_as_a_whole_or_refused_with_every_place(void **state)
{
    struct lab *lab = *state;
    lab_write(lab, TOKENS ", listen: here", "wrong: 1\n");
    const struct answer *a = ask(lab, "POST", "/api/v1/reload", AS_ADMIN, NULL);
    assert_int_equal(a->status, 422);
    assert_string_equal(at(a->json, "error/code"), "configuration");
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(a->json, "error"), "problems")), 2);
    assert_int_equal(strncmp(at(a->json, "error/problems/0"), "sluice.yaml:1:", 14), 0);
    assert_non_null(strstr(at(get(lab, "/api/v1/status", AS_VIEWER), "reload_error"), "listen"));
    lab_write(lab, TOKENS, "  more: {model: customers, destination: hook, mappings: all}\n");
    a = ask(lab, "POST", "/api/v1/reload", AS_ADMIN, "{}");
    assert_int_equal(a->status, 200);
    assert_string_equal(a->body, "{\"ok\":true}");
    get(lab, "/api/v1/syncs/more", AS_VIEWER);
    assert_string_equal(at(get(lab, "/api/v1/status", AS_VIEWER), "reload_error"), "null");
}

static void every_route_asks_for_its_role(void **state)
{
    struct lab *lab = *state;
    static const char *const headers[] = {"", AS_VIEWER, AS_OPERATOR, AS_ADMIN};
    static const char *const roles[] = {"open", "viewer", "operator", "admin"};
    const char *path, *method;
    json_t *item, *operation;
    json_object_foreach(json_object_get(lab->document, "paths"), path, item)
        json_object_foreach(item, method, operation)
    {
        const char *role = json_string_value(json_object_get(operation, "x-role"));
        if (strcmp(path, "/api/v1/events") == 0)
            continue; /* does not end */
        for (size_t who = 0; who < ARRAY_LEN(headers); who++) {
            size_t needed = 0;
            while (strcmp(roles[needed], role) != 0)
                needed++;
            char sent[128];
            snprintf(sent, sizeof sent, BROWSER "%s", headers[who]);
            bool post_it = strcmp(method, "post") == 0;
            const struct answer *a = ask(lab, post_it ? "POST" : "GET", path, sent, NULL);
            bool refused = a->status == 403 || a->status == 401;
            bool login = strcmp(path, "/api/v1/login") == 0;
            if (!login && refused != (who < needed))
                fail_msg("%s %s as %s: %d", method, path, roles[who], a->status);
            if (!login && refused)
                assert_int_equal(a->status, who ? 403 : 401);
        }
    }
}

static void the_audit_log_says_who_did_what(void **state)
{
    struct lab *lab = *state;
    post(lab, "/api/v1/syncs/customers/pause", NULL);
    post(lab, "/api/v1/runs/none/cancel", NULL);
    ask_local(lab, "POST", "/api/v1/syncs/lines/run", NULL);
    const json_t *j = get(lab, "/api/v1/audit", AS_ADMIN);
    assert_int_equal(json_array_size(json_object_get(j, "entries")), 3);
    assert_string_equal(at(j, "entries/0/actor"), "local (admin)");
    assert_string_equal(at(j, "entries/0/action"), "run");
    assert_string_equal(at(j, "entries/1/outcome"), "there is no run none");
    assert_string_equal(at(j, "entries/2/actor"), "olga (operator)");
    assert_string_equal(at(j, "entries/2/target"), "customers");
    j = get(lab, "/api/v1/audit?limit=1", AS_ADMIN);
    assert_int_equal(json_array_size(json_object_get(j, "entries")), 1);
}

static void the_unix_socket_is_its_owners_and_admin(void **state)
{
    struct lab *lab = *state;
    struct stat st;
    assert_int_equal(stat(lab->socket_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    const struct answer *a = ask_local(lab, "GET", "/api/v1/status", NULL);
    assert_string_equal(at(a->json, "name"), "local");
    assert_string_equal(at(a->json, "role"), "admin");
    assert_int_equal(ask_local(lab, "POST", "/api/v1/reload", NULL)->status, 200);
}

#define with_lab(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_lab(a_sync_is_run_and_a_second_request_waits),
        with_lab(several_syncs_are_run_at_once),
        with_lab(bodies_that_are_wrong_are_refused),
        with_lab(members_are_those_of_the_document),
        with_lab(runs_are_cancelled_approved_and_rejected_where_they_can_be),
        with_lab(syncs_and_destinations_are_paused_and_resumed),
        with_lab(refusals_are_forgotten_by_group),
        with_lab(a_reload_is_taken_as_a_whole_or_refused_with_every_place),
        with_lab(every_route_asks_for_its_role),
        with_lab(the_audit_log_says_who_did_what),
        with_lab(the_unix_socket_is_its_owners_and_admin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
