/* What the API tells of syncs, runs, errors, records and destinations. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STRANGE "Gr%C3%B6%C3%9Fe%2F%C3%A4%25%3F%26" /* Größe/ä%?& */

static int open_lab(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    lab_open(lab, "");
    *state = lab;
    return 0;
}

static int close_lab(void **state)
{
    lab_close(*state);
    free(*state);
    return 0;
}

static void put_run(struct lab *lab, const char *id, const char *sync, enum run_status status,
                    int64_t started_ms)
{
    struct run_record r = {.status = status,
                           .started_ms = started_ms,
                           .ended_ms = run_status_ended(status) ? started_ms + 1500 : 0,
                           .duration_ms = 1500,
                           .counts = {.rows = 3,
                                      .added = 2,
                                      .unchanged = 1,
                                      .planned = 2,
                                      .succeeded = 2,
                                      .requests = 1,
                                      .bytes = 10}};
    strcpy(r.id, id);
    strcpy(r.sync, sync);
    double_put_run(lab->control, &r, CONTROL_SENDING);
}

static void health_and_status_are_told(void **state)
{
    struct lab *lab = *state;
    assert_string_equal(ask(lab, "GET", "/healthz", NULL, NULL)->body, "ok\n");
    const json_t *j = get(lab, "/api/v1/status", NULL);
    assert_string_equal(at(j, "version"), SLUICE_VERSION);
    assert_string_equal(at(j, "role"), "admin");
    assert_string_equal(at(j, "name"), "anyone");
    assert_string_equal(at(j, "workers"), "2");
    assert_string_equal(at(get(lab, "/readyz", NULL), "ready"), "true");
    double_set_ready(lab->control, "Redis cannot be reached");
    const struct answer *a = ask(lab, "GET", "/readyz", NULL, NULL);
    assert_int_equal(a->status, 503);
    assert_string_equal(at(a->json, "why"), "Redis cannot be reached");
    assert_string_equal(ask(lab, "GET", "/healthz", NULL, NULL)->body, "ok\n");
    a = ask(lab, "GET", "/metrics", NULL, NULL);
    assert_string_equal(a->body, "sluice_test 7\n");
    assert_non_null(strstr(header_of(a, "Content-Type"), "version=0.0.4"));
}

static void syncs_are_told_with_what_they_do_now(void **state)
{
    struct lab *lab = *state;
    put_run(lab, "r1", "customers", RUN_SUCCESS, 1700000000000);
    put_run(lab, "r2", "customers", RUN_PLANNED, 1700000100000);
    put_run(lab, "r3", "lines", RUN_HELD, 1700000100000);
    const json_t *j = get(lab, "/api/v1/syncs", NULL);
    assert_int_equal(json_array_size(json_object_get(j, "syncs")), 3);
    assert_string_equal(at(j, "syncs/0/name"), "customers");
    assert_string_equal(at(j, "syncs/0/phase"), "sending");
    assert_string_equal(at(j, "syncs/0/run"), "r2");
    assert_string_equal(at(j, "syncs/0/last_run/id"), "r2");
    assert_string_equal(at(j, "syncs/0/last_run/balance"), "null");
    assert_string_equal(at(j, "syncs/0/mode"), "mirror");
    assert_string_equal(at(j, "syncs/1/name"), "Größe/ä%?&");
    assert_string_equal(at(j, "syncs/1/last_run"), "null");
    assert_string_equal(at(j, "syncs/2/held"), "true");
    assert_string_equal(at(j, "syncs/2/phase"), "idle");
}

