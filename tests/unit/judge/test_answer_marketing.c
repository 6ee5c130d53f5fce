/* What the built-in connectors for advertising and messaging make of the answers that their vendors
 * document. */
#include "tests/unit/judge/vendor_cases.h"

static void marketo(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200,
         "{\"requestId\":\"e\",\"success\":true,\"result\":[{\"id\":50,\"status\":\"created\"},"
         "{\"status\":\"skipped\",\"reasons\":[{\"code\":\"1007\",\"message\":\"Multiple lead "
         "match "
         "lookup criteria\"}]},{\"status\":\"skipped\",\"reasons\":[{\"code\":\"1015\",\"message\":"
         "\"x\"}]}]}",
         NULL, DO_OK, "1:rejected(1007: Multiple lead match lookup criteria)", "", NONE, false},
        {NULL, 200,
         "{\"success\":false,\"errors\":[{\"code\":\"606\",\"message\":\"Max rate limit\"}]}", NULL,
         DO_THROTTLE, NULL, "Max rate limit", 20000, false},
        {NULL, 200,
         "{\"success\":false,\"errors\":[{\"code\":\"607\",\"message\":\"Daily quota\"}]}", NULL,
         DO_THROTTLE, NULL, NULL, 28002000, false}, /* midnight in Chicago: 06:00 UTC */
        {NULL, 200,
         "{\"success\":false,\"errors\":[{\"code\":\"615\",\"message\":\"Concurrent\"}]}", NULL,
         DO_THROTTLE, NULL, NULL, 2000, false},
        {NULL, 200, "{\"success\":false,\"errors\":[{\"code\":\"602\",\"message\":\"expired\"}]}",
         NULL, DO_AUTH, NULL, "expired", NONE, false},
        {NULL, 200,
         "{\"success\":false,\"errors\":[{\"code\":\"611\",\"message\":\"System error\"}]}", NULL,
         DO_RETRY, NULL, NULL, NONE, false},
        {NULL, 200, "{\"success\":false,\"errors\":[{\"code\":\"1003\",\"message\":\"bad\"}]}",
         NULL, DO_SPLIT, NULL, "bad", NONE, false},
        {NULL, 200, "<html>maintenance</html>", NULL, DO_RETRY, NULL, NULL, NONE, false},
        {NULL, 200, "{\"success\":true,\"result\":[]}", NULL, DO_RETRY, NULL, NULL, NONE, true},
    };
    VENDOR("marketo", "leads", OP_UPSERT, "email", "a@x b@x c@x", cases);
}

static void meta(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200,
         "{\"audience_id\":\"1\",\"session_id\":\"9\",\"num_received\":3,\"num_invalid_entries\":0,"
         "\"invalid_entry_samples\":{}}",
         NULL, DO_OK, NULL, "", NONE, false},
        {NULL, 200,
         "{\"audience_id\":\"1\",\"num_received\":3,\"num_invalid_entries\":1,"
         "\"invalid_entry_samples\":{\"a\":\"b\"}}",
         NULL, DO_SPLIT, NULL, "1 of 3 records were not taken: {\"a\":\"b\"}", NONE, false},
        {NULL, 400, "{\"error\":{\"message\":\"(#80003) too many calls\",\"code\":80003}}", NULL,
         DO_THROTTLE, NULL, "HTTP 400: (#80003) too many calls", 300000, false},
        {NULL, 400,
         "{\"error\":{\"message\":\"Session expired\",\"code\":190,\"error_subcode\":463}}", NULL,
         DO_HALT, NULL, NULL, NONE, false},
        {NULL, 400,
         "{\"error\":{\"message\":\"m\",\"error_user_msg\":\"people's words\",\"code\":100}}", NULL,
         DO_SPLIT, NULL, "HTTP 400: people's words", NONE, false},
        {NULL, 400, "{\"error\":{\"message\":\"no object\",\"code\":100,\"error_subcode\":33}}",
         NULL, DO_HALT, NULL, NULL, NONE, false},
        {NULL, 500, "{\"error\":{\"message\":\"unknown\",\"code\":2}}", NULL, DO_RETRY, NULL, NULL,
         NONE, false},
        {NULL, 200, "<html>", NULL, DO_RETRY, NULL, "the answer is not JSON", NONE, false},
    };
    VENDOR("meta", "audience_id/1", OP_UPSERT, "EMAIL", "a b c", cases);
    static const struct vendor_case events[] = {
        {NULL, 200, "{\"events_received\":3,\"messages\":[],\"fbtrace_id\":\"x\"}", NULL, DO_OK,
         NULL, "", NONE, false},
        {NULL, 200, "{\"events_received\":2,\"messages\":[]}", NULL, DO_RETRY, NULL,
         "the answer accounts for 2 of 3 records", NONE, false},
        {NULL, 400, "{\"error\":{\"message\":\"too old\",\"code\":100,\"error_subcode\":2804003}}",
         NULL, DO_SPLIT, NULL, NULL, NONE, false},
    };
    VENDOR("meta", "events/1", OP_APPEND, "event_id", "a b c", events);
}

