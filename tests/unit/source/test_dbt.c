#include "scheduler/source/dbt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static char path[] = "/tmp/sluice-manifest-XXXXXX";

static const char manifest[] =
    "{\"metadata\": {}, \"nodes\": {"
    "\"model.shop.customers\": {\"resource_type\": \"model\", \"name\": \"customers\","
    "  \"relation_name\": \"\\\"dw\\\".\\\"marts\\\".\\\"customers\\\"\", \"config\": "
    "{\"materialized\": \"table\"}},"
    "\"model.shop.orders\": {\"resource_type\": \"model\", \"name\": \"orders\", \"alias\": "
    "\"or\\\"ders\","
    "  \"database\": \"dw\", \"schema\": \"marts\"},"
    "\"model.shop.plain\": {\"resource_type\": \"model\", \"name\": \"plain\", \"schema\": \"s\"},"
    "\"model.a.twice\": {\"resource_type\": \"model\", \"name\": \"twice\", \"schema\": \"a\"},"
    "\"model.b.twice\": {\"resource_type\": \"model\", \"name\": \"twice\", \"schema\": \"b\"},"
    "\"model.shop.inline\": {\"resource_type\": \"model\", \"name\": \"inline\", "
    "\"relation_name\": null,"
    "  \"config\": {\"materialized\": \"ephemeral\"}},"
    "\"seed.shop.countries\": {\"resource_type\": \"seed\", \"name\": \"countries\", \"schema\": "
    "\"seeds\"},"
    "\"test.shop.customers\": {\"resource_type\": \"test\", \"name\": \"customers\"}}}";

static void write_manifest(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static enum err_code relation(const char *model, struct buf *out, struct err *err)
{
    buf_init(out, 1000);
    err->text[0] = '\0';
    return dbt_relation(path, model, out, err);
}

static void a_model_is_found_by_name_or_unique_id(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"customers", "\"dw\".\"marts\".\"customers\""},
        {"model.shop.customers", "\"dw\".\"marts\".\"customers\""},
        {"orders", "\"dw\".\"marts\".\"or\"\"ders\""},
        {"plain", "\"s\".\"plain\""},
        {"model.b.twice", "\"b\".\"twice\""},
        {"countries", "\"seeds\".\"countries\""},
    };
    write_manifest(manifest);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        struct err err;
        assert_int_equal(relation(cases[i][0], &out, &err), ERR_OK);
        assert_string_equal(buf_cstr(&out), cases[i][1]);
        buf_done(&out);
    }
}

static void a_model_that_cannot_be_read_is_told_why(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"custmers", "did you mean customers?"},
        {"model.shop.custmers", "did you mean model.shop.customers?"},
        {"twice", "write one of model.a.twice, model.b.twice"},
        {"inline", "ephemeral"},
        {"something-else", "is not in the manifest"},
        {"test.shop.customers", "is not in the manifest"},
    };
    write_manifest(manifest);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        struct err err;
        assert_int_equal(relation(cases[i][0], &out, &err), ERR_CONFIG);
        if (!strstr(err.text, cases[i][1]))
            print_error("%s\n", err.text);
        assert_non_null(strstr(err.text, cases[i][1]));
        buf_done(&out);
    }
}

static void a_file_that_is_no_manifest_is_told_so(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{}",
                                        "{\"nodes\": []}",
                                        "{\"nodes\": {}}",
                                        "{\"nodes\": {\"model.a.customers\": 7}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf out;
        struct err err;
        write_manifest(texts[i]);
        assert_int_equal(relation("customers", &out, &err), ERR_CONFIG);
        assert_true(err.text[0]);
        buf_done(&out);
    }
    struct buf out;
    struct err err;
    buf_init(&out, 1000);
    assert_int_equal(dbt_relation("/nowhere/manifest.json", "customers", &out, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "/nowhere/manifest.json"));
    assert_int_equal(dbt_relation("/tmp", "customers", &out, &err), ERR_CONFIG);
}

static int make(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int drop(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_found_by_name_or_unique_id),
        cmocka_unit_test(a_model_that_cannot_be_read_is_told_why),
        cmocka_unit_test(a_file_that_is_no_manifest_is_told_so),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
