/* What the built-in connectors make of the answers that their vendors document: success, partial
 * success, throttling, credentials, refusal. */
#include "tests/unit/judge/judging.h"

enum { NONE = -1 };

struct vendor_case {
    const char *step; /* by its name; NULL: the last one of the request */
    uint32_t status;
    const char *body;
    const char *headers; /* NULL: none */
    enum rule_do act;
    const char *entries; /* NULL: none */
    const char *words;   /* NULL: any */
    int64_t wait_ms;
    bool bug;
};

struct vendor {
    const char *connector;
    const char *object;
    enum record_op op;
    const char *identify_by;
    const char *keys; /* one record each */
    const struct vendor_case *cases;
    size_t count;
};

static void check_case(const struct vendor *vendor, const struct vendor_case *c)
{
    CLEANUP(judging_done) struct judging g;
    judging_builtin(&g, vendor->connector, vendor->object, vendor->op, c->step);
    judging_keys(&g, vendor->keys, vendor->op);
    g.identify_by = vendor->identify_by;
    struct judged v = judging_headers(&g, c->status, c->headers, c->body);
    const char *entries = judging_entries(&g, &v);
    if (v.act != c->act || v.bug != c->bug || v.wait_ms != c->wait_ms ||
        strcmp(entries, c->entries ? c->entries : "") != 0)
        fail_msg("%s %u %s: act %d, bug %d, wait %lld, entries %s, words %.*s", vendor->connector,
                 c->status, c->body, v.act, v.bug, (long long)v.wait_ms, entries, (int)v.message.n,
                 v.message.n ? v.message.p : "");
    if (c->words)
        assert_words(v.message, c->words);
}

static void check_vendor(const struct vendor *vendor)
{
    for (size_t i = 0; i < vendor->count; i++)
        check_case(vendor, &vendor->cases[i]);
}

#define VENDOR(connector, object, op, by, keys, list)                                              \
    check_vendor(&(struct vendor){connector, object, op, by, keys, list, ARRAY_LEN(list)})

static void hubspot(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200,
         "{\"status\":\"COMPLETE\",\"results\":[{\"id\":\"1\",\"new\":true},{\"id\":\"2\"},{\"id\":"
         "\"3\"}]}",
         NULL, DO_OK, NULL, "", NONE, false},
        {NULL, 207,
         "{\"status\":\"COMPLETE\",\"results\":[{\"id\":\"1\"}],\"numErrors\":2,\"errors\":["
         "{\"status\":\"error\",\"category\":\"VALIDATION_ERROR\",\"message\":\"bad email\","
         "\"context\":{\"objectWriteTraceId\":[\"r20\"]}},"
         "{\"category\":\"RATE_LIMITS\",\"message\":\"later\",\"context\":{\"objectWriteTraceId\":"
         "[\"r0\"]}}]}",
         NULL, DO_OK, "0:open(RATE_LIMITS: later) 2:rejected(VALIDATION_ERROR: bad email)", "",
         NONE, false},
        /* A trace that was not sent, or none. */
        {NULL, 207,
         "{\"results\":[],\"errors\":[{\"message\":\"x\",\"context\":{\"objectWriteTraceId\":"
         "[\"r30\"]}}]}",
         NULL, DO_RETRY, NULL, NULL, NONE, true},
        {NULL, 207, "{\"results\":[{}],\"errors\":[{\"message\":\"x\"}]}", NULL, DO_RETRY, NULL,
         NULL, NONE, true},
        /* Nothing written, no error: seen in the field. */
        {NULL, 200, "{\"status\":\"COMPLETE\",\"results\":[]}", NULL, DO_RETRY, NULL,
         "the answer accounts for 0 of 3 records", NONE, false},
        {NULL, 200, "", NULL, DO_RETRY, NULL, NULL, NONE, false},
        {NULL, 429, "{\"message\":\"ten secondly\",\"policyName\":\"TEN_SECONDLY_ROLLING\"}", NULL,
         DO_THROTTLE, NULL, "HTTP 429: ten secondly", 10000, false},
        {NULL, 429, "{\"message\":\"daily\",\"policyName\":\"DAILY\"}", NULL, DO_THROTTLE, NULL,
         NULL, 6402000, false}, /* 22:13:20 UTC */
        {NULL, 477, "{\"message\":\"migrating\"}", "Retry-After: 600", DO_THROTTLE, NULL, NULL,
         600000, false},
        {NULL, 423, "{\"message\":\"locked\"}", NULL, DO_RETRY, NULL, NULL, 2000, false},
        {NULL, 401, "{\"message\":\"expired\",\"category\":\"INVALID_AUTHENTICATION\"}", NULL,
         DO_AUTH, NULL, "HTTP 401: expired", NONE, false},
        {NULL, 400, "{\"message\":\"Property x does not exist\"}", NULL, DO_SPLIT, NULL,
         "HTTP 400: Property x does not exist", NONE, false},
        {NULL, 403, "{\"message\":\"scopes\"}", NULL, DO_HALT, NULL, NULL, NONE, false},
        {NULL, 502, "<html>bad gateway</html>", NULL, DO_RETRY, NULL, NULL, NONE, false},
    };
    VENDOR("hubspot", "contacts", OP_UPSERT, "email", "a@x b@x c@x", cases);
}