static void google(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {"ingest", 200, "{\"requestId\":\"abc\"}", NULL, DO_OK, NULL, "", NONE, false},
        {"ingest", 400,
         "{\"error\":{\"code\":400,\"status\":\"INVALID_ARGUMENT\",\"message\":\"bad\",\"details\":"
         "[{\"@type\":\"x\",\"reason\":\"y\"},{\"fieldViolations\":[{\"field\":\"audience_members"
         "[1].user_data\",\"description\":\"no "
         "identifiers\"},{\"field\":\"consent\",\"description\":"
         "\"z\"}]}]}}",
         NULL, DO_DROP, "1:rejected(no identifiers)", "HTTP 400: bad", NONE, false},
        {"ingest", 400,
         "{\"error\":{\"message\":\"bad\",\"details\":[{\"fieldViolations\":[{\"field\":"
         "\"audience_members[3]\",\"description\":\"x\"}]}]}}",
         NULL, DO_RETRY, NULL, NULL, NONE, true},
        {"ingest", 400, "{\"error\":{\"message\":\"consent\",\"details\":[]}}", NULL, DO_SPLIT,
         NULL, "HTTP 400: consent", NONE, false},
        {"ingest", 429,
         "{\"error\":{\"message\":\"quota\",\"details\":[{\"metadata\":{\"quota_limit\":"
         "\"IngestionMutateRequestsPerMinutePerProject\"}}]}}",
         NULL, DO_THROTTLE, NULL, NULL, 60000, false},
        {"ingest", 401, "{\"error\":{\"message\":\"token\"}}", NULL, DO_AUTH, NULL, NULL, NONE,
         false},
        {"status", 200, "{\"requestStatusPerDestination\":[{\"requestStatus\":\"PROCESSING\"}]}",
         NULL, DO_PENDING, NULL, NULL, NONE, false},
        {"status", 200, "{\"requestStatusPerDestination\":[{\"requestStatus\":\"SUCCESS\"}]}", NULL,
         DO_OK, NULL, NULL, NONE, false},
        {"status", 200,
         "{\"requestStatusPerDestination\":[{\"requestStatus\":\"FAILURE\",\"errorInfo\":{"
         "\"errorCounts\":[{\"recordCount\":\"3\",\"reason\":\"PROCESSING_ERROR_REASON_X\"}]}}]}",
         NULL, DO_FAIL, NULL, "PROCESSING_ERROR_REASON_X", NONE, false},
    };
    VENDOR("google", "audience/5", OP_UPSERT, "email", "a b c", cases);
}

static void tiktok(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200, "{\"code\":0,\"message\":\"OK\",\"data\":{}}", NULL, DO_OK, NULL, "", NONE,
         false},
        {NULL, 200, "{\"code\":40100,\"message\":\"Requests made too frequently\"}", NULL,
         DO_THROTTLE, NULL, "Requests made too frequently", 300000, false},
        {NULL, 200, "{\"code\":40105,\"message\":\"Access token is incorrect\"}", NULL, DO_HALT,
         NULL, NULL, NONE, false},
        {NULL, 200, "{\"code\":40002,\"message\":\"bad field\"}", NULL, DO_SPLIT, NULL, "bad field",
         NONE, false},
        {NULL, 200, "{\"code\":50002,\"message\":\"internal\"}", NULL, DO_RETRY, NULL, NULL, NONE,
         false},
        {NULL, 200, "{\"code\":60001,\"message\":\"maintenance\"}", NULL, DO_RETRY, NULL, NULL,
         NONE, false},
        {NULL, 200, "", NULL, DO_RETRY, NULL, NULL, NONE, false},
    };
    VENDOR("tiktok", "audience_id/5", OP_UPSERT, "EMAIL_SHA256", "a b c", cases);
}

static void linkedin(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200,
         "{\"elements\":[{\"status\":201},{\"status\":400,\"error\":{\"message\":\"bad id\"}},"
         "{\"status\":429,\"error\":{\"message\":\"slow\"}}]}",
         NULL, DO_OK, "1:rejected(bad id) 2:open(slow)", "", NONE, false},
        {NULL, 200, "{\"elements\":[{\"status\":201}]}", NULL, DO_RETRY, NULL, NULL, NONE, true},
        {NULL, 429, "{\"message\":\"daily\"}", NULL, DO_THROTTLE, NULL, NULL, 60000, false},
        {NULL, 401, "{\"message\":\"expired\"}", NULL, DO_AUTH, NULL, NULL, NONE, false},
        {NULL, 404, "{\"message\":\"not there yet\"}", NULL, DO_RETRY, NULL, NULL, 20000, false},
    };
    VENDOR("linkedin", "segment_id/5", OP_UPSERT, "SHA256_EMAIL", "a b c", cases);
}

