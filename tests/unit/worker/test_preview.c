/* sluice-worker render: a sealed batch on stdin, its requests as JSON lines on stdout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "tests/unit/config/folder.h"
#include "tests/unit/worker/sample.h"

enum { OUT_BYTES = 8192, BATCH_MAX = 1 << 20 };

#define PROJECT                                                                                    \
    "connectors:\n"                                                                                \
    "  desk:\n"                                                                                    \
    "    options: {base_url: {default: 'https://desk.example'}, secret: {secret: true}}\n"         \
    "    auth:\n"                                                                                  \
    "      headers: {Authorization: 'Bearer {{auth.token}}', X-Secret: '{{options.secret}}'}\n"    \
    "      token: {grant: client_credentials, url: '{{options.base_url}}/token', form: {secret: "  \
    "'{{options.secret}}'}, capture: {token: {json: /token}}}\n"                                   \
    "    objects:\n"                                                                               \
    "      things:\n"                                                                              \
    "        keys: {'*': {}}\n"                                                                    \
    "        fields: {'*': {}}\n"                                                                  \
    "        modes: [upsert]\n"                                                                    \
    "        max_records: 2\n"                                                                     \
    "        requests: {upsert: {url: '{{options.base_url}}/things', body: {json: {$records: "     \
    "'{{key}}'}}}}\n"                                                                              \
    "destinations: {hook: {type: desk, secret: geheim-geheim}}\n"

static int render(const struct folder *f, const char *fingerprint, uint32_t count, char *out)
{
    static const char *const keys[] = {"id", NULL}, *const fields[] = {"id", NULL};
    struct sample_head h = {"s", "r", "b", "hook", fingerprint, keys, fields, 0};
    char command[1024];
    struct buf payload;
    buf_init(&payload, BATCH_MAX);
    sample_ids(&payload, &h, 1, count);
    folder_write_bytes(f, "batch.bin", payload.p, payload.len);
    buf_done(&payload);
    snprintf(command, sizeof command, "%s render -C %s < %s/batch.bin 2>/dev/null", WORKER_PROGRAM,
             f->path, f->path);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    out[fread(out, 1, OUT_BYTES - 1, pipe)] = '\0';
    return WEXITSTATUS(pclose(pipe));
}

static void requests_are_printed_without_secrets_and_nothing_is_sent(void **state)
{
    (void)state;
    char out[OUT_BYTES];
    struct folder f;
    folder_init(&f);
    folder_load_text(&f, PROJECT);
    if (!f.project)
        folder_print(&f);
    assert_non_null(f.project);
    const char *fingerprint = project_destination(f.project, "hook")->fingerprint;
    assert_int_equal(render(&f, fingerprint, 3, out), 0);
    assert_null(strstr(out, "geheim"));
    const char *token = strstr(out, "{\"for\":\"token\",\"method\":\"POST\",\"url\":"
                                    "\"https://desk.example/token\"");
    assert_ptr_equal(token, out);
    /* three records, two at most in a request: a half of two and one of one */
    const char *first = strstr(out, "{\"for\":\"records\"");
    assert_non_null(first);
    const char *second = strstr(first + 1, "{\"for\":\"records\"");
    assert_non_null(second);
    assert_null(strstr(second + 1, "{\"for\""));
    assert_non_null(strstr(first, "\"body\":[1,2]}\n"));
    assert_non_null(strstr(second, "\"body\":[3]}\n"));
    assert_non_null(strstr(second, "\"X-Secret\":\"*************\""));
    folder_done(&f);
}

static void a_batch_that_is_none_or_of_another_project_is_refused(void **state)
{
    (void)state;
    char out[OUT_BYTES], command[1024];
    struct folder f;
    folder_init(&f);
    folder_load_text(&f, PROJECT);
    assert_int_equal(render(&f, "another", 1, out), 78);
    assert_string_equal(out, "");
    snprintf(command, sizeof command, "echo no batch | %s render -C %s 2>/dev/null", WORKER_PROGRAM,
             f.path);
    assert_int_equal(WEXITSTATUS(system(command)), 65);
    folder_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_printed_without_secrets_and_nothing_is_sent),
        cmocka_unit_test(a_batch_that_is_none_or_of_another_project_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
