/* What the built-in connectors make of the answers that their vendors document: success, partial
 * success, throttling, credentials, refusal. */
#include "tests/unit/judge/vendor_cases.h"

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
        cmocka_unit_test(hubspot), cmocka_unit_test(salesforce), cmocka_unit_test(intercom),
        cmocka_unit_test(zendesk), cmocka_unit_test(mixpanel),   cmocka_unit_test(amplitude),
        cmocka_unit_test(slack),   cmocka_unit_test(airtable),   cmocka_unit_test(segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