static void a_stream_is_told_as_far_as_it_is_known(void **state)
{
    struct lab *lab = *state;
    double_set_stream(
        lab->control, "lines",
        &(struct stream_view){
            .phase = STREAM_FLOWING,
            .lag = {.behind_ms = 500, .bytes = 123456, .records = -1, .place = "0/16B3748"},
            .pending = 5,
            .in_flight = 2,
            .waits_ms = 1250,
            .drift = 4,
            .slot = "sluice_lines",
            .publication = "sluice_lines",
            .since_ms = 1700000000000});
    const json_t *j = get(lab, "/api/v1/syncs", NULL);
    assert_string_equal(at(j, "syncs/0/stream"), "null");
    assert_string_equal(at(j, "syncs/2/stream/phase"), "flowing");
    assert_string_equal(at(j, "syncs/2/stream/why"), "null");
    assert_string_equal(at(j, "syncs/2/stream/lag_seconds"), "0.5");
    assert_string_equal(at(j, "syncs/2/stream/lag_bytes"), "123456");
    assert_string_equal(at(j, "syncs/2/stream/lag_records"), "null");
    assert_string_equal(at(j, "syncs/2/stream/pending"), "5");
    assert_string_equal(at(j, "syncs/2/stream/in_flight"), "2");
    assert_string_equal(at(j, "syncs/2/stream/waits_seconds"), "1.25");
    assert_string_equal(at(j, "syncs/2/stream/drift"), "4");
    assert_string_equal(at(j, "syncs/2/stream/place"), "0/16B3748");
    assert_string_equal(at(j, "syncs/2/stream/since"), "2023-11-14T22:13:20.000Z");
    assert_string_equal(at(j, "syncs/2/stream/reconcile"), "null");
    double_set_stream(lab->control, "lines",
                      &(struct stream_view){.phase = STREAM_RESTING,
                                            .why = "connection refused",
                                            .drift = -1,
                                            .lag = {.behind_ms = -1, .bytes = -1, .records = 9}});
    j = get(lab, "/api/v1/syncs/lines", NULL);
    assert_string_equal(at(j, "stream/phase"), "resting");
    assert_string_equal(at(j, "stream/why"), "connection refused");
    assert_string_equal(at(j, "stream/lag_seconds"), "null");
    assert_string_equal(at(j, "stream/lag_records"), "9");
    assert_string_equal(at(j, "stream/drift"), "null");
    assert_string_equal(at(j, "stream/slot"), "null");
    assert_string_equal(at(j, "stream/since"), "null");
}

static void a_sync_is_told_with_its_mappings_and_without_secrets(void **state)
{
    struct lab *lab = *state;
    const json_t *j = get(lab, "/api/v1/syncs/" STRANGE, NULL);
    assert_string_equal(at(j, "name"), "Größe/ä%?&");
    assert_string_equal(at(j, "mappings/0/from"), "email");
    assert_string_equal(at(j, "mappings/1/value"), "7");
    assert_string_equal(at(j, "mappings/2/value"), "x-s3cret"); /* no secret of this destination */
    assert_string_equal(at(j, "mappings/3/template"), "a {{email}}");
    assert_string_equal(at(j, "guard/min_rows"), "0.5%");
    assert_string_equal(at(j, "guard/max_changed"), "10");
    assert_string_equal(at(j, "guard/max_removed"), "null");
    j = get(lab, "/api/v1/syncs/lines", NULL);
    assert_string_equal(at(j, "mappings/0/value"), "(secret)");
    assert_string_equal(at(j, "primary_key"), "[\"shop\",\"nr\"]");
    assert_string_equal(at(get(lab, "/api/v1/syncs/customers", NULL), "mappings/0/from"), "*");
    const struct answer *a = ask(lab, "GET", "/api/v1/syncs/custmers", NULL, NULL);
    assert_int_equal(a->status, 404);
    assert_string_equal(at(a->json, "error/code"), "not_found");
    assert_non_null(strstr(at(a->json, "error/message"), "customers")); /* did you mean */
}