static void salesforce(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200,
         "[{\"id\":\"003A\",\"success\":true,\"created\":true,\"errors\":[]},"
         "{\"success\":false,\"errors\":[{\"statusCode\":\"REQUIRED_FIELD_MISSING\",\"message\":"
         "\"LastName\",\"fields\":[]}]},"
         "{\"success\":false,\"errors\":[{\"statusCode\":\"UNABLE_TO_LOCK_ROW\",\"message\":"
         "\"busy\"}]}]",
         NULL, DO_OK,
         "1:rejected(REQUIRED_FIELD_MISSING: LastName) 2:open(UNABLE_TO_LOCK_ROW: busy)", "", NONE,
         false},
        {NULL, 200, "[{\"id\":\"1\",\"success\":true},{\"id\":\"2\",\"success\":true}]", NULL,
         DO_RETRY, NULL, "the answer has fewer entries than the request had records", NONE, true},
        {NULL, 200, "[{\"success\":true},{\"success\":true},{\"success\":true},{\"success\":true}]",
         NULL, DO_RETRY, NULL, "the answer has more entries than the request had records", NONE,
         true},
        {NULL, 200, "", NULL, DO_RETRY, NULL, NULL, NONE, true},
        {NULL, 200, "{}", NULL, DO_RETRY, NULL, NULL, NONE, true},
        {NULL, 403, "[{\"errorCode\":\"REQUEST_LIMIT_EXCEEDED\",\"message\":\"TotalRequests\"}]",
         NULL, DO_THROTTLE, NULL, "HTTP 403: TotalRequests", 300000, false},
        {NULL, 403, "[{\"errorCode\":\"API_DISABLED_FOR_ORG\",\"message\":\"off\"}]", NULL, DO_HALT,
         NULL, "HTTP 403: off", NONE, false},
        {NULL, 401, "[{\"errorCode\":\"INVALID_SESSION_ID\",\"message\":\"Session expired\"}]",
         NULL, DO_AUTH, NULL, NULL, NONE, false},
        {NULL, 400, "[{\"errorCode\":\"INVALID_FIELD\",\"message\":\"No such column\"}]", NULL,
         DO_SPLIT, NULL, "HTTP 400: No such column", NONE, false},
        {NULL, 503, "[{\"message\":\"Server Unavailable\"}]", NULL, DO_THROTTLE, NULL, NULL, NONE,
         false},
    };
    VENDOR("salesforce", "Contact", OP_UPSERT, "Ext__c", "k1 k2 k3", cases);
    static const struct vendor_case bulk[] = {
        {"create", 200, "{\"id\":\"750A\",\"state\":\"Open\"}", NULL, DO_OK, NULL, NULL, NONE,
         false},
        {"status", 200, "{\"id\":\"750A\",\"state\":\"InProgress\"}", NULL, DO_PENDING, NULL, NULL,
         NONE, false},
        {"status", 200, "{\"id\":\"750A\",\"state\":\"JobComplete\"}", NULL, DO_OK, NULL, NULL,
         NONE, false},
        {"status", 200, "{\"state\":\"Failed\",\"errorMessage\":\"ServerError\"}", NULL, DO_RESTART,
         NULL, "ServerError", NONE, false},
        {"status", 404, "[{\"errorCode\":\"NOT_FOUND\",\"message\":\"x\"}]", NULL, DO_RESTART, NULL,
         "HTTP 404: the job is gone", NONE, false},
        {"unprocessed", 200, "\"Ext__c\",\"Name\"\n\"k2\",\"x\"\n", NULL, DO_OK,
         "1:open(listed without words)", NULL, NONE, false},
        {"failed", 200,
         "\"sf__Id\",\"sf__Error\",\"Ext__c\",\"Name\"\n"
         "\"\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName "
         "--\",\"k1\",\"line\nbreak\"\n"
         "\"\",\"UNABLE_TO_LOCK_ROW:say \"\"please\"\"\",\"k3\",\"\"\n",
         NULL, DO_OK,
         "0:rejected(REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --) "
         "2:open(UNABLE_TO_LOCK_ROW:say \"please\")",
         NULL, NONE, false},
        {"failed", 200, "\"sf__Id\",\"sf__Error\",\"Ext__c\"\n", NULL, DO_OK, NULL, NULL, NONE,
         false},
        {"failed", 200, "\"sf__Id\",\"sf__Error\",\"Ext__c\"\n\"\",\"x\",\"k9\"\n", NULL, DO_RETRY,
         NULL, NULL, NONE, true},
        {"failed", 200, "\"sf__Id\",\"sf__Error\",\"Ext__c\"\n\"\",\"x\",\"k1", NULL, DO_RETRY,
         NULL, NULL, NONE, true},
        {"failed", 200, "\"sf__Id\",\"sf__Error\",\"Other\"\n\"\",\"x\",\"k1\"\n", NULL, DO_RETRY,
         NULL, NULL, NONE, true},
    };
    VENDOR("salesforce", "bulk/Contact", OP_UPSERT, "Ext__c", "k1 k2 k3", bulk);
}

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