static void klaviyo(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {"import", 202, "{\"data\":{\"type\":\"profile-bulk-import-job\",\"id\":\"J\"}}", NULL,
         DO_OK, NULL, "", NONE, false},
        {"import", 400,
         "{\"errors\":[{\"code\":\"invalid\",\"detail\":\"Invalid email\",\"source\":{\"pointer\":"
         "\"/data/attributes/profiles/data/2/attributes/email\"}},{\"code\":\"invalid\",\"detail\":"
         "\"x\",\"source\":{\"pointer\":\"/data/attributes/profiles\"}}]}",
         NULL, DO_DROP, "2:rejected(invalid: Invalid email)", "HTTP 400: Invalid email", NONE,
         false},
        {"import", 400,
         "{\"errors\":[{\"detail\":\"x\",\"source\":{\"pointer\":\"/data/attributes/profiles/data/"
         "3/"
         "attributes\"}}]}",
         NULL, DO_RETRY, NULL, NULL, NONE, true},
        {"import", 400, "{\"errors\":[{\"detail\":\"x\",\"source\":{\"pointer\":\"/data\"}}]}",
         NULL, DO_SPLIT, NULL, "HTTP 400: x", NONE, false},
        {"import", 429, "{\"errors\":[{\"detail\":\"throttled\"}]}", "Retry-After: 45", DO_THROTTLE,
         NULL, "HTTP 429: throttled", 45000, false},
        {"import", 401, "{\"errors\":[{\"detail\":\"key\"}]}", NULL, DO_HALT, NULL, NULL, NONE,
         false},
        {"status", 200, "{\"data\":{\"attributes\":{\"status\":\"queued\"}}}", NULL, DO_PENDING,
         NULL, NULL, NONE, false},
        {"status", 200, "{\"data\":{\"attributes\":{\"status\":\"complete\"}}}", NULL, DO_OK, NULL,
         NULL, NONE, false},
        {"failures", 200,
         "{\"data\":[{\"attributes\":{\"code\":\"c\",\"detail\":\"dup\",\"original_payload\":"
         "{\"email\":\"B@x\"}}}],\"links\":{\"next\":null}}",
         NULL, DO_OK, "1:rejected(c: dup)", NULL, NONE, false},
        {"failures", 200, "{\"data\":[],\"links\":{\"next\":null}}", NULL, DO_OK, NULL, NULL, NONE,
         false},
    };
    VENDOR("klaviyo", "profiles", OP_UPSERT, "email", "a@x b@x c@x", cases);
}

static void braze(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 201, "{\"message\":\"success\",\"attributes_processed\":3}", NULL, DO_OK, NULL, "",
         NONE, false},
        {NULL, 201,
         "{\"message\":\"success\",\"attributes_processed\":2,\"errors\":[{\"type\":\"'external_id'"
         " "
         "is required\",\"input_array\":\"attributes\",\"index\":1},{\"type\":\"other\","
         "\"input_array\":\"events\",\"index\":0}]}",
         NULL, DO_OK, "1:rejected('external_id' is required)", "", NONE, false},
        {NULL, 201, "{\"errors\":[{\"type\":\"x\",\"index\":3,\"input_array\":\"attributes\"}]}",
         NULL, DO_RETRY, NULL, NULL, NONE, true},
        {NULL, 201, "{\"errors\":[{\"type\":\"x\",\"index\":2}]}", NULL, DO_OK, "2:rejected(x)",
         NULL, NONE, false},
        {NULL, 429, "{\"message\":\"limit\"}", "X-RateLimit-Reset: 1700000060", DO_THROTTLE, NULL,
         NULL, 60000, false},
        {NULL, 401, "{\"message\":\"Invalid API key\"}", NULL, DO_HALT, NULL,
         "HTTP 401: Invalid API key", NONE, false},
        {NULL, 400, "{\"message\":\"no valid objects\"}", NULL, DO_SPLIT, NULL, NULL, NONE, false},
    };
    VENDOR("braze", "users", OP_UPSERT, "external_id", "a b c", cases);
}