static void runs_are_paged_newest_first(void **state)
{
    struct lab *lab = *state;
    char path[256] = "/api/v1/runs?limit=3", ids[256] = "";
    for (unsigned i = 0; i < 8; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%u", i);
        put_run(lab, id, i % 2 ? "customers" : "lines", i == 5 ? RUN_FAILED : RUN_SUCCESS,
                1700000000000 + i / 2);
    }
    unsigned pages = 0;
    for (bool more = true; more; pages++) {
        const json_t *j = get(lab, path, NULL);
        for (size_t i = 0; i < json_array_size(json_object_get(j, "runs")); i++) {
            char at_id[48];
            snprintf(at_id, sizeof at_id, "runs/%zu/id", i);
            strcat(ids, at(j, at_id));
        }
        more = !json_is_null(json_object_get(j, "next_cursor"));
        snprintf(path, sizeof path, "/api/v1/runs?limit=3&cursor=%s", at(j, "next_cursor"));
    }
    assert_string_equal(ids, "r7r6r5r4r3r2r1r0");
    assert_int_equal(pages, 3);
    const json_t *j = get(lab, "/api/v1/runs?sync=customers&status=success", NULL);
    assert_int_equal(json_array_size(json_object_get(j, "runs")), 3);
    assert_string_equal(at(j, "runs/1/id"), "r3");
    assert_string_equal(at(j, "runs/1/balance"), "true");
    assert_string_equal(at(j, "runs/1/seconds"), "1.5");
    assert_string_equal(at(j, "next_cursor"), "null");
    j = get(lab, "/api/v1/runs?sync=none", NULL);
    assert_string_equal(at(j, "runs"), "[]");
}

static void bad_parameters_are_refused(void **state)
{
    struct lab *lab = *state;
    static const char *const paths[] = {
        "/api/v1/runs?limit=0",
        "/api/v1/runs?limit=1001",
        "/api/v1/runs?limit=-1",
        "/api/v1/runs?limit=1x",
        "/api/v1/runs?limit=",
        "/api/v1/runs?cursor=x",
        "/api/v1/runs?cursor=1",
        "/api/v1/runs?cursor=1.",
        "/api/v1/runs?status=fine",
        "/api/v1/runs?sync=%ff",
        "/api/v1/runs?sync=%0",
        "/api/v1/runs?sync=a%00b",
        "/api/v1/syncs/%c3",
        "/api/v1/records",
        "/api/v1/records?sync=lines",
        "/api/v1/records?sync=lines&key=4",
        "/api/v1/records?sync=lines&key={\"shop\":1}",
        "/api/v1/records?sync=customers&key=",
        "/api/v1/errors/records?cursor=1.none",
        "/api/v1/errors/records?cursor=-1.lines",
        "/api/v1/audit?limit=0",
    };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        const struct answer *a = ask(lab, "GET", paths[i], NULL, NULL);
        if (a->status != 400 || strcmp(at(a->json, "error/code"), "invalid") != 0)
            fail_msg("GET %s: %d %s", paths[i], a->status, a->body);
    }
}

static void a_run_is_told_with_its_batches(void **state)
{
    struct lab *lab = *state;
    put_run(lab, "r1", "customers", RUN_PLANNED, 1700000000000);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t bits[2] = {7, 0};
        uint32_t fresh, settled;
        struct err err;
        assert_false(state_batch_settle(control_state(lab->control), "r1", i, 10, bits, &fresh,
                                        &settled, &err));
    }
    assert_string_equal(at(get(lab, "/api/v1/runs/r1", NULL), "phase"), "sending");
    const json_t *j = get(lab, "/api/v1/runs/r1/batches?limit=2", NULL);
    assert_string_equal(at(j, "batches"), "[{\"number\":0,\"records\":10,\"answered\":3},"
                                          "{\"number\":1,\"records\":10,\"answered\":3}]");
    char path[128];
    snprintf(path, sizeof path, "/api/v1/runs/r1/batches?limit=2&cursor=%s", at(j, "next_cursor"));
    j = get(lab, path, NULL);
    assert_string_equal(at(j, "batches/0/number"), "2");
    assert_string_equal(at(j, "next_cursor"), "null");
    assert_int_equal(ask(lab, "GET", "/api/v1/runs/r2", NULL, NULL)->status, 404);
    assert_int_equal(ask(lab, "GET", "/api/v1/runs/r2/batches", NULL, NULL)->status, 404);
}