static void intercom(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {"find", 200, "{\"data\":[{\"id\":\"5f\"}],\"total_count\":1}", NULL, DO_OK, NULL, "", NONE,
         false},
        {"update", 200, "{\"type\":\"contact\",\"id\":\"5f\"}", NULL, DO_OK, NULL, "", NONE, false},
        {"update", 404,
         "{\"type\":\"error.list\",\"errors\":[{\"code\":\"not_found\",\"message\":"
         "\"User Not Found\"}]}",
         NULL, DO_RESTART, NULL, "HTTP 404: User Not Found", NONE, false},
        {"create", 409, "{\"errors\":[{\"code\":\"conflict\",\"message\":\"exists\"}]}", NULL,
         DO_RESTART, NULL, NULL, NONE, false},
        {"create", 429, "{\"errors\":[{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}]}",
         "X-RateLimit-Reset: 1700000010", DO_THROTTLE, NULL, NULL, 10000, false},
        {"create", 401,
         "{\"errors\":[{\"code\":\"unauthorized\",\"message\":\"Access Token Invalid\"}]}", NULL,
         DO_HALT, NULL, "HTTP 401: Access Token Invalid", NONE, false},
        {"create", 422, "{\"errors\":[{\"code\":\"parameter_invalid\",\"message\":\"bad\"}]}", NULL,
         DO_SPLIT, NULL, "HTTP 422: bad", NONE, false},
    };
    VENDOR("intercom", "contacts", OP_UPSERT, "external_id", "a", cases);
}