static void customerio(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200, "{}", NULL, DO_OK, NULL, "", NONE, false},
        {NULL, 207,
         "{\"errors\":[{\"batch_index\":1,\"reason\":\"invalid\",\"field\":\"identifiers\","
         "\"message\":\"missing id\"}]}",
         NULL, DO_OK, "1:rejected(invalid: missing id)", "", NONE, false},
        {NULL, 207, "{\"errors\":[{\"reason\":\"invalid\"}]}", NULL, DO_RETRY, NULL, NULL, NONE,
         true},
        {NULL, 401, "{\"meta\":{\"error\":\"unauthorized\"}}", NULL, DO_HALT, NULL, NULL, NONE,
         false},
        {NULL, 429, "", NULL, DO_THROTTLE, NULL, "HTTP 429", NONE, false},
        {NULL, 400, "{\"errors\":[{\"reason\":\"malformed\"}]}", NULL, DO_SPLIT, NULL,
         "HTTP 400: malformed", NONE, false},
    };
    VENDOR("customerio", "people", OP_UPSERT, "id", "a b c", cases);
}

static void iterable(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200,
         "{\"successCount\":3,\"failCount\":0,\"invalidEmails\":[],\"invalidUserIds\":[]}", NULL,
         DO_OK, NULL, "", NONE, false},
        {NULL, 200,
         "{\"successCount\":1,\"failCount\":2,\"invalidEmails\":[\"A@X\"],\"failedUpdates\":{"
         "\"notFoundEmails\":[],\"forgottenEmails\":[\"c@x\"]}}",
         NULL, DO_OK, "0:rejected(invalidEmails) 2:rejected(forgottenEmails)", "", NONE, false},
        {NULL, 200, "{\"invalidEmails\":[\"z@x\"]}", NULL, DO_RETRY, NULL, NULL, NONE, true},
        {NULL, 429, "{\"msg\":\"slow\"}", NULL, DO_THROTTLE, NULL, "HTTP 429: slow", 1000, false},
        {NULL, 401, "{\"msg\":\"Invalid API key\",\"code\":\"BadApiKey\"}", NULL, DO_HALT, NULL,
         NULL, NONE, false},
        {NULL, 400, "{\"msg\":\"bad\",\"code\":\"BadParams\"}", NULL, DO_SPLIT, NULL,
         "HTTP 400: bad", NONE, false},
    };
    VENDOR("iterable", "users", OP_UPSERT, "email", "a@x b@x c@x", cases);
    static const struct vendor_case events[] = {
        {NULL, 200, "{\"successCount\":3,\"failCount\":0,\"disallowedEventNames\":[]}", NULL, DO_OK,
         NULL, "", NONE, false},
        {NULL, 200, "{\"successCount\":1,\"failCount\":2,\"disallowedEventNames\":[]}", NULL,
         DO_SPLIT, NULL, "2 of 3 records were not taken: []", NONE, false},
        {NULL, 200, "{\"failCount\":3,\"disallowedEventNames\":[\"e\"]}", NULL, DO_REJECT, NULL,
         "the event's name is not allowed in this project", NONE, false},
    };
    VENDOR("iterable", "event/e", OP_APPEND, "id", "a b c", events);
}

static void mailchimp(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200, "{\"new_members\":[{}],\"updated_members\":[],\"errors\":[],\"error_count\":0}",
         NULL, DO_OK, NULL, "", NONE, false},
        {NULL, 200,
         "{\"errors\":[{\"email_address\":\"B@X\",\"error\":\"looks fake\",\"error_code\":"
         "\"ERROR_GENERIC\"}],\"error_count\":1}",
         NULL, DO_OK, "1:rejected(ERROR_GENERIC: looks fake)", "", NONE, false},
        {NULL, 403, "Forbidden", NULL, DO_THROTTLE, NULL,
         "HTTP 403: refused without words at high volume", 10000, false},
        {NULL, 403, "{\"title\":\"Forbidden\",\"detail\":\"You don't have permission\"}", NULL,
         DO_HALT, NULL, "HTTP 403: You don't have permission", NONE, false},
        {NULL, 429, "{\"detail\":\"too many\"}", NULL, DO_THROTTLE, NULL, NULL, 2000, false},
        {NULL, 401, "{\"detail\":\"API Key Invalid\"}", NULL, DO_HALT, NULL, NULL, NONE, false},
        {NULL, 400, "{\"title\":\"Invalid Resource\",\"detail\":\"bad list\"}", NULL, DO_SPLIT,
         NULL, "HTTP 400: bad list", NONE, false},
    };
    VENDOR("mailchimp", "list/abc", OP_UPSERT, "email_address", "a@x b@x c@x", cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marketo),   cmocka_unit_test(meta),       cmocka_unit_test(google),
        cmocka_unit_test(tiktok),    cmocka_unit_test(linkedin),   cmocka_unit_test(klaviyo),
        cmocka_unit_test(braze),     cmocka_unit_test(customerio), cmocka_unit_test(iterable),
        cmocka_unit_test(mailchimp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