static void errors_are_grouped_by_what_was_said(void **state)
{
    struct lab *lab = *state;
    for (unsigned i = 0; i < 9; i++)
        double_reject(lab->control, "customers", REJECTED_REFUSED, i, "no \"such\" address");
    double_reject(lab->control, "customers", REJECTED_FAILED, 20, "no \"such\" address");
    double_reject(lab->control, "lines", REJECTED_INVALID, 30, "null key");
    const json_t *j = get(lab, "/api/v1/errors", NULL);
    assert_int_equal(json_array_size(json_object_get(j, "groups")), 3);
    assert_string_equal(at(j, "groups/0/sync"), "customers");
    assert_string_equal(at(j, "groups/0/message"), "no \"such\" address");
    assert_string_equal(at(j, "groups/0/count"), "9");
    assert_string_equal(at(j, "groups/0/kind"), "rejected");
    assert_string_equal(at(j, "groups/0/first_at"), "2023-11-14T22:13:20.000Z");
    assert_string_equal(at(j, "groups/0/last_at"), "2023-11-14T22:13:20.008Z");
    assert_string_equal(at(j, "groups/0/sample_keys/0"), "{\"id\":8}");
    assert_int_equal(json_array_size(json_object_get(
                         json_array_get(json_object_get(j, "groups"), 0), "sample_keys")),
                     5);
    assert_string_equal(at(j, "partial"), "false");
    j = get(lab, "/api/v1/errors?sync=lines", NULL);
    assert_int_equal(json_array_size(json_object_get(j, "groups")), 1);
    assert_string_equal(at(j, "groups/0/kind"), "invalid");
    assert_int_equal(ask(lab, "GET", "/api/v1/errors?sync=none", NULL, NULL)->status, 404);
}

static void single_errors_are_paged_over_syncs(void **state)
{
    struct lab *lab = *state;
    char path[256] = "/api/v1/errors/records?limit=2", keys[512] = "";
    for (unsigned i = 0; i < 4; i++) {
        double_reject(lab->control, "customers", REJECTED_REFUSED, i, "bad");
        double_reject(lab->control, "lines", REJECTED_FAILED, 10 + i, i % 2 ? "busy" : "bad");
    }
    for (bool more = true; more;) {
        const json_t *j = get(lab, path, NULL);
        for (size_t i = 0; i < json_array_size(json_object_get(j, "records")); i++) {
            char at_key[48];
            snprintf(at_key, sizeof at_key, "records/%zu/key", i);
            strcat(keys, at(j, at_key));
        }
        more = !json_is_null(json_object_get(j, "next_cursor"));
        snprintf(path, sizeof path, "/api/v1/errors/records?limit=2&cursor=%s",
                 at(j, "next_cursor"));
    }
    assert_string_equal(keys, "{\"id\":3}{\"id\":2}{\"id\":1}{\"id\":0}"
                              "{\"id\":13}{\"id\":12}{\"id\":11}{\"id\":10}");
    const json_t *j = get(lab, "/api/v1/errors/records?sync=lines&message=us", NULL);
    assert_int_equal(json_array_size(json_object_get(j, "records")), 2);
    assert_string_equal(at(j, "records/0/run"), "r1");
    assert_string_equal(at(j, "records/0/message"), "busy");
    j = get(lab, "/api/v1/errors/records?key=%22id%22%3A1%7D", NULL);
    assert_int_equal(json_array_size(json_object_get(j, "records")), 1);
}