static void zendesk(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {"submit", 200, "{\"job_status\":{\"id\":\"8b\",\"status\":\"queued\"}}", NULL, DO_OK, NULL,
         "", NONE, false},
        {"submit", 422, "{\"error\":\"TooManyJobs\",\"description\":\"30 jobs\"}", NULL,
         DO_THROTTLE, NULL, "HTTP 422: 30 jobs", 30000, false},
        {"submit", 429, "", "Retry-After: 12", DO_THROTTLE, NULL, NULL, 12000, false},
        {"submit", 401, "{\"error\":\"Couldn't authenticate you\"}", NULL, DO_HALT, NULL,
         "HTTP 401: Couldn't authenticate you", NONE, false},
        {"status", 200, "{\"job_status\":{\"status\":\"working\",\"results\":null}}", NULL,
         DO_PENDING, NULL, NULL, NONE, false},
        {"status", 200,
         "{\"job_status\":{\"status\":\"completed\",\"results\":[{\"id\":7,\"status\":\"Created\"},"
         "{\"id\":1,\"error\":\"UserUpdateError\",\"details\":\"Email: "
         "taken\",\"status\":\"Failed\"}"
         ",{\"id\":9,\"status\":\"Updated\"}]}}",
         NULL, DO_OK, "1:rejected(UserUpdateError: Email: taken)", NULL, NONE, false},
        {"status", 404, "{\"error\":\"RecordNotFound\"}", NULL, DO_RESTART, NULL, NULL, NONE,
         false},
        {"status", 200, "{\"job_status\":{\"status\":\"completed\",\"results\":[]}}", NULL,
         DO_RETRY, NULL, NULL, NONE, true},
    };
    VENDOR("zendesk", "users", OP_UPSERT, "external_id", "a b c", cases);
}

static void mixpanel(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200, "{\"code\":200,\"num_records_imported\":3,\"status\":\"OK\"}", NULL, DO_OK,
         NULL, "", NONE, false},
        {NULL, 400,
         "{\"code\":400,\"error\":\"some data points in the request failed validation\","
         "\"failed_records\":[{\"index\":2,\"insert_id\":\"x\",\"field\":\"properties.time\","
         "\"message\":\"is invalid\"}],\"num_records_imported\":2}",
         NULL, DO_OK, "2:rejected(properties.time: is invalid)", "", NONE, false},
        {NULL, 413, "{\"code\":413,\"error\":\"request exceeds max limit of 2097152 bytes\"}", NULL,
         DO_SPLIT, NULL, "HTTP 413: request exceeds max limit of 2097152 bytes", NONE, false},
        {NULL, 429, "{\"code\":429,\"error\":\"rate limit\"}", NULL, DO_THROTTLE, NULL, NULL, 10000,
         false},
        {NULL, 401, "{\"code\":401,\"error\":\"Invalid credentials\"}", NULL, DO_HALT, NULL, NULL,
         NONE, false},
        {NULL, 400, "{\"code\":400,\"error\":\"bad\",\"failed_records\":[{\"index\":3}]}", NULL,
         DO_RETRY, NULL, NULL, NONE, true},
    };
    VENDOR("mixpanel", "event/e", OP_APPEND, "id", "a b c", cases);
}

static void amplitude(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200, "{\"code\":200,\"events_ingested\":3}", NULL, DO_OK, NULL, "", NONE, false},
        {NULL, 400,
         "{\"code\":400,\"error\":\"Request missing required "
         "field\",\"events_with_invalid_fields\":"
         "{},\"events_with_missing_fields\":{\"event_type\":[0],\"user_id\":[0,2]}}",
         NULL, DO_DROP,
         "0:rejected(events_with_missing_fields: event_type) "
         "2:rejected(events_with_missing_fields: user_id)",
         "HTTP 400: Request missing required field", NONE, false},
        {NULL, 400, "{\"code\":400,\"error\":\"silenced\",\"silenced_events\":[1]}", NULL, DO_DROP,
         "1:rejected(silenced_events)", NULL, NONE, false},
        {NULL, 400, "{\"code\":400,\"error\":\"x\",\"silenced_events\":[3]}", NULL, DO_RETRY, NULL,
         NULL, NONE, true},
        {NULL, 400, "{\"code\":400,\"error\":\"Invalid API key: x\"}", NULL, DO_HALT, NULL, NULL,
         NONE, false},
        {NULL, 413, "{\"code\":413,\"error\":\"Payload too large\"}", NULL, DO_SPLIT, NULL, NULL,
         NONE, false},
        {NULL, 429, "{\"code\":429,\"error\":\"Too many\",\"throttled_events\":[0]}", NULL,
         DO_THROTTLE, NULL, NULL, 30000, false},
    };
    VENDOR("amplitude", "event/e", OP_APPEND, "id", "a b c", cases);
}