static void a_record_is_found_by_its_key(void **state)
{
    struct lab *lab = *state;
    double_accept(lab->control, "customers", 4);
    double_reject(lab->control, "customers", REJECTED_REFUSED, 5, "not an address");
    const json_t *j = get(lab, "/api/v1/records?sync=customers&key=4", NULL);
    assert_string_equal(at(j, "key"), "{\"id\":4}");
    assert_string_equal(at(j, "accepted"), "true");
    assert_string_equal(at(j, "refused"), "null");
    assert_string_equal(at(j, "history"), "[]");
    j = get(lab, "/api/v1/records?sync=customers&key=%7B%22id%22:%205%7D", NULL);
    assert_string_equal(at(j, "accepted"), "false");
    assert_string_equal(at(j, "refused/message"), "not an address");
    assert_string_equal(at(j, "history/0/message"), "not an address");
    assert_string_equal(at(j, "history/0/kind"), "rejected");
    assert_int_equal(ask(lab, "GET", "/api/v1/records?sync=customers&key=6", NULL, NULL)->status,
                     404);
    assert_int_equal(
        ask(lab, "GET", "/api/v1/records?sync=customers&key=%7B%22id%22:%224%22%7D", NULL, NULL)
            ->status,
        404); /* the text "4" is another key than the number */
}

static void destinations_are_told_with_their_limits(void **state)
{
    struct lab *lab = *state;
    const json_t *j = get(lab, "/api/v1/destinations", NULL);
    assert_int_equal(json_array_size(json_object_get(j, "destinations")), 2);
    assert_string_equal(at(j, "destinations/0/name"), "hook");
    assert_string_equal(at(j, "destinations/0/limits/0/kind"), "requests");
    assert_string_equal(at(j, "destinations/0/limits/0/per"), "10s");
    assert_string_equal(at(j, "destinations/0/limits/1/per"), "1m");
    assert_string_equal(at(j, "destinations/0/throttled_left_ms"), "1500");
    assert_string_equal(at(j, "destinations/0/factor"), "0.5");
}

static void paths_methods_and_heads(void **state)
{
    struct lab *lab = *state;
    const struct answer *a = ask(lab, "GET", "/api/v1/nothing", NULL, NULL);
    assert_int_equal(a->status, 404);
    assert_string_equal(at(a->json, "error/code"), "not_found");
    assert_int_equal(ask(lab, "GET", "/api/v1/syncs/", NULL, NULL)->status, 404);
    assert_int_equal(ask(lab, "GET", "//api/v1/syncs", NULL, NULL)->status, 404);
    assert_int_equal(ask(lab, "GET", "/api/v1/../v1/syncs", NULL, NULL)->status, 404);
    assert_int_equal(ask(lab, "GET", "/a/a/a/a/a/a/a/a/a", NULL, NULL)->status, 400);
    a = ask(lab, "OPTIONS", "/api/v1/runs", BROWSER, NULL);
    assert_int_equal(a->status, 204);
    assert_string_equal(header_of(a, "Allow"), "GET, HEAD, POST, OPTIONS");
    static const char *const methods[] = {"DELETE", "PUT", "PATCH"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        int fd = lab_connect(lab);
        char text[128];
        int n =
            snprintf(text, sizeof text,
                     "%s /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nX-Sluice: 1\r\nConnection: "
                     "close\r\n\r\n",
                     methods[i]);
        lab_send(lab, fd, text, (size_t)n);
        char *answer = lab_read(lab, fd, "method_not_allowed");
        assert_non_null(strstr(answer, "HTTP/1.1 405 "));
        assert_non_null(strstr(answer, "Allow: GET, HEAD, POST, OPTIONS\r\n"));
        free(answer);
        close(fd);
    }
    get(lab, "/api/v1/destinations", NULL);
    size_t n = ask(lab, "GET", "/api/v1/destinations", NULL, NULL)->body_bytes;
    char length[24];
    snprintf(length, sizeof length, "%zu", n);
    a = ask(lab, "HEAD", "/api/v1/destinations", NULL, NULL);
    assert_int_equal(a->status, 200);
    assert_int_equal(a->body_bytes, 0);
    assert_string_equal(header_of(a, "Content-Length"), length);
    assert_string_equal(header_of(a, "Cache-Control"), "no-store");
    assert_string_equal(header_of(a, "X-Content-Type-Options"), "nosniff");
}

static void pages_are_part_of_the_program(void **state)
{
    struct lab *lab = *state;
    static const struct {
        const char *path, *type, *words;
    } cases[] = {
        {"/", "text/html; charset=utf-8", "<!doctype html>"},
        {"/assets/app.js", "text/javascript; charset=utf-8", "import"},
        {"/assets/app.css", "text/css; charset=utf-8", "{"},
        {"/assets/icon.svg", "image/svg+xml", "<svg"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct answer *a = ask(lab, "GET", cases[i].path, NULL, NULL);
        assert_int_equal(a->status, 200);
        assert_string_equal(header_of(a, "Content-Type"), cases[i].type);
        assert_string_equal(header_of(a, "X-Content-Type-Options"), "nosniff");
        assert_string_equal(header_of(a, "Referrer-Policy"), "same-origin");
        assert_non_null(header_of(a, "Content-Security-Policy"));
        assert_non_null(header_of(a, "ETag"));
        assert_non_null(strstr(a->body, cases[i].words));
    }
    assert_int_equal(ask(lab, "GET", "/assets/none.js", NULL, NULL)->status, 404);
}

static void the_document_is_part_of_the_program(void **state)
{
    struct lab *lab = *state;
    const struct answer *a = ask(lab, "GET", "/api/v1/openapi.json", NULL, NULL);
    assert_int_equal(a->status, 200);
    char tag[64], headers[128];
    snprintf(tag, sizeof tag, "%s", header_of(a, "ETag"));
    assert_string_equal(header_of(a, "Content-Security-Policy"),
                        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
                        "'none'");
    snprintf(headers, sizeof headers, "If-None-Match: %s\r\n", tag);
    a = ask(lab, "GET", "/api/v1/openapi.json", headers, NULL);
    assert_int_equal(a->status, 304);
    assert_int_equal(a->body_bytes, 0);
    assert_int_equal(ask(lab, "GET", "/assets/openapi.json", NULL, NULL)->status, 404);
    assert_int_equal(ask(lab, "GET", "/assets/..%2Fapi.c", NULL, NULL)->status, 404);
}

static void desired_workers_are_told_with_their_reasons(void **state)
{
    struct lab *lab = *state;
    const json_t *j = get(lab, "/api/v1/workers/desired", NULL);
    assert_string_equal(at(j, "workers"), "1"); /* two batches are under way */
    assert_string_equal(at(j, "quotas/0/why"), "nothing");
    put_run(lab, "r2", "customers", RUN_PLANNED, 1700000100000);
    j = get(lab, "/api/v1/workers/desired", NULL);
    assert_string_equal(at(j, "workers"), "1");
    assert_string_equal(at(j, "own"), "2");
    assert_string_equal(at(j, "worker_slots"), "31"); /* one is kept for the other quota */
    assert_string_equal(at(j, "quotas/0/why"), "throttled");
    assert_string_equal(at(j, "quotas/0/limit"), "null");
    assert_string_equal(at(j, "quotas/0/batches"), "5");
    assert_string_equal(at(j, "quotas/0/request_ms"), "250.0");
}

#define with_lab(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_lab(health_and_status_are_told),
        with_lab(syncs_are_told_with_what_they_do_now),
        with_lab(a_stream_is_told_as_far_as_it_is_known),
        with_lab(a_sync_is_told_with_its_mappings_and_without_secrets),
        with_lab(runs_are_paged_newest_first),
        with_lab(bad_parameters_are_refused),
        with_lab(a_run_is_told_with_its_batches),
        with_lab(errors_are_grouped_by_what_was_said),
        with_lab(single_errors_are_paged_over_syncs),
        with_lab(a_record_is_found_by_its_key),
        with_lab(destinations_are_told_with_their_limits),
        with_lab(desired_workers_are_told_with_their_reasons),
        with_lab(paths_methods_and_heads),
        with_lab(pages_are_part_of_the_program),
        with_lab(the_document_is_part_of_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