static void slack(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200, "{\"ok\":true,\"ts\":\"1\"}", NULL, DO_OK, NULL, "", NONE, false},
        {NULL, 200, "{\"ok\":false,\"error\":\"channel_not_found\"}", NULL, DO_REJECT, NULL,
         "channel_not_found", NONE, false},
        {NULL, 200, "{\"ok\":false,\"error\":\"ratelimited\"}", "Retry-After: 30", DO_THROTTLE,
         NULL, NULL, 30000, false},
        {NULL, 429, "", "Retry-After: 3", DO_THROTTLE, NULL, NULL, 3000, false},
        {NULL, 200, "{\"ok\":false,\"error\":\"invalid_auth\"}", NULL, DO_HALT, NULL, NULL, NONE,
         false},
        {NULL, 200, "{\"ok\":false,\"error\":\"internal_error\"}", NULL, DO_RETRY, NULL, NULL, NONE,
         false},
        {NULL, 200, "proxy login", NULL, DO_RETRY, NULL, "proxy login", NONE, false},
    };
    VENDOR("slack", "messages", OP_APPEND, "id", "a", cases);
}

static void airtable(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200, "{\"createdRecords\":[\"rec1\"],\"updatedRecords\":[],\"records\":[]}", NULL,
         DO_OK, NULL, "", NONE, false},
        {NULL, 422, "{\"error\":{\"type\":\"INVALID_VALUE_FOR_COLUMN\",\"message\":\"no number\"}}",
         NULL, DO_SPLIT, NULL, "HTTP 422: no number", NONE, false},
        {NULL, 429, "{\"error\":\"TOO_MANY\"}", NULL, DO_THROTTLE, NULL, "HTTP 429: TOO_MANY",
         30000, false},
        {NULL, 401,
         "{\"error\":{\"type\":\"AUTHENTICATION_REQUIRED\",\"message\":\"Authentication "
         "required\"}}",
         NULL, DO_HALT, NULL, NULL, NONE, false},
    };
    VENDOR("airtable", "Table", OP_UPSERT, "Key", "a b c", cases);
}

static void segment(void **state)
{
    (void)state;
    static const struct vendor_case cases[] = {
        {NULL, 200, "{\"success\":true}", NULL, DO_OK, NULL, "", NONE, false},
        {NULL, 400, "{\"success\":false,\"message\":\"malformed JSON\"}", NULL, DO_SPLIT, NULL,
         "HTTP 400: malformed JSON", NONE, false},
        {NULL, 429, "", "Retry-After: 5", DO_THROTTLE, NULL, NULL, 5000, false},
    };
    VENDOR("segment", "identify", OP_UPSERT, "userId", "a b c", cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hubspot),    cmocka_unit_test(salesforce), cmocka_unit_test(marketo),
        cmocka_unit_test(meta),       cmocka_unit_test(google),     cmocka_unit_test(tiktok),
        cmocka_unit_test(linkedin),   cmocka_unit_test(klaviyo),    cmocka_unit_test(braze),
        cmocka_unit_test(customerio), cmocka_unit_test(iterable),   cmocka_unit_test(mailchimp),
        cmocka_unit_test(intercom),   cmocka_unit_test(zendesk),    cmocka_unit_test(mixpanel),
        cmocka_unit_test(amplitude),  cmocka_unit_test(slack),      cmocka_unit_test(airtable),
        cmocka_unit_test(segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
